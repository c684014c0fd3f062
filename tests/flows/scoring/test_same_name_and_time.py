"""A film is one content: another one under the same name, size and time is scored, and a chmod scores nothing twice."""

from __future__ import annotations

import os
from pathlib import Path

from flows.settings import Settings
from tests.flows.scoring.test_scan import count_results, drop_xrays, read_lines, scan

DVD = (315_532_800, 315_532_800)  # 1980-01-01, which every file of the DVD has


def deliver(folder: Path, film: Path, size: int) -> None:
    """One film of the DVD: always the same name, size and time; bytes after a PNG's end change no pixel."""
    content = film.read_bytes()
    target = folder / "IM000001.png"
    film.unlink()
    (folder / ".part").write_bytes(content + b"\0" * (size - len(content)))
    os.utime(folder / ".part", DVD)
    (folder / ".part").replace(target)
    os.utime(target, DVD)


def test_another_patients_film_under_the_same_name_size_and_time_is_scored(settings: Settings) -> None:
    first, second = drop_xrays(settings.incoming_dir, 2)
    size = max(first.stat().st_size, second.stat().st_size)
    second.rename(settings.home / "second.png")
    deliver(settings.incoming_dir, first, size)
    assert scan(settings).scored == 1
    before = read_lines(settings)["IM000001.png"]

    deliver(settings.incoming_dir, settings.home / "second.png", size)
    assert scan(settings).scored == 1

    after = read_lines(settings)["IM000001.png"]
    assert after.xray_sha256 != before.xray_sha256
    assert count_results(settings) == 2


def test_a_chmod_costs_one_look_and_no_second_result(settings: Settings) -> None:
    (film,) = drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    film.chmod(0o640)

    again, then = scan(settings), scan(settings)

    assert (again.scored, again.known) == (0, 1)
    assert then.files == 0
    assert count_results(settings) == 1
