"""What the folder walk finds, and what it decides without opening a file."""

from __future__ import annotations

import os
import time
from array import array
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_core.imaging.folder import (
    find_files,
    holds_fewer_than,
    is_settled,
    look_again,
    plan_retry,
    refuse_by_kind,
    sign_all,
    sign_file,
)
from xray_core.imaging.records import FileSeen
from xray_core.records import ReasonCode, Refusal, escape_name, unescape_name

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING_KNOWN: array[int] = array("q")


def names_found(folder: Path, known: array[int] = NOTHING_KNOWN) -> set[bytes]:
    return {seen.name for seen in find_files(folder, 1, known)}


def signature(path: Path) -> int:
    stat = path.stat()
    return sign_file(1, os.fsencode(path.name), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def test_every_delivered_file_is_found_once(tmp_path: Path) -> None:
    for name in ("a.png", "b.JPG", "no-ending"):
        (tmp_path / name).write_bytes(b"x")

    found = list(find_files(tmp_path, 1, NOTHING_KNOWN))

    assert sorted(seen.name for seen in found) == [b"a.png", b"b.JPG", b"no-ending"]
    assert all(seen.is_regular and seen.size == 1 for seen in found)


@pytest.mark.parametrize(
    "name",
    [".hidden", "x.png.part", "x.tmp", "x.png~", "~$x.png", ".x.png.Ab3dEf", "Thumbs.db", ".DS_Store", "._x.png",
     "DICOMDIR", "x.png.sha256"],
)  # fmt: skip
def test_a_temporary_or_foreign_name_is_not_a_delivery(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")

    assert names_found(tmp_path) == set()


def test_a_known_file_is_not_found_again_and_a_changed_one_is(tmp_path: Path) -> None:
    for name in ("known.png", "changed.png", "new.png"):
        (tmp_path / name).write_bytes(b"first")
    known = array("q", sorted([signature(tmp_path / "known.png"), signature(tmp_path / "changed.png")]))
    (tmp_path / "changed.png").write_bytes(b"second version")

    assert names_found(tmp_path, known) == {b"changed.png", b"new.png"}


def test_a_renamed_file_is_a_file_the_ledger_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    known = array("q", [signature(tmp_path / "a.png")])
    (tmp_path / "a.png").rename(tmp_path / "b.png")

    assert names_found(tmp_path, known) == {b"b.png"}


def test_links_pipes_and_folders_are_seen_for_what_they_are_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link.png").symlink_to("/etc/passwd")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.png")

    found = {seen.name: refuse_by_kind(seen) for seen in find_files(tmp_path, 1, NOTHING_KNOWN)}

    assert {name: refusal.reason for name, refusal in found.items() if refusal} == {
        b"target": ReasonCode.NOT_REGULAR_FILE,
        b"link.png": ReasonCode.SYMLINK,
        b"dangling.png": ReasonCode.SYMLINK,
        b"pipe.png": ReasonCode.NOT_REGULAR_FILE,
    }


def test_a_regular_file_is_not_refused_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")

    assert [refuse_by_kind(seen) for seen in find_files(tmp_path, 1, NOTHING_KNOWN)] == [None]


def test_looking_again_sees_a_change_and_a_disappearance(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    (seen,) = find_files(tmp_path, 1, NOTHING_KNOWN)

    assert look_again(tmp_path, seen) == seen
    path.write_bytes(b"xy")
    assert look_again(tmp_path, seen) != seen
    path.unlink()
    assert look_again(tmp_path, seen) is None


@pytest.mark.parametrize("mtime", [0, 4_000_000_000])
def test_an_mtime_of_1970_or_of_the_next_century_does_not_make_a_fresh_file_settled(tmp_path: Path, mtime: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    os.utime(path, (mtime, mtime))
    (seen,) = find_files(tmp_path, 1, NOTHING_KNOWN)
    written_ns = seen.ctime_ns

    assert not is_settled(seen, now_ns=written_ns + 1_000_000_000, settle_seconds=5)
    assert is_settled(seen, now_ns=written_ns + 5_000_000_000, settle_seconds=5)


def test_a_file_from_the_future_is_not_settled_after_the_clock_went_back() -> None:
    seen = FileSeen(b"a.png", 1, 0, time.time_ns() + 10**12, is_regular=True, is_symlink=False)

    assert not is_settled(seen, now_ns=time.time_ns(), settle_seconds=5)


def test_the_signature_changes_with_folder_name_size_and_both_times() -> None:
    signatures = {
        sign_file(1, b"a", 1, 2, 3),
        sign_file(2, b"a", 1, 2, 3),
        sign_file(1, b"b", 1, 2, 3),
        sign_file(1, b"a", 2, 2, 3),
        sign_file(1, b"a", 1, 3, 3),
        sign_file(1, b"a", 1, 2, 4),
    }

    assert len(signatures) == 6
    assert all(-(2**63) <= one < 2**63 for one in signatures)


def test_a_truncated_file_is_tried_about_twenty_times_in_a_day_and_then_rejected() -> None:
    refusal = Refusal(ReasonCode.TRUNCATED, "no end marker")
    now, tries = NOW, 0

    while retry_at := plan_retry(refusal, deferred_since=NOW, tries=tries, now=now, defer_hours=24):
        assert retry_at > now
        now, tries = retry_at, tries + 1

    assert timedelta(hours=24) <= now - NOW <= timedelta(hours=26)
    assert 15 <= tries <= 25


def test_a_file_that_can_never_be_scored_is_rejected_at_once() -> None:
    refusal = Refusal(ReasonCode.UNSUPPORTED_FORMAT, "a PDF")

    assert plan_retry(refusal, deferred_since=None, tries=0, now=NOW, defer_hours=24) is None


def test_a_file_that_still_changes_is_looked_at_by_the_very_next_scan() -> None:
    refusal = Refusal(ReasonCode.UNSETTLED, "still changing")

    assert plan_retry(refusal, deferred_since=NOW, tries=9, now=NOW, defer_hours=24) == NOW


@given(st.binary(min_size=1, max_size=255))
def test_any_file_name_survives_escaping_and_its_text_is_printable(name: bytes) -> None:
    text = escape_name(name)

    assert unescape_name(text) == name
    assert text.isprintable()


@pytest.mark.parametrize("files", [0, 1, 5])
def test_a_folder_is_counted_no_further_than_asked(tmp_path: Path, files: int) -> None:
    for number in range(files):
        (tmp_path / f"{number}.png").touch()

    assert [holds_fewer_than(tmp_path, limit) for limit in (files, files + 1, files + 100)] == [files == 0, True, True]


def test_the_signatures_of_a_folder_are_those_by_which_its_files_are_known(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.png").touch()

    known = array("q", sorted(sign_all(tmp_path, 1)))

    assert len(known) == 20
    assert list(find_files(tmp_path, 1, known)) == []
