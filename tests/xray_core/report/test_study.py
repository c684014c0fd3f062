"""What a team says of its study: every question has its place, and what would be lost silently is refused."""

from __future__ import annotations

import re

import pytest

from xray_core.errors import RefusedInput
from xray_core.report.study import Study, parse_study, read_questions, write_empty_study


def test_an_empty_study_holds_every_question_and_says_nothing() -> None:
    text = write_empty_study()

    assert all(f"# {question}\n" in text for question in read_questions().values())
    assert parse_study(text.encode()) == Study()


def test_a_study_that_is_filled_in_by_taking_away_the_signs_is_taken_word_for_word() -> None:
    filled = re.sub(r'(?m)^# (\w+) = ""$', r'\1 = "said of \1"', write_empty_study())
    filled = filled.replace('    # "Portable', '    "Portable').replace('# "siteB"', '"siteB"')

    study = parse_study(filled.encode())

    assert study.answers == {key: f"said of {key}" for key in read_questions()}
    assert study.limits == ("Portable films only: nothing is known of films taken standing.",)
    assert list(study.notes) == ["siteB"]


def test_neither_a_team_nor_the_ledger_hides_what_the_other_knows() -> None:
    study = Study({"blinding": "Yes.", "funding": "Nobody."})

    answers = study.answer_with({"blinding": "12 of 14 labels were read blind.", "agreement": "kappa 0.8"})

    assert answers == {
        "blinding": "Yes. By the ledger: 12 of 14 labels were read blind.",
        "funding": "Nobody.",
        "agreement": "kappa 0.8",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff", "study.toml: received not TOML in UTF-8"),
        (b"answers = 1", "received answers that is no table"),
        (b"[answers]\nfundng = 'x'", "received the answer 'fundng'; expected setting, eligibility"),
        (b"[answers]\nfunding = 3", "received answers.funding that is no text"),
        (b"[answer]\nfunding = 'x'", "received 'answer'; expected limits, "),
        (b"limits = 'few'", "received limits that are no list of sentences"),
        (
            b"[notes]\na = '" + b"x" * 2001 + b"'",
            "received notes.a that is no text; expected one in quotes, up to 2000",
        ),
    ],
)
def test_a_mistake_is_refused_in_a_sentence(content: bytes, told: str) -> None:
    with pytest.raises(RefusedInput) as refusal:
        parse_study(content)

    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)[:60]
