"""What leaves for review: every decided file once, private, with its caution; and it comes back as labels."""

from __future__ import annotations

import csv
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from db.engine import snapshot
from db.scoring.tables import LabelRow
from flows.home.ledger import open_ledger
from flows.home.site_key import read_site_key
from flows.operations.file_story import explain
from flows.operations.verification import find_breach
from flows.review.exports import write_export, write_worklist
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from xray_core.errors import RefusedInput
from xray_core.models.folder import read_manifest
from xray_core.reading.reading_list import AUDIT_SHARE, draw_audit, make_doubt
from xray_core.records import RESEARCH_USE, Label


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_an_export_has_one_row_for_every_file_that_was_decided_on(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 4)
    (settings.incoming_dir / "report.png").write_bytes(b"%PDF-1.7 not an image")
    scan(settings)

    summary = write_export(settings)

    rows = read_rows(summary.path)
    assert summary.path.parent == settings.exports_dir
    assert "research-use-only" in summary.path.name
    assert (summary.rows, len(rows)) == (5, 5)
    assert {row["file"]: row["reason_code"] for row in rows}["report.png"] == "UNSUPPORTED_FORMAT"
    assert {row["file"]: float(row["probability_covid"]) for row in rows if row["outcome"]} == {
        name: line.probability_covid for name, line in read_lines(settings).items() if line.outcome
    }


def test_what_stands_beside_the_scores_says_how_far_to_believe_them(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)
    scan(settings)

    summary = write_export(settings)

    manifest = json.loads(summary.manifest.read_text())
    assert manifest["notice"] == RESEARCH_USE
    assert manifest["notes"]["champion"] == "0001-untrained"
    assert "UNPROVEN" in manifest["notes"]["standing"]
    assert manifest["notes"]["shortcut_audit"] == "not known"
    assert manifest["notes"]["assumed_prevalence"] == "0.1"


def test_an_export_is_for_its_owner_alone(settings: Settings) -> None:
    summary = write_export(settings)

    assert {stat.S_IMODE(path.stat().st_mode) for path in (summary.path, summary.manifest)} == {0o600}


def test_the_same_ledger_gives_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 3)
    scan(settings)

    first, second = (write_export(settings, out=tmp_path / name) for name in ("a.csv", "b.csv"))

    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256


def test_since_leaves_out_what_was_decided_before(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    now = datetime.now(UTC)

    later = write_export(settings, out=tmp_path / "later.csv", since=now + timedelta(hours=1))
    earlier = write_export(settings, out=tmp_path / "earlier.csv", since=now - timedelta(hours=1))

    assert (later.rows, earlier.rows) == (0, 2)


def test_without_file_names_no_name_leaves_and_labels_still_come_back(settings: Settings, tmp_path: Path) -> None:
    settings = settings.but({"file_names_in_exports": False})
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)

    summary = write_export(settings, out=tmp_path / "out.csv")
    rows = read_rows(summary.path)
    write_rows(tmp_path / "back.csv", [row | {"label": "covid"} for row in rows])
    done = import_labels_from(settings, tmp_path / "back.csv", mapping={})

    assert "xray-0" not in summary.path.read_text()
    assert (done.rows, done.new) == (2, 2)
    assert {line.label for line in read_lines(settings).values()} == {Label.COVID}


@pytest.mark.parametrize("limit", [1, 5, 7, 50])
def test_a_worklist_lists_unlabelled_xrays_once_audit_films_first_and_then_by_doubt(
    settings: Settings, tmp_path: Path, limit: int
) -> None:
    drop_xrays(settings.incoming_dir, 12)
    scan(settings)
    labelled = sorted(read_lines(settings))[:2]
    (tmp_path / "labels.csv").write_text("filename,label\n" + "".join(f"{name},normal\n" for name in labelled))
    import_labels_from(settings, tmp_path / "labels.csv", mapping={})

    summary = write_worklist(settings, out=tmp_path / "worklist.csv", limit=limit)

    rows = read_rows(summary.path)
    assert len(rows) == min(limit, 10)
    assert len({row["xray_sha256"] for row in rows}) == len(rows)
    assert not {row["file"] for row in rows} & set(labelled)
    key, point = read_site_key(settings), read_manifest(settings.models_dir / "0001-untrained").operating_point
    drawn = [draw_audit(key, row["xray_sha256"]) for row in rows]
    audited = sum(place < AUDIT_SHARE for place in drawn[: -(-limit // 2)])
    assert drawn[:audited] == sorted(drawn)[:audited]
    ranked = [(row["outcome"] != "refer", make_doubt(point)(float(row["probability_covid"]))) for row in rows[audited:]]
    assert ranked == sorted(ranked)


def test_what_is_referred_says_why_and_the_thresholds_stand_in_the_manifest(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 12)
    scan(settings)
    point = read_manifest(settings.models_dir / "0001-untrained").operating_point

    summary = write_export(settings, out=tmp_path / "results.csv")

    rows = read_rows(summary.path)
    for row in rows:
        between = point.lower <= float(row["probability_covid"]) < point.upper
        assert bool(row["refer_reason"]) == (row["outcome"] == "refer")
        assert (row["refer_reason"] == "its score lies between the two thresholds") <= between
    notes = json.loads(summary.manifest.read_text())["notes"]
    assert f"negative below {point.lower:.4f}, positive from {point.upper:.4f}" in notes["thresholds"]


def test_a_csv_for_review_holds_no_word_of_the_model_and_its_labels_were_read_blind(
    settings: Settings, tmp_path: Path
) -> None:
    drop_xrays(settings.incoming_dir, 3)
    (settings.incoming_dir / "report.png").write_bytes(b"%PDF-1.7 not an image")
    scan(settings)

    blind = write_export(settings, out=tmp_path / "to-read.csv", for_review=True)
    shown = write_export(settings, out=tmp_path / "results.csv")

    rows = read_rows(blind.path)
    said = blind.path.read_text() + blind.manifest.read_text()
    assert [row["score_visible"] for row in rows] == ["no"] * 3
    assert not [row for row in read_rows(shown.path) if row["outcome"] and row["probability_covid"] in said]
    assert not {"positive", "negative", "refer", "probability", "0001-untrained"} & set(said.replace('"', " ").split())
    for label, file, visible in (("covid", blind.path, False), ("normal", shown.path, True)):
        scored = [row for row in read_rows(file) if row.get("state", "scored") == "scored"]
        write_rows(tmp_path / "back.csv", [row | {"label": label, "labelled_by": label} for row in scored])
        assert import_labels_from(settings, tmp_path / "back.csv", mapping={}).new == 3
        with open_ledger(settings) as engine, snapshot(engine) as session:
            found = session.scalars(select(LabelRow.score_visible).where(LabelRow.reader == label)).all()
        assert found == [visible] * 3


def test_a_worklist_names_the_same_xrays_to_everybody(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 8)
    scan(settings)

    first, second = (write_worklist(settings, out=tmp_path / name, limit=6) for name in ("a.csv", "b.csv"))

    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_file_that_somebody_worked_on_is_never_overwritten(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    write_export(settings, out=tmp_path / "results.csv")
    write_worklist(settings, out=tmp_path / "worklist.csv", limit=2)
    write_export(settings, out=tmp_path / "results.csv")  # as it was written: it may be written anew
    (tmp_path / "thesis.docx").write_text("mine")
    for name in ("results.csv", "worklist.csv"):
        write_rows(tmp_path / name, [row | {"label": "covid"} for row in read_rows(tmp_path / name)])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    for name in ("results.csv", "thesis.docx"):
        with pytest.raises(RefusedInput, match="is there already and is not as `xray` wrote it: it may hold labels"):
            write_export(settings, out=tmp_path / name)
    with pytest.raises(RefusedInput, match="is there already"):
        write_worklist(settings, out=tmp_path / "worklist.csv", limit=2)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_an_export_that_is_killed_between_its_manifest_and_its_csv_verifies_and_can_be_written_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    target = settings.exports_dir / "results.csv"
    write_export(settings, out=target)
    drop_xrays(settings.incoming_dir, 1, seed=1)
    scan(settings)
    old = target.read_bytes()
    write_export(settings, out=target)
    target.write_bytes(old)  # as a kill between the two renames leaves it

    assert find_breach(settings)[0] is None
    assert write_export(settings, out=target).rows == 3
    assert find_breach(settings)[0] is None
    target.write_bytes(b"something else")
    assert "its bytes are not the ones that were written" in (find_breach(settings)[0] or "")


def test_the_label_is_what_the_readers_come_to_and_not_what_the_last_of_them_said(
    settings: Settings, tmp_path: Path
) -> None:
    drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    for number, (reader, labels) in enumerate(
        [("anna", ("covid", "covid", "normal")), ("ben", ("normal", "covid", ""))], start=1
    ):
        path = tmp_path / f"{number}.csv"
        rows = "".join(f"xray-0-{place:03d}.png,{label},{reader}\n" for place, label in enumerate(labels) if label)
        path.write_text(f"filename,label,labelled_by\n{rows}")
        import_labels_from(settings, path, mapping={})

    disputed, agreed, single = read_rows(write_export(settings, out=tmp_path / "results.csv").path)

    told = [(row["label"], row["labelled_by"], row["label_standing"]) for row in (disputed, agreed, single)]
    assert told == [("", "", "disputed"), ("covid", "ben", "agreed"), ("normal", "anna", "single")]
    stories = [explain(settings, Path(row["file"])).lines[1] for row in (disputed, agreed, single)]
    assert "its label is disputed: `xray labels adjudicate` settles it" in stories[0]
    assert [story.rpartition(", labelled ")[2] for story in stories[1:]] == ["covid (agreed)", "normal (single)"]
    assert import_labels_from(settings, tmp_path / "results.csv", mapping={}).new == 0
