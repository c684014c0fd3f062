from __future__ import annotations

import csv
import hashlib
import json
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest

from tests.factories import NOW, rejected_line, result_line
from xray_core.exchange.formula_guard import unguard_text
from xray_core.exchange.records import ResultLine
from xray_core.exchange.results_csv import COLUMNS, name_export, write_results_csv
from xray_core.records import RESEARCH_USE, Label, Outcome

HOSTILE_NAMES = [
    "=cmd|' /C calc'!A0",
    "+1.png",
    "-2.png",
    "@SUM(A1)",
    " =1",
    "'=1",
    'say "hi".png',
    "a,b;c.png",
    "a;=1+1.png",
    "\\x0a.png",
    "äöü漢字🫁.png",
    "\u202egnp.exe",
    "../../etc/passwd",
    "n" * 255,
    "-",
    "1e5",
]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def test_one_row_for_every_file_in_the_order_given(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    labelled = result_line("b.png", label=Label.COVID, labelled_by="r1", labelled_at=NOW)

    summary = write_results_csv(path, [labelled, rejected_line(), result_line("a.png")], notes={})

    rows = read(path)
    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == ["b.png", "broken.png", "a.png"]
    assert rows[0]["label"] == "covid"
    assert rows[0]["labelled_at"] == "2026-05-01T09:30:00+00:00"
    assert rows[1]["reason_code"] == "CORRUPT_IMAGE"
    assert rows[1]["probability_covid"] == ""
    assert (summary.rows, summary.states) == (3, {"rejected": 1, "scored": 2})
    assert summary.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_snapshot_gives_the_same_bytes(tmp_path: Path) -> None:
    lines = [result_line(f"{number}.png", probability=number / 7) for number in range(5)]

    first = write_results_csv(tmp_path / "results.csv", lines, notes={"champion": "m1", "b": "2"})
    content = (first.path.read_bytes(), first.manifest.read_bytes())
    again = write_results_csv(tmp_path / "results.csv", iter(lines), notes={"b": "2", "champion": "m1"})

    assert (again.path.read_bytes(), again.manifest.read_bytes()) == content


def test_probabilities_are_numbers_that_lose_nothing(tmp_path: Path) -> None:
    probabilities = [0.0, 1.0, 0.1, 1 / 3, 1.5e-9, 0.49999999]

    path = write_results_csv(
        tmp_path / "r.csv", [result_line(probability=value) for value in probabilities], notes={}
    ).path

    assert pd.read_csv(path)["probability_covid"].tolist() == probabilities
    assert '"0.1"' not in path.read_text()


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_cell_can_be_run_and_the_row_stays_a_row(tmp_path: Path, name: str) -> None:
    line = replace(result_line(name, patient=name, labelled_by=name), model_version=name)

    path = write_results_csv(tmp_path / "results.csv", [line, result_line("after.png")], notes={}).path

    rows = read(path)
    assert [unguard_text(row["file"]) for row in rows] == [name, "after.png"]
    for column in ("file", "patient", "labelled_by", "model_version"):
        assert not rows[0][column].lstrip(' "').startswith(("=", "+", "-", "@", "\t", "\r", "\0"))


def test_text_is_in_quotes_so_that_a_semicolon_splits_nothing(tmp_path: Path) -> None:
    path = write_results_csv(tmp_path / "results.csv", [result_line("a;=1+1.png")], notes={}).path

    assert path.read_text().splitlines()[1].startswith('"a;=1+1.png","aaaa')


def test_without_file_names_a_pseudonym_stands_in_their_place(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    lines = [result_line("ZZCANARY.png"), rejected_line("ZZCANARY2.png")]

    summary = write_results_csv(path, lines, with_file_names=False, notes={})

    assert [row["file"] for row in read(path)] == ["a" * 16, ""]
    assert "ZZCANARY" not in path.read_text() + summary.manifest.read_text()


def test_times_are_utc_whatever_zone_they_come_in(tmp_path: Path) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5)))

    path = write_results_csv(tmp_path / "r.csv", [replace(result_line(), scored_at=there)], notes={}).path

    assert read(path)[0]["scored_at"] == "2026-05-01T09:30:00+00:00"


def test_the_manifest_says_what_the_csv_is(tmp_path: Path) -> None:
    notes = {"champion": "m1 (unproven)", "audit_head": "f" * 64, "assumed_prevalence": "0.1"}

    summary = write_results_csv(tmp_path / "results.csv", [result_line()], notes=notes)

    manifest = json.loads(summary.manifest.read_bytes())
    assert summary.manifest.name == "results.csv.manifest.json"
    assert manifest["notice"] == RESEARCH_USE
    assert (manifest["file"], manifest["rows"], manifest["sha256"]) == ("results.csv", 1, summary.sha256)
    assert manifest["notes"] == notes


def test_a_snapshot_that_breaks_off_leaves_the_old_export_whole(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    before = write_results_csv(path, [result_line()], notes={})
    content = (path.read_bytes(), before.manifest.read_bytes())

    def break_off() -> Iterator[ResultLine]:
        yield result_line("new.png")
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="went away"):
        write_results_csv(path, break_off(), notes={})

    assert (path.read_bytes(), before.manifest.read_bytes()) == content
    assert len(list(tmp_path.iterdir())) == 2


def test_the_name_of_an_export_says_what_it_is_for() -> None:
    assert name_export(NOW) == "results-20260501T093000Z-research-use-only.csv"
    assert name_export(NOW, caution="confounded") == "results-20260501T093000Z-research-use-only-confounded.csv"


@pytest.mark.lengthy
def test_two_hundred_thousand_rows_take_seconds_and_no_memory(tmp_path: Path) -> None:
    line = result_line("a,b.png", labelled_by="r1")
    tracemalloc.start()
    write_results_csv(tmp_path / "few.csv", (line for _ in range(20_000)), notes={})
    _, few = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    write_results_csv(tmp_path / "some.csv", (line for _ in range(40_000)), notes={})
    _, some = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    started = time.process_time()
    summary = write_results_csv(tmp_path / "many.csv", (line for _ in range(200_000)), notes={})
    seconds = time.process_time() - started

    assert summary.rows == 200_000
    assert some < few + 200_000
    assert seconds < 15  # measured: 2


@pytest.mark.parametrize(
    ("outcome", "unlike", "said"),
    [
        (Outcome.REFER, None, "its score lies between the two thresholds"),
        (Outcome.REFER, "lies on its side", "it lies on its side"),
        (Outcome.POSITIVE, None, ""),
        (None, None, ""),
    ],
)
def test_whatever_is_referred_says_why(tmp_path: Path, outcome: Outcome | None, unlike: str | None, said: str) -> None:
    line = replace(result_line("a.png"), outcome=outcome, refer_reason=unlike)

    path = write_results_csv(tmp_path / "results.csv", [line], notes={}).path

    (row,) = csv.DictReader(path.read_text().splitlines())
    assert row["refer_reason"] == said
