from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.reading.labelled import read_labelled
from db.records import DatasetXray
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
from xray_core.promotion.policy import LabelRules
from xray_core.records import Held, Label, LabelledXray, Reference, Standard


@pytest.fixture
def scored(engine: Engine) -> Engine:
    score_files(engine, add_champion(engine), {"a.png": "A", "b.png": "B", "c.png": "C"})
    return engine


def problems_with(engine: Engine, *rows: LabelLine) -> list[str]:
    with snapshot(engine) as session:
        matched, problems = labels.match_labels(session, rows)
    assert len(matched) + len(problems) == len(rows)
    return problems


def labelled(engine: Engine, upto: int | None = None) -> dict[str, LabelledXray]:
    """The labelled X-rays by the path they were last read at."""
    with snapshot(engine) as session:
        return {xray.path.path: xray for xray in read_labelled(session, LabelRules(), upto=upto)}


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
    assert labelled(scored)["a.png"].held is Held.DISPUTED
    with snapshot(scored) as session:
        assert labels.count_imported(session) == 3


def test_a_label_that_is_never_trained_on_takes_its_xray_out(scored: Engine) -> None:
    import_labels(scored, label_row("a.png"), label_row("b.png", Label.NORMAL, line=3))
    import_labels(scored, label_row("a.png", Label.EXCLUDE))

    assert {path: (xray.label, xray.trains) for path, xray in labelled(scored).items()} == {
        "a.png": (Label.EXCLUDE, False),
        "b.png": (Label.NORMAL, True),
    }


def test_a_labelled_xray_belongs_to_its_patient_or_else_to_its_content(scored: Engine) -> None:
    add_dataset(scored, "covid/one.png", patient="p1")
    import_labels(scored, label_row("a.png"), label_row("one.png", line=3))

    found = {path: (xray.group, xray.patient_known) for path, xray in labelled(scored).items()}

    assert found == {
        "a.png": (f"content:{sha256_of('A')}", False),
        "covid/one.png": ("p1", True),
    }


def test_labels_are_read_as_they_were_at_a_watermark(scored: Engine) -> None:
    import_labels(scored, label_row("a.png", Label.COVID))
    with snapshot(scored) as session:
        watermark = labels.label_watermark(session)
    import_labels(scored, label_row("a.png", Label.NORMAL), label_row("b.png", line=3))

    assert {path: xray.label for path, xray in labelled(scored, upto=watermark).items()} == {"a.png": Label.COVID}
    assert {path: xray.label for path, xray in labelled(scored).items()} == {
        "a.png": Label.NORMAL,
        "b.png": Label.COVID,
    }


def test_what_a_dataset_says_judges_and_what_a_reader_said_beside_a_score_does_not(scored: Engine) -> None:
    add_dataset(scored, "covid/one.png")
    with transaction(scored) as session:
        ids = xrays.read_ids(session, [sha256_of("covid/one.png")])
        rows = [(label_row("one.png"), ids[sha256_of("covid/one.png")])]
        labels.add_labels(session, rows, source="dataset", import_sha256="0" * 64, now=NOW)
    import_labels(
        scored,
        replace(label_row("a.png", reader="r1"), score_visible=False),
        replace(label_row("b.png", reader="r1", line=3), score_visible=True),
        label_row("c.png", line=4),
    )

    found = {path: xray.judges_by for path, xray in labelled(scored).items()}

    assert found == {
        "covid/one.png": Reference(Label.COVID, Standard.DATASET),
        "a.png": Reference(Label.COVID, Standard.ONE_BLINDED),
        "b.png": Reference(None, held=Held.VISIBLE),
        "c.png": Reference(None, held=Held.UNTOLD),
    }
    assert {xray.trains for xray in labelled(scored).values()} == {True}


def test_a_dataset_that_is_trained_on_again_does_not_overrule_who_corrected_it_without_a_name(scored: Engine) -> None:
    add_dataset(scored, "covid/one.png")

    def say_dataset() -> int:
        with transaction(scored) as session:
            ids = xrays.read_ids(session, [sha256_of("covid/one.png")])
            rows = [(label_row("one.png", reader=None), ids[sha256_of("covid/one.png")])]
            return labels.add_labels(session, rows, source="dataset", import_sha256="0" * 64, now=NOW)

    corrected = label_row("one.png", Label.NORMAL, reader=None)
    added = [say_dataset(), import_labels(scored, corrected), say_dataset(), import_labels(scored, corrected)]

    assert added == [1, 1, 0, 0]
    assert labelled(scored)["covid/one.png"].label is Label.NORMAL


def test_no_labels_have_no_watermark(engine: Engine) -> None:
    assert labelled(engine) == {}
    with snapshot(engine) as session:
        assert labels.label_watermark(session) == 0
