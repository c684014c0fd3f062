"""Is a body part a chest, in the languages of those who send it, with lost letters and broken accents?

BodyPartExamined should be one of the words of PS3.16, annex L (CHEST); in practice it is what somebody typed. The
largest public set of covid X-rays (SIIM-FISABIO-RSNA, from BIMCV in Valencia) has CHEST, PORT CHEST, TORAX,
"2- TORAX", "T?RAX", "TÒRAX" and Pecho.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

# Anywhere in the text, as in CHESTPORT or XTHORAX_AP.
_PARTS = ("chest", "thorax", "torax", "toraks", "thoraks", "lung")
# Whole words, for many a spine begins like a chest: Brustwirbel, borstwervel.
_WORDS = """
    thoracic thoracique toracico toracica torácico torácica
    pecho peito torace toracele poitrine poumon poumons pulmon pulmones pulmão pulmões polmone polmoni pulmo
    brust brustkorb brustraum lunge lungen borst borstkas longen bröst bröstkorg bryst brystkasse brystkassen lungor
    klatka klp płuc płuca hrudník hrudní hruď plíce pľúca mellkas plămâni göğüs akciğer rintakehä keuhko keuhkot
    grudni pluća krūtinė krūškurvis rindkere θώρακας θώρακος θώραξ груд грудь груди грудна грудная грудной гръден
    гърди огк легкие легких ngực phổi dada paru
"""
_SCRIPTS = ("肺", "흉부", "가슴", "폐", "صدر", "سینه", "חזה", "छाती", "ทรวงอก", "หน้าอก", "ปอด")
_CHEST_NOT_BONE = re.compile(r"胸(?![椎骨])")
_OTHER = re.compile(
    r"spin|wirbel|wervel|colum|colun|colon|vertebr|rachi|raqui|dorsa|disc|outlet|позвон|хребет|kregosl|pater|gerinc|omur|mamm|молочн"
)
_LOST = re.compile(r"[?\ufffd_*]")
_ENCODINGS = ("utf-8", "gb18030", "shift_jis", "euc_kr", "cp1251", "iso8859_7")


def names_chest(text: str, more_words: Collection[str] = ()) -> bool:
    """Whether a body part is a chest, by a known word or by one of a site's own."""
    own = [_simplify(word) for word in more_words]
    return any(
        any(part in reading for part in _PARTS)
        or any(word and word in reading for word in own)
        or any(word in reading for word in _SCRIPTS_FOLDED)
        or _CHEST_NOT_BONE.search(reading) is not None
        or (not _OTHER.search(reading) and any(_is_word(token) for token in _split(reading)))
        for reading in _readings(text)
    )


def _readings(text: str) -> Iterator[str]:
    """The text as it stands, and as it reads where its bytes were of another encoding than DICOM's Latin letters."""
    yield _simplify(text)
    if text.isascii():
        return
    for encoding in _ENCODINGS:
        try:
            yield _simplify(text.encode("latin-1").decode(encoding))
        except UnicodeError:
            continue


def _simplify(text: str) -> str:
    """Small letters without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return unicodedata.normalize("NFC", "".join(mark for mark in decomposed if not unicodedata.combining(mark)))


# Letters that have no decomposition.
_LETTERS = str.maketrans("łøđıæß", "lodias")


def _split(text: str) -> list[str]:
    return [token for token in re.split(r"[^\w?\ufffd*]+", text) if token]


def _is_word(token: str) -> bool:
    """A known word; a lost letter stands for one or two, and four of them at least must be left."""
    if not _LOST.search(token):
        return token in _WORDS_FOLDED
    if len(_LOST.sub("", token)) < 4:
        return False
    pattern = re.compile("".join(".{1,2}" if _LOST.match(letter) else re.escape(letter) for letter in token))
    return any(pattern.fullmatch(word) for word in (*_WORDS_FOLDED, *_PARTS))


_WORDS_FOLDED = frozenset(_simplify(word) for word in _WORDS.split())
_SCRIPTS_FOLDED = tuple(_simplify(word) for word in _SCRIPTS)
