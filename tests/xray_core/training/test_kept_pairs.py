"""Kept near-duplicate pairs: searched once, and never believed when they are not what this home has written."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import ImageOps

from tests.xray_core.training.test_near_duplicates import draw_film, fit
from xray_core.imaging.records import ImageFacts, Preprocessing, ScaleRule, Scaling
from xray_core.processes.decoder import Decoded
from xray_core.processes.grey_store import GreyStore
from xray_core.records import FileFormat, FilmPath, FolderKind, Label, LabelledXray
from xray_core.training.duplicates import kept_pairs
from xray_core.training.duplicates.kept_pairs import find_pairs

SIZE = Preprocessing(height=150, width=150, channels=1, scaling=Scaling.UNIT)
FACTS = ImageFacts(FileFormat.PNG, 300, 300, "L", ScaleRule.EIGHT_BIT)


def name(number: int) -> str:
    return f"{number:064x}"


def label(number: int, dhash: str = "0" * 16) -> LabelledXray:
    path = FilmPath(1, FolderKind.DATASET, "", f"{number}.png")
    known = {"source": None, "view": None, "sex": None, "age_group": None, "width": 300, "height": 300}
    facts = {"patient_known": True, "file_format": FileFormat.PNG, "dhash": dhash, **known}
    return LabelledXray(number, name(number), path, Label.NORMAL, f"patient {number}", **facts)


# Two pairs of copies: 1 with 4, 2 with 5.
_DRAWN = [draw_film(seed) for seed in range(4)]
_FILMS = [*map(fit, _DRAWN), *(fit(ImageOps.equalize(_DRAWN[place])) for place in (1, 2))]
DECODED = {name(place): Decoded(name(place), film, FACTS, "0" * 16, 0.0) for place, film in enumerate(_FILMS)}
PAIRS = [(name(1), name(4)), (name(2), name(5))]


@pytest.fixture
def store(tmp_path: Path) -> GreyStore:
    return GreyStore(tmp_path / "greys", key=b"k" * 32, most_bytes=2**20)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many new films each search drew."""
    counts: list[int] = []
    search = kept_pairs.search_new

    def count(known: kept_pairs.Searched, films: Sequence[kept_pairs.Film], load: object) -> kept_pairs.Searched:
        counts.append(len(known.find_new(films)))
        return search(known, films, load)

    monkeypatch.setattr(kept_pairs, "search_new", count)
    return counts


def find(store: GreyStore | None, *numbers: int) -> list[tuple[str, str]]:
    xrays = [label(number) for number in numbers or range(len(_FILMS))]
    return find_pairs(store, SIZE, (), xrays, {xray.sha256: DECODED[xray.sha256] for xray in xrays})


def the_file(store: GreyStore) -> Path:
    return store.folder / f"{SIZE.version}.pairs"


def test_only_new_films_are_searched_and_the_pairs_are_those_of_a_whole_search(
    store: GreyStore, drawn: list[int]
) -> None:
    assert find(store, 0, 1, 2) == []
    assert find(store) == find(None) == PAIRS
    assert find(store) == PAIRS
    assert find(store, 2, 3, 5) == [PAIRS[1]]

    assert drawn == [3, 3, 6, 0, 0]
    assert the_file(store).stat().st_mode & 0o777 == 0o600


def test_a_film_whose_hash_in_the_ledger_is_another_is_searched_anew(store: GreyStore) -> None:
    find(store)
    xrays = [label(number, "f" * 16 if number == 4 else "0" * 16) for number in range(len(_FILMS))]

    assert find_pairs(store, SIZE, (), xrays, DECODED) == [PAIRS[1]]
    assert find(store) == PAIRS


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def put_a_folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [cut, empty, damage, put_a_folder_in_its_place])
def test_pairs_that_are_cut_damaged_or_unreadable_are_searched_anew(
    store: GreyStore, drawn: list[int], harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    find(store)
    harm(the_file(store))

    assert find(store) == PAIRS

    assert drawn == [6, 6]
    assert "searched again" in caplog.text


@pytest.mark.parametrize("what", ["home", "decoder", "search"])
def test_pairs_of_another_home_decoder_or_search_are_not_believed(
    store: GreyStore, drawn: list[int], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(store)

    if what == "home":
        store = replace(store, key=b"o" * 32)
    elif what == "decoder":
        monkeypatch.setattr(kept_pairs, "fingerprint_decoder", lambda _: "of pillow 99")
    else:
        monkeypatch.setattr(kept_pairs, "_fingerprint", lambda _: "of another bound")

    assert find(store) == PAIRS
    assert drawn == [6, 6]


def test_a_disk_that_is_full_costs_the_next_training_a_search_and_this_one_nothing(
    store: GreyStore, drawn: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        assert find(store) == PAIRS
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert "not kept (File too large)" in caplog.text
    assert list(store.folder.iterdir()) == []
    assert find(store) == PAIRS
    assert drawn == [6, 6]
