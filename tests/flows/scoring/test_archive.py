"""The archive: scored films reach it whatever fails on the way, and no film that was not scored ever does."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from db.records import StayingFilm
from flows.home.films import fit_name
from flows.scoring import film_move
from flows.scoring.film_move import NotMoved, move_film
from flows.settings import Settings
from tests.flows.scoring.test_scan import count_results, drop_xrays, read_lines, scan
from xray_core.exchange.atomic_file import UNFINISHED
from xray_core.imaging.folder import look_again
from xray_core.imaging.records import FileSeen
from xray_core.records import FileState


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the tests' own."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system: /dev/shm is none")
    with tempfile.TemporaryDirectory(dir=memory, prefix="xray-archive-") as folder:
        yield Path(folder)


@pytest.fixture(params=["same", "other"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An archive on the incoming folder's file system, and one on another."""
    if request.param == "other":
        disk: Path = request.getfixturevalue("other_disk")
        return disk
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "arriving"
    folder.mkdir()
    return folder


def put_film(folder: Path, content: bytes = b"a film", name: str = "a.png") -> StayingFilm:
    """A file that stands for a scored film."""
    (folder / name).write_bytes(content)
    asked = FileSeen(os.fsencode(name), 0, 0, 0, True, False)
    seen = look_again(folder, asked)
    assert seen is not None
    return StayingFilm(1, seen, hashlib.sha256(content).hexdigest())


def names(folder: Path) -> list[str]:
    """What lies there; the archive's own folder for copies is empty afterwards."""
    if (folder / UNFINISHED).is_dir():
        assert not os.listdir(folder / UNFINISHED)
    return sorted(set(os.listdir(folder)) - {UNFINISHED})


def films(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def with_archive(settings: Settings, folder: Path) -> Settings:
    return settings.but({"archive_dir": folder})


def test_scored_films_move_to_an_archive_on_another_file_system(settings: Settings, other_disk: Path) -> None:
    settings = with_archive(settings, other_disk)
    paths = drop_xrays(settings.incoming_dir, 3)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}

    assert scan(settings).scored == 3

    assert names(settings.incoming_dir) == []
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in films(other_disk)} == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in films(other_disk))
    assert scan(settings).sentence() == "nothing new"


def test_films_of_before_the_archive_was_set_move_with_the_next_scan(settings: Settings, archive: Path) -> None:
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)

    counts = scan(with_archive(settings, archive))

    assert (counts.files, names(settings.incoming_dir), len(names(archive))) == (0, [], 2)
    assert count_results(settings) == 2


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """An archive that nobody can write to; as root a file system that is read-only."""
    folder = tmp_path / "locked"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_an_archive_that_cannot_be_written_fails_no_film_and_is_tried_again(settings: Settings, locked: Path) -> None:
    drop_xrays(settings.incoming_dir, 3)

    counts = scan(with_archive(settings, locked))

    assert (counts.scored, counts.unarchived.total(), len(names(settings.incoming_dir))) == (3, 3, 3)
    assert "3 not archived (" in counts.sentence()
    again = scan(with_archive(settings, locked))
    assert (again.files, again.unarchived.total()) == (0, 3), "no film is read again for it"
    assert "nothing new, 3 not archived" in again.sentence()
    assert all(line.state is FileState.SCORED for line in read_lines(settings).values())


def test_after_ten_failures_in_a_row_the_others_are_counted_and_not_tried(settings: Settings, locked: Path) -> None:
    drop_xrays(settings.incoming_dir, 15)
    scan(settings)

    assert scan(with_archive(settings, locked)).unarchived.total() == 15


def test_a_full_archive_leaves_the_film_and_no_half_of_one(settings: Settings, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        filling = full / "filling"
        filling.write_bytes(b"x" * shutil.disk_usage(full).free)
        drop_xrays(settings.incoming_dir, 2)
        counts = scan(with_archive(settings, full))
        assert (counts.scored, dict(counts.unarchived)) == (2, {"ENOSPC": 2})
        assert (names(full), len(names(settings.incoming_dir))) == (["filling"], 2)
        filling.unlink()
        assert scan(with_archive(settings, full)).unarchived.total() == 0
        assert (len(names(full)), names(settings.incoming_dir)) == (2, [])
    finally:
        subprocess.run(["umount", "-l", str(full)], check=True)


@pytest.mark.parametrize(
    "name",
    ["n" * 241 + ".png", "é" * 125 + ".png", "x.png", os.fsdecode(b"\xff\xfe \\x.png"), "n" * 255],
    ids=["245 letters", "two bytes each", "short", "stray bytes", "as long as can be"],
)
def test_a_name_of_any_length_and_bytes_is_archived_even_when_it_is_taken(
    settings: Settings, archive: Path, name: str
) -> None:
    settings = with_archive(settings, archive)
    (archive / name).write_bytes(b"another film of that name")
    (path,) = drop_xrays(settings.incoming_dir, 1)
    content = path.read_bytes()
    path.rename(settings.incoming_dir / name)

    counts = scan(settings)

    assert (counts.scored, counts.unarchived.total(), names(settings.incoming_dir)) == (1, 0, [])
    assert sorted(p.read_bytes() for p in films(archive)) == sorted([b"another film of that name", content])
    assert scan(settings).sentence() == "nothing new"


def test_a_cut_name_keeps_its_ending_its_characters_and_what_tells_it_from_others(tmp_path: Path) -> None:
    first, second = fit_name("é" * 200 + "1.dcm", tmp_path), fit_name("é" * 200 + "2.dcm", tmp_path)

    assert first != second
    assert first.endswith(".dcm")
    assert len(first.encode()) <= 255
    assert fit_name("short.dcm", tmp_path) == "short.dcm"


def test_the_sidecar_of_a_film_goes_with_it(incoming: Path, archive: Path) -> None:
    film = put_film(incoming)
    (incoming / "a.png.sha256").write_text(f"{film.sha256}  a.png\n")

    assert move_film(incoming, archive, film) == "a.png"

    assert (names(incoming), names(archive)) == ([], ["a.png", "a.png.sha256"])


def test_a_sidecar_that_announces_the_next_film_stays_for_it(incoming: Path, archive: Path) -> None:
    film = put_film(incoming)
    (incoming / "a.png.sha256").write_text(f"{'0' * 64}  a.png\n")

    move_film(incoming, archive, film)

    assert (names(incoming), names(archive)) == (["a.png.sha256"], ["a.png"])


def by_renaming(path: Path) -> None:
    aside = path.with_name(".new")
    aside.write_bytes(b"another patient's film")
    aside.rename(path)


def in_place(path: Path) -> None:
    path.write_bytes(b"another patient's film")


@pytest.mark.parametrize("replace", [by_renaming, in_place])
def test_a_film_that_is_replaced_before_the_look_stays_to_be_scored(
    incoming: Path, archive: Path, replace: Callable[[Path], None]
) -> None:
    film = put_film(incoming)
    replace(incoming / "a.png")

    assert move_film(incoming, archive, film) is NotMoved.REPLACED

    assert (incoming / "a.png").read_bytes() == b"another patient's film"
    assert names(archive) == []


@pytest.mark.parametrize("replace", [by_renaming, in_place])
@pytest.mark.parametrize("comes_another", [False, True])
def test_a_film_that_is_replaced_between_look_and_move_is_put_back(
    incoming: Path,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
    replace: Callable[[Path], None],
    comes_another: bool,
) -> None:
    """The sender strikes with the very rename that takes the file; a still newer film may come before it is back."""
    film, path, rename = put_film(incoming), incoming / "a.png", Path.rename

    def strike(self: Path, target: Path) -> Path:
        if self == path and target.parent.stat().st_dev == path.parent.stat().st_dev:
            monkeypatch.setattr(Path, "rename", rename)
            replace(path)
            moved = rename(self, target)
            if comes_another:
                path.write_bytes(b"a third film")
            return moved
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", strike)
    move_film(incoming, archive, film)

    left = sorted(p.read_bytes() for p in incoming.iterdir())
    assert left == sorted([b"another patient's film", *([b"a third film"] if comes_another else [])])
    assert not [name for name in names(incoming) if name.startswith(".")]
    assert all(p.read_bytes() == b"a film" for p in films(archive))


def test_a_film_that_changes_while_it_is_copied_stays(
    incoming: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, copy = put_film(incoming), film_move._copy_bytes

    def strike(source: BinaryIO, target: BinaryIO) -> str:
        in_place(incoming / "a.png")
        return copy(source, target)

    monkeypatch.setattr(film_move, "_copy_bytes", strike)

    assert move_film(incoming, other_disk, film) is NotMoved.REPLACED
    assert (incoming / "a.png").read_bytes() == b"another patient's film"
    assert names(other_disk) == []


class Killed(BaseException):
    """Stands for a SIGKILL: nothing tidies up after it."""


@pytest.mark.parametrize("last_step", range(1, 5))
def test_a_move_that_was_killed_at_any_step_is_finished_by_the_next(
    incoming: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, last_step: int
) -> None:
    film = put_film(incoming)
    (incoming / "a.png.sha256").write_text(f"{film.sha256}  a.png\n")
    steps = 0

    def count(step: Callable[..., object]) -> Callable[..., object]:
        def counted(*given: object, **options: object) -> object:
            nonlocal steps
            steps += 1
            if steps > last_step:
                raise Killed
            return step(*given, **options)

        return counted

    with monkeypatch.context() as patch:
        for name in ("rename", "unlink", "replace"):
            patch.setattr(Path, name, count(getattr(Path, name)))
        patch.setattr(os, "link", count(os.link))
        with contextlib.suppress(Killed):
            move_film(incoming, archive, film)

    assert move_film(incoming, archive, film) == "a.png"

    assert names(incoming) == []
    assert (archive / "a.png").read_bytes() == b"a film"
    assert [path.name for path in films(archive)] == ["a.png", "a.png.sha256"]


def test_where_files_have_no_hard_links_a_taken_name_is_still_kept(
    incoming: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    film = put_film(incoming)
    (archive / "a.png").write_bytes(b"another")

    name = move_film(incoming, archive, film)

    assert name == f"{film.sha256[:16]}-a.png"
    assert (archive / "a.png").read_bytes() == b"another"
    assert (archive / str(name)).read_bytes() == b"a film"


def test_a_film_that_somebody_took_away_is_asked_for_once(settings: Settings, archive: Path) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    path.unlink()

    assert scan(with_archive(settings, archive)).unarchived.total() == 0
    path.write_bytes(b"something else under that name, which is to be looked at")
    assert scan(with_archive(settings, archive)).files == 1
