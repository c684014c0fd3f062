"""A reader's list, of real films in a real ledger."""

from __future__ import annotations

import pytest

from db.engine import snapshot, transaction
from db.reading import lists, readers
from db.reading.candidates import list_candidates
from db.reading.labelled import read_labelled
from db.registry import models
from db.scoring import patients, xrays
from db.scoring.patients import PatientFact
from flows.home.ledger import open_ledger
from flows.home.site_key import read_site_key
from flows.operations.verification import find_breach
from flows.reading.lists import make_list
from flows.reading.readers import add_reader
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from tests.db.rows import NOW
from tests.flows.scoring.test_scan import drop_xrays, scan
from xray_core.errors import RefusedInput
from xray_core.models.folder import read_manifest
from xray_core.promotion.policy import LabelRules
from xray_core.records import Split, name_content_group


def make(settings: Settings, reader: str, **changes: object) -> set[int]:
    with open_ledger(settings) as engine:
        made = make_list(settings, engine, reader, **{"size": 50, "reveal_share": 0.2, **changes})  # type: ignore[arg-type]
        if made is None:
            return set()
        with snapshot(engine) as session:
            return {item.xray_id for item in lists.items_of(session, made)}


def test_two_readers_read_the_same_films_and_each_film_once(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 12)
    scan(settings)
    (settings.home / "review-guide.md").write_text("# Our guide\n")
    add_reader(settings, "Anna")
    add_reader(settings, "Ben")

    first, second = make(settings, "anna", size=5), make(settings, "BEN", size=5)
    third = make(settings, "Anna")

    assert len(first) == 5
    assert second == first
    assert len(third) == 7
    assert not third & first
    assert make(settings, "Anna") == set()
    assert find_breach(settings)[0] is None
    with open_ledger(settings) as engine, snapshot(engine) as session:
        assert readers.list_readers(session) == ["Anna", "Ben"]
        found = lists.open_list(session, "Anna")
        assert found is not None
        assert found.guide_sha256 is not None


def test_nobody_reads_without_a_name_or_more_than_fifty_films_at_once(settings: Settings) -> None:
    with pytest.raises(RefusedInput, match=r'`xray readers add "Cleo"` adds one'):
        make(settings, "Cleo")
    add_reader(settings, "Cleo")
    with pytest.raises(RefusedInput, match="expected 1 to 50"):
        make(settings, "Cleo", size=51)


def test_a_film_that_was_trained_on_judges_no_label_whatever_its_patient_was_called_then(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    names = sorted(path.name for path in settings.incoming_dir.iterdir())
    (settings.home / "labels.csv").write_text("filename,label\n" + "".join(f"{name},covid\n" for name in names))
    import_labels_from(settings, settings.home / "labels.csv", mapping={})
    with open_ledger(settings) as engine:
        with snapshot(engine) as session:
            first, second, third = (xray.sha256 for xray in read_labelled(session, LabelRules()))
        with transaction(engine) as session:
            sides = {name_content_group(first): Split.TRAIN, "somebody": Split.VALIDATION}
            xrays.freeze_splits(session, {**sides, name_content_group(third): Split.TEST}, now=NOW)
            for sha256, patient in ((first, "known since"), (second, "somebody")):
                fact = PatientFact(sha256, None, patient)
                patients.add_facts(session, [fact], source="csv", import_sha256=sha256, now=NOW)

        with snapshot(engine) as session:
            champion = models.champion(session)
            assert champion is not None
            point = read_manifest(settings.models_dir / champion.version).operating_point
            found = list_candidates(session, champion.model_id, point, read_site_key(settings), size=3)

    assert {film.sha256: film.is_held_out for film in found} == {first: False, second: False, third: True}
