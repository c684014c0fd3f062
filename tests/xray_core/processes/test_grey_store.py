"""Kept grey levels: what was decoded once is not decoded again, and nothing is believed that is not what was kept."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from flows.settings import CHECKOUT
from tests.factories import write_xray
from xray_core.exchange.atomic_file import find_asides, remove_asides
from xray_core.imaging.network_input import fit_pixels
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import UNIDENTIFIED, GreyRules, Identifiers, Preprocessing, Remedy, Scaling
from xray_core.processes import grey_store
from xray_core.processes.decoder import Decoded
from xray_core.processes.grey_store import GreyStore, open_shelf, stamp_file

SMALL = Preprocessing(height=40, width=32, channels=1, scaling=Scaling.UNIT)
AN_OLD_FILE = 0.0  # seconds: what tests write is old enough at once


def open_store(folder: Path, *, most_bytes: int = 2**20) -> GreyStore:
    return GreyStore(folder / "greys", key=b"k" * 32, most_bytes=most_bytes, settled_seconds=AN_OLD_FILE)


def decode(path: Path, preprocessing: Preprocessing = SMALL) -> Decoded:
    content = path.read_bytes()
    film = read_radiograph(content)
    grey = fit_pixels(film.pixels, preprocessing)
    called = Identifiers(patient="ZZPATIENT", study="ZZSTUDY", image="ZZIMAGE")
    return Decoded(sha256(content).hexdigest(), grey, film.facts, film.dhash, seconds=0.1, identifiers=called)


def keep(store: GreyStore, *paths: Path, preprocessing: Preprocessing = SMALL) -> list[Decoded]:
    films = [decode(path, preprocessing) for path in paths]
    with open_shelf(store, preprocessing, ()) as shelf:
        for path, film in zip(paths, films, strict=True):
            shelf.put(film, stamp_file(os.fsencode(path), AN_OLD_FILE))
    return films


def take(store: GreyStore, path: Path, preprocessing: Preprocessing = SMALL) -> Decoded | None:
    with open_shelf(store, preprocessing, ()) as shelf:
        return shelf.take(sha256(path.read_bytes()).hexdigest(), stamp_file(os.fsencode(path), AN_OLD_FILE))


def the_file(store: GreyStore) -> Path:
    (path,) = store.folder.glob("*.greys")
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_xray(tmp_path / "film.png")


@pytest.fixture
def store(tmp_path: Path) -> GreyStore:
    return open_store(tmp_path)


def test_a_kept_film_is_the_one_that_was_decoded_but_for_what_its_header_calls_it(store: GreyStore, film: Path) -> None:
    (decoded,) = keep(store, film)

    kept = take(store, film)

    assert kept is not None
    assert np.array_equal(kept.grey, decoded.grey)
    assert (kept.sha256, kept.facts, kept.dhash) == (decoded.sha256, decoded.facts, decoded.dhash)
    assert kept.identifiers == UNIDENTIFIED
    written = the_file(store).read_bytes()
    assert not [word for word in (b"ZZPATIENT", b"ZZSTUDY", b"ZZIMAGE") if word in written]


def test_the_folder_and_its_files_are_for_their_owner_alone(store: GreyStore, film: Path) -> None:
    keep(store, film)

    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert the_file(store).stat().st_mode & 0o777 == 0o600


def test_the_grey_levels_stay_in_the_map_until_they_are_used(store: GreyStore, film: Path) -> None:
    keep(store, film)

    kept = take(store, film)

    assert kept is not None
    assert not kept.grey.flags.writeable
    assert not kept.grey.flags.owndata


@pytest.mark.parametrize(
    "other",
    [
        replace(SMALL, height=41),
        replace(SMALL, rules=GreyRules.V1),
        replace(SMALL, remedies=(Remedy.EQUALIZE.value,)),
    ],
    ids=lambda other: other.version,
)
def test_another_preprocessing_has_grey_levels_of_its_own(store: GreyStore, film: Path, other: Preprocessing) -> None:
    keep(store, film)

    assert take(store, film, other) is None
    (decoded,) = keep(store, film, preprocessing=other)
    kept = take(store, film, other)
    assert kept is not None
    assert np.array_equal(kept.grey, decoded.grey)
    assert take(store, film) is not None


def overwrite(film: Path) -> None:
    film.write_bytes(film.read_bytes())


def overwrite_and_set_the_time_back(film: Path) -> None:
    before = film.stat()
    film.write_bytes(film.read_bytes())
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns))


def close_to_all(film: Path) -> None:
    film.chmod(0)


def say_that_it_is_another(film: Path) -> None:
    film.with_name(f"{film.name}.sha256").write_text("0" * 64)


@pytest.mark.parametrize("change", [overwrite, overwrite_and_set_the_time_back, close_to_all, say_that_it_is_another])
def test_a_film_whose_file_changed_in_any_way_is_decoded_again(
    store: GreyStore, film: Path, change: Callable[[Path], None]
) -> None:
    (decoded,) = keep(store, film)

    change(film)

    with open_shelf(store, SMALL, ()) as shelf:
        assert shelf.take(decoded.sha256, stamp_file(os.fsencode(film), AN_OLD_FILE)) is None


def test_a_film_that_is_gone_a_link_or_changed_a_moment_ago_is_not_answered_for(tmp_path: Path, film: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(film)

    assert not stamp_file(os.fsencode(tmp_path / "gone.png"), AN_OLD_FILE)
    assert not stamp_file(os.fsencode(link), AN_OLD_FILE)
    assert not stamp_file(os.fsencode(film), 3600)
    assert stamp_file(os.fsencode(film), AN_OLD_FILE)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def cut_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def damage_the_header(path: Path) -> None:
    flip(path, 70)


def damage_the_seal(path: Path) -> None:
    flip(path, 30)


def make_it_something_else(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 1000)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm", [cut, cut_to_nothing, lengthen, damage_the_header, damage_the_seal, make_it_something_else]
)
def test_a_file_that_is_cut_or_damaged_is_not_believed_and_made_anew(
    store: GreyStore, film: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    keep(store, film)
    harm(the_file(store))

    assert take(store, film) is None

    assert "decoded again" in caplog.text
    assert str(film.name) not in caplog.text
    keep(store, film)
    assert take(store, film) is not None


@pytest.mark.parametrize("row", [0, 2], ids=["the first", "the last"])
def test_one_damaged_film_costs_itself_alone(store: GreyStore, tmp_path: Path, row: int) -> None:
    films = [write_xray(tmp_path / f"{seed}.png", seed=seed) for seed in range(3)]
    keep(store, *films)
    rows_to_the_end = len(films) - row
    flip(the_file(store), the_file(store).stat().st_size - rows_to_the_end * SMALL.height * SMALL.width)

    assert [take(store, film) is not None for film in films] == [place != row for place in range(3)]

    keep(store, films[row])
    assert all(take(store, film) is not None for film in films)


def test_films_that_all_came_back_to_the_row_they_had_are_kept_where_they_were(
    store: GreyStore, tmp_path: Path
) -> None:
    """The same films in the same order have the same header, so the file of before is what was just written."""
    films = [write_xray(tmp_path / f"{seed}.png", seed=seed) for seed in range(2)]
    stamps = [stamp_file(os.fsencode(film), AN_OLD_FILE) for film in films]
    decoded = keep(store, *films)
    flip(the_file(store), the_file(store).stat().st_size - 2 * SMALL.height * SMALL.width)

    with open_shelf(store, SMALL, ()) as shelf:
        missed = [film for film, stamp in zip(decoded, stamps, strict=True) if shelf.take(film.sha256, stamp) is None]
        for film in missed:
            shelf.put(film, stamps[0])

    assert [film.sha256 for film in missed] == [decoded[0].sha256]
    assert all(take(store, film) is not None for film in films)


@pytest.mark.parametrize("what", ["key", "decoder"])
def test_what_another_home_or_another_decoder_kept_is_not_believed(
    store: GreyStore, film: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, film)

    if what == "key":
        store = replace(store, key=b"o" * 32)
    else:
        monkeypatch.setattr(grey_store, "fingerprint_decoder", lambda _: "of pillow 99")

    assert take(store, film) is None
    assert not list(store.folder.glob("*.greys")), "nobody will ever believe it"


def test_a_sites_own_words_for_the_chest_are_part_of_the_decoder() -> None:
    assert grey_store.fingerprint_decoder(()) != grey_store.fingerprint_decoder(("TORAX",))


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_cannot_be_read_in_its_place_is_passed_over(
    store: GreyStore, film: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep(store, film)
    path = the_file(store)
    aside = path.rename(path.with_name("elsewhere"))
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(aside)

    assert take(store, film) is None
    assert "cannot be read" in caplog.text


def test_what_a_killed_training_was_writing_is_not_believed_and_tidied_away(store: GreyStore, film: Path) -> None:
    words = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.xray_core.processes.test_grey_store import keep, open_store\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "keep(open_store(Path(sys.argv[1])), Path(sys.argv[2]))\n"
    )

    killed = subprocess.run([sys.executable, "-c", words, film.parent, film], cwd=CHECKOUT, check=False)

    assert killed.returncode == -signal.SIGKILL
    assert find_asides(store.folder)
    assert take(store, film) is None
    remove_asides(store.folder, older_than_seconds=-1)
    keep(store, film)
    assert [path.suffix for path in store.folder.iterdir()] == [".greys"]


def test_a_disk_that_is_full_keeps_nothing_and_says_so(
    store: GreyStore, film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        keep(store, film)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert "grey levels of 1 films are not kept (File too large)" in caplog.text
    assert list(store.folder.iterdir()) == []
    assert take(store, film) is None


def test_a_nearly_full_disk_is_left_alone(store: GreyStore, film: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep(replace(store, spare_bytes=2**60), film)

    assert "not kept" in caplog.text
    assert list(store.folder.iterdir()) == []


def test_no_more_is_kept_than_the_setting_allows_and_what_was_used_last_stays(tmp_path: Path) -> None:
    films = [write_xray(tmp_path / f"{seed}.png", seed=seed) for seed in range(3)]
    store = open_store(tmp_path, most_bytes=16_000)
    others = [replace(SMALL, height=height) for height in (60, 61)]
    for age, other in zip((2000, 1000), others, strict=True):
        keep(store, films[0], preprocessing=other)
        (path,) = store.folder.glob(f"{other.version}.*")
        os.utime(path, (time.time() - age, time.time() - age))

    keep(store, *films)

    assert sum(path.stat().st_size for path in store.folder.iterdir()) <= 16_000
    assert [take(store, films[0], other) is not None for other in others] == [False, True]
    assert take(store, films[0]) is not None
    keep(open_store(tmp_path, most_bytes=100), write_xray(tmp_path / "4.png", seed=4))
    assert take(store, tmp_path / "4.png") is None


def test_films_whose_files_were_moved_are_kept_once_and_for_good(tmp_path: Path) -> None:
    films = [decode(write_xray(tmp_path / f"{seed}.png", seed=seed)) for seed in range(8)]
    store = open_store(tmp_path)

    def train(stamps: list[str]) -> int:
        with open_shelf(store, SMALL, ()) as shelf:
            known = [shelf.take(film.sha256, stamp) is not None for film, stamp in zip(films, stamps, strict=True)]
            for film, stamp, is_known in zip(films, stamps, known, strict=True):
                if not is_known:
                    shelf.put(film, stamp)
        return sum(known)

    train(["as delivered"] * 8)
    size = sum(path.stat().st_size for path in store.folder.iterdir())
    store = replace(store, most_bytes=size + size // 2)  # too little for all of them twice
    for move in ("restored", "archived", "copied"):
        assert train([move] * 8) == 0
        assert train([move] * 8) == 8
    assert train(["copied"] * 3 + ["moved"] * 5) == 3
    assert train(["copied"] * 3 + ["moved"] * 5) == 8

    assert sum(path.stat().st_size for path in store.folder.iterdir()) <= size + 100


def test_two_trainings_at_once_keep_what_either_of_them_decoded(store: GreyStore, tmp_path: Path) -> None:
    both, ours, theirs = (write_xray(tmp_path / f"{seed}.png", seed=seed) for seed in range(3))
    stamps = {path: stamp_file(os.fsencode(path), AN_OLD_FILE) for path in (both, ours, theirs)}
    with open_shelf(store, SMALL, ()) as first, open_shelf(store, SMALL, ()) as second:
        for shelf, paths in ((first, (both, ours)), (second, (both, theirs))):
            for path in paths:
                shelf.put(decode(path), stamps[path])

    assert all(take(store, path) is not None for path in (both, ours, theirs))


def test_many_small_files_become_few_and_who_reads_them_meanwhile_goes_on(store: GreyStore, tmp_path: Path) -> None:
    films = [write_xray(tmp_path / f"{seed}.png", seed=seed) for seed in range(12)]
    keep(store, *films[:4])
    for film in films[4:]:
        keep(store, film)
    (decoded,) = (decode(films[5]),)

    with open_shelf(store, SMALL, ()) as reading:
        with open_shelf(store, SMALL, ()):
            pass
        assert len(list(store.folder.glob("*.greys"))) == 2
        kept = reading.take(decoded.sha256, stamp_file(os.fsencode(films[5]), AN_OLD_FILE))
        assert kept is not None
        assert np.array_equal(kept.grey, decoded.grey)

    assert all(take(store, film) is not None for film in films)
