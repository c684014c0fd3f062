"""Patient ids that name nobody: what anonymisers and forms write where an id should stand."""

from __future__ import annotations

import re

# Compared without case, spaces and punctuation.
_WORDS = frozenset(
    {
        *("unknown", "unk", "none", "null", "nil", "na", "nan", "empty", "blank", "missing", "undefined", "test"),
        *("notavailable", "notapplicable", "notstated", "notknown", "noid", "noname", "nopatient", "nopatientid"),
        *("removed", "deleted", "redacted", "masked", "hidden", "withheld", "confidential", "deidentified"),
        *(
            "patient",
            "patientid",
            "id",
            "tbd",
            "todo",
            "unbekannt",
            "inconnu",
            "desconocido",
            "sconosciuto",
            "onbekend",
        ),
    }
)
# ANON, ANONYMOUS, Anonymized^Patient, anon0: a word with a number of its own may tell patients apart, as ANON0017.
_ANONYMOUS = re.compile(r"anon[a-z]*0*")
_FILLER = re.compile(r"0*|x{2,}")


def is_placeholder(patient_id: str) -> bool:
    """Whether an id names no patient: empty, zeros, ANONYMOUS, unknown, N/A, none and their like, in any writing.

    Films under such an id are not one person's; whose they are is unknown (Slicer/Slicer#2040, OHDSI/Radiology-CDM#13).
    """
    word = re.sub(r"[\W_]+", "", patient_id.casefold())
    return bool(word in _WORDS or _FILLER.fullmatch(word) or _ANONYMOUS.fullmatch(word))
