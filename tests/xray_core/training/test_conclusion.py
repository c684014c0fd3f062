"""What a training came to, in the words that people read."""

from __future__ import annotations

import pytest

from xray_core.records import Verdict
from xray_core.training.run_report import say_next_step
from xray_core.training.trial import Conclusion


@pytest.mark.parametrize(
    ("verdict", "is_first", "word", "next_step"),
    [
        (Verdict.PROMOTE, True, "instated", "which has beaten nobody yet"),
        (Verdict.PROMOTE, False, "promote", "`xray models rollback` makes the one before champion"),
        (Verdict.REJECT, True, "reject", "There is no champion yet"),
        (Verdict.REJECT, False, "reject", "`xray models promote 0002-net --override"),
        (Verdict.INSUFFICIENT_EVIDENCE, False, "insufficient evidence", "`xray labels status` says what is missing"),
    ],
)
def test_a_first_model_is_instated_and_every_verdict_has_a_next_step_that_can_be_taken(
    verdict: Verdict, is_first: bool, word: str, next_step: str
) -> None:
    conclusion = Conclusion("0002-net", verdict, "for a reason", is_first)

    assert conclusion.word == word
    assert next_step in say_next_step(conclusion)
    assert ("rollback" in say_next_step(conclusion)) == (conclusion.is_champion and not is_first)
