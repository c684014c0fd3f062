"""Exports while scanners write and are killed: each is one whole snapshot, and later ones never say less."""

from __future__ import annotations

import csv
import hashlib
import io
import random
from pathlib import Path

import pytest

from flows.review.exports import write_export
from flows.settings import Settings
from tests.faults.scanners import drop_many, kill_after, scored_contents, start, start_working_scan, wait_until
from tests.flows.scoring.test_scan import scan
from xray_core.exchange.results_csv import ExportSummary

pytestmark = pytest.mark.processes


def test_every_export_during_a_scan_is_one_whole_snapshot(settings: Settings, tmp_path: Path) -> None:
    drop_many(settings.incoming_dir, 1200)
    scanner = start_working_scan(settings)
    rows = []
    while scanner.poll() is None:
        summary = write_export(settings, out=tmp_path / f"export-{len(rows)}.csv")
        rows.append(count_rows(summary))
    assert scanner.returncode == 0

    first = write_export(settings, out=tmp_path / "first.csv")
    again = write_export(settings, out=tmp_path / "again.csv")
    assert rows == sorted(rows)
    assert len(rows) >= 3
    assert first.rows == 1200
    assert first.path.read_bytes() == again.path.read_bytes()


def test_exports_made_while_scanners_and_exporters_are_killed_are_whole_snapshots(
    settings: Settings, tmp_path: Path, sqlite_home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_BATCH_SIZE", "4")
    chance = random.Random(8)
    rows: list[int] = []
    killed = 0

    for cycle in range(4):
        drop_many(settings.incoming_dir, 225, seed=cycle)
        scanner, before = start_working_scan(settings), len(scored_contents(settings))
        wait_until(lambda: len(scored_contents(settings)) > before, seconds=60)  # noqa: B023
        rows += [count_rows(write_export(settings, out=tmp_path / "own.csv")) for _ in range(3)]
        exporter = start("flows", "export", "--out", str(tmp_path / "shared.csv"))
        killed += kill_after(exporter, chance.uniform(0.2, 1.2))
        scanner.kill()
        scanner.wait()
        if (tmp_path / "shared.csv").exists():
            read_export(tmp_path / "shared.csv")
        rows.append(count_rows(write_export(settings, out=tmp_path / "own.csv")))

    scan(settings)
    first, again = (write_export(settings, out=tmp_path / name) for name in ("first.csv", "again.csv"))
    assert killed
    assert rows == sorted(rows)
    assert first.rows == 900
    assert first.path.read_bytes() == again.path.read_bytes()


def count_rows(summary: ExportSummary) -> int:
    """Its rows, once its bytes are known to be what its manifest says."""
    assert read_export(summary.path) == summary.sha256
    assert summary.path.read_bytes().count(b"\n") == summary.rows + 1
    return summary.rows


def read_export(path: Path) -> str:
    """The SHA-256 of an export, each of whose rows has all columns to the last byte."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    assert len({len(row) for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))}) == 1
    return hashlib.sha256(content).hexdigest()
