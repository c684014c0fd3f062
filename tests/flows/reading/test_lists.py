"""A reader's list, of real films in a real ledger."""

from __future__ import annotations

import pytest

from db.engine import snapshot
from db.reading import lists, readers
from flows.home.ledger import open_ledger
from flows.operations.verification import find_breach
from flows.reading.lists import make_list
from flows.reading.readers import add_reader
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, scan
from xray_core.errors import RefusedInput


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
