from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.hostile_files import encode, film, png
from xray_core.errors import UnreadableXray
from xray_core.imaging.content import check_sidecar, read_content
from xray_core.imaging.limits import ImageLimits
from xray_core.records import ReasonCode

LIMITS = ImageLimits()


def test_a_file_is_read_as_it_was_seen_and_hashed_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(png())
    seen = path.stat()

    found = read_content(
        os.fsencode(path), directory_fd=None, size=seen.st_size, mtime_ns=seen.st_mtime_ns, limits=LIMITS
    )

    assert found.content == png()
    assert len(found.sha256) == 64


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_bytes(png() + b"x"), ReasonCode.CHANGED_DURING_READ),
        (lambda path: os.utime(path, ns=(1, 1)), ReasonCode.CHANGED_DURING_READ),
        (lambda path: path.unlink(), ReasonCode.GONE),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), ReasonCode.SYMLINK),
        (lambda path: (path.unlink(), os.mkfifo(path)), ReasonCode.NOT_REGULAR_FILE),
        (lambda path: (path.unlink(), path.mkdir()), ReasonCode.NOT_REGULAR_FILE),
    ],
)
def test_what_is_no_longer_what_was_listed_is_not_read(change: object, reason: ReasonCode, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(png())
    seen = path.stat()
    change(path)  # type: ignore[operator]

    with pytest.raises(UnreadableXray) as refused:
        read_content(os.fsencode(path), directory_fd=None, size=seen.st_size, mtime_ns=seen.st_mtime_ns, limits=LIMITS)

    assert refused.value.reason is reason


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png())
    inside = tmp_path / "incoming"
    inside.mkdir()
    descriptor = os.open(inside, os.O_RDONLY)

    try:
        with pytest.raises(UnreadableXray) as refused:
            read_content(b"../secret.png", directory_fd=descriptor, size=1, mtime_ns=1, limits=LIMITS)
    finally:
        os.close(descriptor)

    assert refused.value.reason is ReasonCode.BAD_NAME


def test_a_file_that_is_replaced_all_the_time_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    versions = [png(), encode(255 - film(), "PNG")]
    path = tmp_path / "film.png"
    path.write_bytes(versions[0])
    stop = threading.Event()

    def replace() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            (tmp_path / "film.part").write_bytes(versions[turn % 2])
            (tmp_path / "film.part").replace(path)

    writer = threading.Thread(target=replace)
    writer.start()
    read = 0
    try:
        for _ in range(1000):
            seen = path.stat()
            try:
                found = read_content(
                    os.fsencode(path), directory_fd=None, size=seen.st_size, mtime_ns=seen.st_mtime_ns, limits=LIMITS
                )
            except UnreadableXray as error:
                assert error.reason is ReasonCode.CHANGED_DURING_READ  # noqa: PT017
            else:
                read += 1
                assert found.content in versions
    finally:
        stop.set()
        writer.join()

    assert read > 0


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        (b"%s  film.png\n", False),
        (b"%s\n", False),
        (b"", True),
        (b"0" * 64, True),
        (b"no digest at all", True),
    ],
)
def test_a_producers_own_checksum_is_checked_where_there_is_one(text: bytes, is_refused: bool, tmp_path: Path) -> None:
    digest = "ab" * 32
    name = os.fsencode(tmp_path / "film.png")
    Path(os.fsdecode(name) + ".sha256").write_bytes(text.replace(b"%s", digest.upper().encode()))

    try:
        check_sidecar(name, digest, directory_fd=None)
        reason = None
    except UnreadableXray as error:
        reason = error.reason

    assert reason is (ReasonCode.TRUNCATED if is_refused else None)


def test_a_name_too_long_for_a_checksum_file_has_none() -> None:
    check_sidecar(b"x" * 255, "ab" * 32, directory_fd=None)


def test_without_a_checksum_file_nothing_is_checked(tmp_path: Path) -> None:
    check_sidecar(os.fsencode(tmp_path / "film.png"), "ab" * 32, directory_fd=None)

    assert list(tmp_path.iterdir()) == []
