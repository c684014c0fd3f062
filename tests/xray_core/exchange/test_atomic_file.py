from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xray_core.exchange.atomic_file import remove_asides, write_aside, write_whole
from xray_core.imaging.folder import is_ignored


def test_a_written_file_is_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"

    write_whole(path, b"new")

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(b"old")

    with pytest.raises(KeyboardInterrupt):
        write_half_and_stop(path)

    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]


def write_half_and_stop(path: Path) -> None:
    with write_aside(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))

    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            write_whole(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]


def test_what_a_killed_writer_leaves_is_no_file_to_anybody_and_is_removed_later(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(b"old")
    program = (
        "import os, signal, sys; from pathlib import Path; from xray_core.exchange.atomic_file import write_aside\n"
        "with write_aside(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )

    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)

    (aside,) = (file for file in tmp_path.iterdir() if file != path)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert is_ignored(os.fsencode(aside.name))
    assert remove_asides(tmp_path) == 0
    assert remove_asides(tmp_path, older_than_seconds=-1) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)

    write_whole(path, b"new")

    assert path.read_bytes() == b"new"
