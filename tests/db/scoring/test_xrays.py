from __future__ import annotations

from sqlalchemy import Engine

from db.engine import snapshot, transaction
from db.records import DatasetXray
from db.scoring import folders, xrays
from db.scoring.tables import XrayRow
from tests.db.rows import NOW, add_champion, add_dataset_folder, facts, score_files, sha256_of
from xray_core.imaging.records import Flag
from xray_core.records import FolderKind, Split


def add(engine: Engine, *found: DatasetXray) -> dict[str, int]:
    with transaction(engine) as session:
        return xrays.add_dataset_xrays(session, found, folder_id=add_dataset_folder(session), now=NOW)


def dataset_xray(content: str, *, path: str = "x.png", patient: str | None = None, **known: object) -> DatasetXray:
    return DatasetXray(sha256_of(content), facts(**known), patient, "0" * 16, path, "folder")


def row(engine: Engine, content: str) -> XrayRow:
    with snapshot(engine) as session:
        return session.get_one(XrayRow, xrays.read_ids(session, [sha256_of(content)])[sha256_of(content)])


def test_a_dataset_is_registered_once_whatever_it_is_called(engine: Engine) -> None:
    first = add(engine, dataset_xray("A"), dataset_xray("B"), dataset_xray("A", path="copy.png"))
    second = add(engine, dataset_xray("A"), dataset_xray("B"))

    assert first == second
    assert len(set(first.values())) == 2


def test_what_is_learned_later_fills_gaps_and_overwrites_nothing(engine: Engine) -> None:
    add(engine, dataset_xray("A", sex="F"))
    add(engine, dataset_xray("A", path="new.png", patient="p1", sex="M", view="PA"))
    add(engine, dataset_xray("A", path="new.png", patient="p2"))

    found = row(engine, "A")

    assert (found.patient, found.sex, found.view, found.path) == ("p1", "F", "PA", "new.png")


def test_a_dataset_xray_that_arrives_again_keeps_its_patient(engine: Engine) -> None:
    add(engine, dataset_xray("A", patient="p1"))
    dataset = row(engine, "A").folder_id

    score_files(engine, add_champion(engine), {"a.png": "A"})

    found = row(engine, "A")
    assert (found.patient, found.source, found.path) == ("p1", "folder", "a.png")
    assert found.folder_id != dataset


def test_flags_are_kept_as_words(engine: Engine) -> None:
    add(engine, dataset_xray("A", flags=(Flag.SIXTEEN_BIT, Flag.INVERTED)))

    assert row(engine, "A").flags == "16bit inverted"


def test_a_moved_file_is_found_where_it_lies_now(engine: Engine) -> None:
    add(engine, dataset_xray("A"))

    with transaction(engine) as session:
        archive = folders.add_folder(session, FolderKind.ARCHIVE, "", now=NOW)
        moved = [(sha256_of("A"), "x.png"), (sha256_of("nobody's"), "y.png")]
        xrays.update_paths(session, moved, folder_id=archive)

    assert (row(engine, "A").path, row(engine, "A").folder_id) == ("x.png", archive)


def test_a_group_never_changes_side(engine: Engine) -> None:
    with transaction(engine) as session:
        xrays.freeze_splits(session, {"p1": Split.TEST, "p2": Split.TRAIN}, now=NOW)
    with transaction(engine) as session:
        xrays.freeze_splits(session, {"p1": Split.TRAIN, "p3": Split.VALIDATION}, now=NOW)
        xrays.freeze_splits(session, {}, now=NOW)

    with snapshot(engine) as session:
        assert xrays.read_splits(session) == {"p1": Split.TEST, "p2": Split.TRAIN, "p3": Split.VALIDATION}
