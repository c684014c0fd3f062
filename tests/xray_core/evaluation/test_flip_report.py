"""The flip report: which X-rays another model would call otherwise."""

from __future__ import annotations

import csv
from pathlib import Path

from xray_core.evaluation.flip_report import Compared, FlipReport, write_flips_csv
from xray_core.records import AuditVerdict, Label, Outcome

POSITIVE, NEGATIVE, REFER = Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.REFER


def compared(name: str, a: float, b: float, *, label: Label | None = None) -> Compared:
    def say(score: float) -> Outcome:
        return POSITIVE if score >= 0.6 else NEGATIVE if score < 0.4 else REFER

    return Compared(name, name.ljust(64, "0"), None, label, a, say(a), b, say(b))


REPORT = FlipReport(
    "m1",
    "m2",
    (
        compared("a", 0.9, 0.1, label=Label.COVID),
        compared("b", 0.9, 0.8),
        compared("=c", 0.1, 0.5, label=Label.NORMAL),
        compared("d", 0.2, 0.95, label=Label.COVID),
    ),
    unread=2,
)


def test_flips_come_with_the_largest_change_first() -> None:
    assert [one.file for one in REPORT.flips] == ["a", "d", "=c"]


def test_every_way_an_outcome_goes_is_counted() -> None:
    assert REPORT.count() == {
        (NEGATIVE, POSITIVE): 1,
        (NEGATIVE, REFER): 1,
        (POSITIVE, NEGATIVE): 1,
        (POSITIVE, POSITIVE): 1,
    }


def test_a_person_reads_counts_what_is_missing_and_who_was_right() -> None:
    told = "\n".join(REPORT.lines())

    assert "3 of 4 X-rays change outcome from m1 to m2" in told
    assert "2 more could not be read again" in told
    assert "of 3 that readers have labelled, m1 had 2 right, m2 1" in told


def test_models_that_agree_have_no_flips() -> None:
    report = FlipReport("m1", "m2", (compared("a", 0.9, 0.8),), unread=0)

    assert report.lines() == [
        "0 of 1 X-rays change outcome from m1 to m2",
        "  shortcut audit of m1: not known",
        "  shortcut audit of m2: not known",
    ]


def test_the_csv_holds_the_flips_alone_and_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "flips.csv"

    assert write_flips_csv(path, REPORT) == 3

    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["file"] for row in rows] == ["a", "d", "'=c"]
    assert (rows[0]["outcome_a"], rows[0]["outcome_b"], float(rows[0]["probability_covid_b"])) == (
        "positive",
        "negative",
        0.1,
    )


def test_without_file_names_the_csv_names_contents(tmp_path: Path) -> None:
    path = tmp_path / "flips.csv"

    write_flips_csv(path, REPORT, with_file_names=False)

    assert next(csv.DictReader(path.read_text().splitlines()))["file"] == "a" + "0" * 15


def test_a_confounded_audit_stands_beside_the_scores_in_words_and_in_every_row(tmp_path: Path) -> None:
    report = FlipReport("m1", "m2", (compared("a", 0.9, 0.1),), unread=0, audit_a=AuditVerdict.CONFOUNDED)

    write_flips_csv(tmp_path / "flips.csv", report)

    (row,) = csv.DictReader((tmp_path / "flips.csv").read_text().splitlines())
    assert (row["shortcut_audit_a"], row["shortcut_audit_b"]) == ("CONFOUNDED", "not known")
    assert "  shortcut audit of m1: CONFOUNDED" in report.lines()
