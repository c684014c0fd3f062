from __future__ import annotations

import pytest

from xray_core.imaging.patient_ids import is_placeholder


@pytest.mark.parametrize(
    "nobody",
    [
        *("", " ", "0", "000", "0-0", "ANONYMOUS", "anonymous", "Anonymized^Patient", "ANON", "anon0", "Anonymisiert"),
        *("unknown", "UNKNOWN", "N/A", "n.a.", "none", "None", "null", "-", "___", "XXXX", "not stated", "Patient ID"),
        *(
            "de-identified",
            "REMOVED",
            "no-id",
            "undefined",
            "An\u00f3nimo",
            "TEST PATIENT",
            "Unknown^Patient",
            "NULL NULL",
        ),
        *(
            "Doe^John",
            "Sin identificar",
            "\u533f\u540d",
            "\u0430\u043d\u043e\u043d\u0438\u043c",
            "not provided",
            "99999",
            "#N/A",
            "#REF!",
        ),
    ],
)
def test_an_id_that_names_nobody_is_a_placeholder(nobody: str) -> None:
    assert is_placeholder(nobody)


@pytest.mark.parametrize(
    "somebody",
    [
        "1",
        "10",
        "P1",
        "0815",
        "ANON0017",
        "x1",
        "anonymous-12",
        "TEST-7",
        "007",
        "Nana9",
        "999",
        "Patient 12",
        "Testa",
        "9-9",
    ],
)
def test_an_id_that_can_tell_two_people_apart_is_none(somebody: str) -> None:
    assert not is_placeholder(somebody)
