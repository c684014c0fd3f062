"""What waits for a scan, as the ledger and the folder tell it together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flows.scoring.arrivals import Arrivals, find_arrivals
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, scan


def test_an_empty_folder_and_one_whose_files_are_all_decided_wait_for_nothing(settings: Settings) -> None:
    empty = find_arrivals(settings)
    drop_xrays(settings.incoming_dir, 2)
    new = find_arrivals(settings)
    scan(settings)

    assert empty == Arrivals(has_champion=True)
    assert (new.has_champion, new.is_waiting, new.next_look) == (True, True, None)
    assert find_arrivals(settings) == Arrivals(has_champion=True)


def test_an_incomplete_file_waits_until_its_next_look(settings: Settings) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    scan(settings)

    deferred = find_arrivals(settings)
    path.write_bytes(whole)

    assert not deferred.is_waiting
    assert deferred.next_look is not None
    assert timedelta(0) < deferred.next_look - datetime.now(UTC) <= timedelta(seconds=30)
    assert find_arrivals(settings).is_waiting


def test_without_a_champion_nothing_waits_for_a_run_that_could_only_fail(empty_settings: Settings) -> None:
    drop_xrays(empty_settings.incoming_dir, 1)

    assert find_arrivals(empty_settings) == Arrivals(has_champion=False)


def test_names_of_files_under_way_are_no_arrivals(settings: Settings) -> None:
    (settings.incoming_dir / "x.png.part").write_bytes(b"half")

    assert not find_arrivals(settings).is_waiting
