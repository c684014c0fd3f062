"""Which file a name in a CSV means, when programs on its way have written the name in another form."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote

# What a labelling tool puts before a file's own name when it is uploaded: Label Studio, eight hex digits.
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
# Of a file's ending, so that `scan.2` and `scan.3` stay two files.
_ENDING = re.compile(r"\.(dcm|dicom|png|jpe?g)$")
_SPREADSHEET_DATE = re.compile(r"\d{1,2}[.\-/ ]\s?(\d{1,2}|[^\W\d]{3,9})([.\-/ ]\d{2,4})?\.?|[^\W\d]{3,9}[ \-]\d{2,4}")
_SPREADSHEET_NUMBER = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)


def match_names(wanted: Iterable[str], known: Iterable[str]) -> dict[str, set[str]]:
    """For every wanted name the known ones that it can mean; none, or several where it cannot be told.

    A known name of the very same characters counts alone. Else those of the same base name (a path or an address
    before it left out), else those equal in Unicode's composed form (UAX 15, NFC: Macs write names decomposed), else
    without regard to case, else without a picture's ending too. Two wanted names never come to mean one file by
    such likeness. `known` is read once, as a stream.
    """
    sought: list[dict[str, list[str]]] = []
    names = list(dict.fromkeys(wanted))
    for form in _FORMS:
        by_form: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            for spelling in {form(base) for base in _base_names(name)}:
                by_form[spelling].append(name)
        sought.append(dict(by_form))
    found: dict[str, list[set[str]]] = {name: [set() for _ in _FORMS] for name in names}
    for name in known:
        base = name.rpartition("/")[2]
        for tier, form in enumerate(_FORMS):
            for candidate in sought[tier].get(form(base), ()):
                found[candidate][tier].add(name)
    chosen = {name: _choose(name, tiers) for name, tiers in found.items()}
    claims = Counter(hit for hits in chosen.values() if len(hits) == 1 for hit in hits)
    return {
        name: hits if name in hits or len(hits) != 1 or claims[min(hits)] == 1 else set()
        for name, hits in chosen.items()
    }


def matches_few(fitting: int, possible: int) -> bool:
    """Whether so few of the rows that could fit a file do that the names are probably others': less than a quarter."""
    return 4 * fitting < possible


def looks_rewritten(name: str) -> bool:
    """Whether a spreadsheet made a date or a rounded number of what once was a name."""
    return bool(_SPREADSHEET_DATE.fullmatch(name.strip()) or _SPREADSHEET_NUMBER.fullmatch(name.strip()))


def find_longer(wanted: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Of wanted names that are numbers, those that may be a known name without the zeros before it; and that name.

    A spreadsheet takes such zeros away, also from names that have lost their ending. None where a wanted number still
    has its zeros: that list was never through one. `known` is read once, as a stream.
    """
    numbers = {name for name in wanted if name.isdecimal()}
    if not numbers or any(name.startswith("0") for name in numbers):
        return {}
    longer: dict[str, str] = {}
    for name in known:
        stem = _without_ending(name.rpartition("/")[2])
        if stem.isdecimal() and stem.startswith("0") and (short := stem.lstrip("0")) in numbers:
            longer.setdefault(short, name)
    return longer


def _choose(name: str, tiers: list[set[str]]) -> set[str]:
    hits = next((hits for hits in tiers if hits), set())
    return {name} if name in hits else hits


def _base_names(name: str) -> set[str]:
    """What may be the file's own name in what a program wrote: a path, an address, an upload's name."""
    base = re.split(r"/|\\(?!x[0-9a-f]{2})", name)[-1]  # `\x1f` is our own way to write what cannot be printed
    bases = {name.rpartition("/")[2], base}
    if "://" in name or name.startswith("/data/"):
        bases.add(unquote(re.split(r"[/\\=]", unquote(name))[-1]))
    return bases | {_UPLOADED.sub("", base, count=1) for base in bases if _UPLOADED.match(base)}


def _as_written(base: str) -> str:
    return base


def _composed(base: str) -> str:
    return base if base.isascii() else normalize("NFC", base)


def _any_case(base: str) -> str:
    return _composed(_composed(base).casefold())


def _without_ending(base: str) -> str:
    return _ENDING.sub("", _any_case(base))


_FORMS: Final[tuple[Callable[[str], str], ...]] = (_as_written, _composed, _any_case, _without_ending)
