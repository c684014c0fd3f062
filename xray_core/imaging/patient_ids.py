"""Patient ids that name nobody: what anonymisers, forms and spreadsheets write where an id should stand."""

from __future__ import annotations

import re
import unicodedata

# Compared without case, accents, spaces and punctuation, as a whole and word by word.
_NOBODY = """
    unknown unk none null nil na nan empty blank missing undefined test testing unnamed unidentified nobody default
    notavailable notapplicable notstated notknown notprovided notspecified notgiven notrecorded nd nn
    noid noname nopatient nopatientid withoutid withoutname
    removed deleted redacted masked hidden withheld confidential deidentified deid pseudonymized pseudonymised
    tbd todo dummy phantom johndoe janedoe doejohn doejane
    unbekannt ohneid ohnename namenlos inconnu inconnue sansnom sansid desconocido desconocida sinnombre sinid
    sinidentificar noidentificado sconosciuto sconosciuta ignoto ignota senzanome desconhecido desconhecida ignorado
    semnome onbekend nieznany nieznana neznamy neznama okand ukjent ukendt tuntematon bilinmiyor
    неизвестно неизвестен неизвестный неизвестныи анонимно аноним анонимный анонимныи
    不明 不详 未知 匿名 氏名不詳 無名 미상 익명
"""
# They say what is meant, and beside a word above nothing more: TEST PATIENT, Unknown^Patient.
_BESIDE = "patient patients patientid patientname paciente paziente pasient id name person subject"
# ANON, ANONYMOUS, Anonymized^Patient, anon0: a word with a number of its own may tell patients apart, as ANON0017.
_ANONYMOUS = re.compile(r"anon[a-z]*0*")
_FILLER = re.compile(r"0*|9{5,}|x+")
_SPREADSHEET_ERROR = re.compile(r"#[A-Z/0]+[!?]?")


_WORDS, _NEUTRAL = frozenset(_NOBODY.split()), frozenset(_BESIDE.split())


def is_placeholder(patient_id: str) -> bool:
    """Whether an id names no patient: empty, zeros, ANONYMOUS, unknown, N/A, none and their like, in any writing.

    Films under such an id are not one person's; whose they are is unknown (Slicer/Slicer#2040, OHDSI/Radiology-CDM#13).
    """
    if _SPREADSHEET_ERROR.fullmatch(patient_id.strip()):
        return True
    words = [word for word in re.split(r"[\W_]+", _simplify(patient_id)) if word]
    whole = "".join(words)
    return _names_nobody(whole) or whole in _NEUTRAL or all(_names_nobody(word) or word in _NEUTRAL for word in words)


def _names_nobody(word: str) -> bool:
    return bool(word in _WORDS or _FILLER.fullmatch(word) or _ANONYMOUS.fullmatch(word))


def _simplify(text: str) -> str:
    """Small letters without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(mark for mark in decomposed if not unicodedata.combining(mark)))
