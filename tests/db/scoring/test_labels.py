from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.records import DatasetXray, LabelTally
from db.registry import models
from db.scoring import labels, xrays
from tests.db.rows import (
    NOW,
    add_champion,
    add_dataset_folder,
    claim,
    facts,
    file_seen,
    import_labels,
    label_row,
    record,
    score_files,
    scored_file,
    sha256_of,
)
from xray_core.exchange.records import LabelLine
from xray_core.records import Label


@pytest.fixture
def scored(engine: Engine) -> Engine:
    score_files(engine, add_champion(engine), {"a.png": "A", "b.png": "B", "c.png": "C"})
    return engine


def problems_with(engine: Engine, *rows: LabelLine) -> list[str]:
    with snapshot(engine) as session:
        matched, problems = labels.match_labels(session, rows)
    assert len(matched) + len(problems) == len(rows)
    return problems


def counts(engine: Engine, since: int = 0) -> LabelTally:
    with snapshot(engine) as session:
        return labels.count_new_trainable(session, since)


def add_dataset(engine: Engine, *paths: str, patient: str | None = None) -> None:
    with transaction(engine) as session:
        found = [DatasetXray(sha256_of(path), facts(), patient, "0" * 16, path, "folder") for path in paths]
        xrays.add_dataset_xrays(session, found, folder_id=add_dataset_folder(session), now=NOW)


def test_rows_match_by_content_before_name(scored: Engine) -> None:
    rows = [label_row("b.png", content="A"), label_row("b.png", line=3)]

    with snapshot(scored) as session:
        matched, problems = labels.match_labels(session, rows)
        ids = xrays.read_ids(session, [sha256_of("A"), sha256_of("B")])

    assert problems == []
    assert [xray_id for _, xray_id in matched] == [ids[sha256_of("A")], ids[sha256_of("B")]]


def test_a_content_or_name_that_nobody_knows_is_a_problem_of_its_line(scored: Engine) -> None:
    problems = problems_with(
        scored, label_row("a.png"), label_row("zzz.png", line=3), label_row("a.png", line=4, content="Z")
    )

    assert problems == [
        "line 3: zzz.png is no file that was scored or registered here",
        f"line 4: xray_sha256 {sha256_of('Z')[:12]}... is no X-ray that was scored or registered here",
    ]


def test_a_name_that_had_two_contents_needs_the_content(scored: Engine) -> None:
    (file,) = claim(scored, file_seen("a.png", size=200))
    with snapshot(scored) as session:
        model = models.champion(session)
    record(scored, scored=[scored_file(file.file_id, "A2")], model=model)

    assert problems_with(scored, label_row("a.png")) == ["line 2: a.png fits 2 different X-rays; give xray_sha256"]
    assert problems_with(scored, label_row("a.png", content="A2")) == []


def test_dataset_xrays_match_by_the_last_part_of_their_path(engine: Engine) -> None:
    add_dataset(engine, "/data/covid/one.png", "/data/covid/same.png", "/data/normal/same.png")

    assert problems_with(engine, label_row("one.png")) == []
    assert len(problems_with(engine, label_row("same.png"))) == 1


def test_a_name_matches_as_exported_and_as_it_is_on_disk(engine: Engine) -> None:
    score_files(engine, add_champion(engine), {"tab\there.png": "A"})

    assert problems_with(engine, label_row("tab\\x09here.png"), label_row("tab\there.png")) == []


def test_one_reader_cannot_say_two_things_at_once(scored: Engine) -> None:
    rows = [
        label_row("a.png", Label.COVID, line=2),
        label_row("", Label.NORMAL, line=3, content="A"),
        label_row("a.png", Label.NORMAL, line=4, reader="r2"),
    ]

    assert problems_with(scored, *rows) == ["line 3: normal contradicts covid in line 2: same X-ray"]


def test_importing_the_same_file_twice_adds_nothing(scored: Engine) -> None:
    rows = [label_row("a.png"), label_row("a.png", Label.NORMAL, line=3, reader="r2"), label_row("b.png", line=4)]

    assert import_labels(scored, *rows) == 3
    assert import_labels(scored, *rows) == 0


def test_a_change_of_mind_and_a_later_confirmation_are_new_rows(scored: Engine) -> None:
    confirmed = replace(label_row("a.png", Label.COVID), labelled_at=NOW + timedelta(days=1))

    added = [
        import_labels(scored, label_row("a.png", Label.COVID)),
        import_labels(scored, label_row("a.png", Label.NORMAL, reader="r2")),
        import_labels(scored, confirmed),
        import_labels(scored, confirmed),
    ]

    assert added == [1, 1, 1, 0]
    with snapshot(scored) as session:
        assert [xray.label for xray in labels.trainable_labels(session)] == [Label.COVID]
        assert labels.count_imported(session) == 3


def test_a_label_that_is_never_trained_on_takes_its_xray_out(scored: Engine) -> None:
    import_labels(scored, label_row("a.png"), label_row("b.png", Label.NORMAL, line=3))
    import_labels(scored, label_row("a.png", Label.EXCLUDE))

    with snapshot(scored) as session:
        trainable = labels.trainable_labels(session)
        latest = labels.latest_labels(session)

    assert [(xray.sha256, xray.label) for xray in trainable] == [(sha256_of("B"), Label.NORMAL)]
    assert [xray.label for xray in latest] == [Label.EXCLUDE, Label.NORMAL]


def test_a_labelled_xray_belongs_to_its_patient_or_else_to_its_content(scored: Engine) -> None:
    add_dataset(scored, "covid/one.png", patient="p1")
    import_labels(scored, label_row("a.png"), label_row("one.png", line=3))

    with snapshot(scored) as session:
        found = {xray.path.path: (xray.group, xray.patient_known) for xray in labels.trainable_labels(session)}

    assert found == {
        "a.png": (f"content:{sha256_of('A')}", False),
        "covid/one.png": ("p1", True),
    }


def test_new_labels_are_counted_from_a_watermark_per_class_and_patient(scored: Engine) -> None:
    add_dataset(scored, "/d/1.png", "/d/2.png", patient="p1")
    import_labels(scored, label_row("a.png"), label_row("1.png", line=3))
    with snapshot(scored) as session:
        watermark = labels.label_watermark(session)
    import_labels(scored, label_row("b.png", Label.NORMAL), label_row("2.png", line=3))
    import_labels(scored, label_row("c.png", Label.UNSURE))
    import_labels(scored, label_row("a.png", reader="r2"))  # agrees: nothing new to learn from

    assert counts(scored, watermark) == LabelTally(
        new={Label.COVID: 1, Label.NORMAL: 1},
        xrays={Label.COVID: 3, Label.NORMAL: 1},
        patients={Label.COVID: 1, Label.NORMAL: 0},
        unknown={Label.COVID: 1, Label.NORMAL: 1},
    )
    assert counts(scored).new == {Label.COVID: 3, Label.NORMAL: 1}


def test_a_label_that_changed_sides_is_new(scored: Engine) -> None:
    import_labels(scored, label_row("a.png", Label.COVID))
    import_labels(scored, label_row("a.png", Label.NORMAL))

    assert counts(scored, since=1).new == {Label.COVID: 0, Label.NORMAL: 1}


def test_no_labels_count_as_nothing(engine: Engine) -> None:
    none = {Label.COVID: 0, Label.NORMAL: 0}

    assert counts(engine) == LabelTally(new=none, xrays=none, patients=none, unknown=none)
    with snapshot(engine) as session:
        assert labels.label_watermark(session) == 0
