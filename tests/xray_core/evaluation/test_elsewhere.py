"""What figures of another place come to, in one sentence."""

from __future__ import annotations

import pytest

from xray_core.evaluation.elsewhere import judge_elsewhere


def evaluation(auroc: dict[str, float] | None, unknown: int = 0) -> dict[str, object]:
    return {
        "figures": {"auroc": auroc},
        "covid": {"xrays": 30, "patients": 26, "unknown": unknown},
        "normal": {"xrays": 20, "patients": 18},
    }


@pytest.mark.parametrize(
    ("low", "value", "high", "words", "is_wanting"),
    [
        (
            0.08,
            0.18,
            0.36,
            "On siteB it ranks films backwards: AUROC 0.18 (0.08-0.36) on 26 covid patients and 18",
            True,
        ),
        (0.41, 0.58, 0.73, "On siteB it ranks films no better than chance, as far as can be told", True),
        (0.71, 0.83, 0.91, "On siteB it ranks films better than chance: AUROC 0.83 (0.71-0.91)", False),
    ],
)
def test_the_interval_says_whether_a_model_may_be_used_at_a_place(
    low: float, value: float, high: float, words: str, *, is_wanting: bool
) -> None:
    judged = judge_elsewhere("siteB", evaluation({"value": value, "low": low, "high": high}))

    assert words in judged.sentence
    assert judged.is_wanting is is_wanting
    assert ("Do not use it there." in judged.sentence) is is_wanting


def test_x_rays_of_unknown_patients_are_named_apart() -> None:
    judged = judge_elsewhere("siteB", evaluation({"value": 0.2, "low": 0.1, "high": 0.3}, unknown=4))

    assert "on 26 covid patients (and 4 X-rays of unknown ones) and 18 normal patients" in judged.sentence


def test_what_cannot_be_told_condemns_nobody() -> None:
    assert not judge_elsewhere("siteB", evaluation(None)).is_wanting
