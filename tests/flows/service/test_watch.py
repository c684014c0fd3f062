"""When the watcher looks into a folder; no clock, no file: moments are numbers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf

from flows.service.watch import (
    BURST_SECONDS,
    GRAIN_SECONDS,
    LONGEST_AFTER_FAILURES_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Watch,
    found_nothing,
    is_due,
    look_later,
    note,
    started,
)
from flows.service.watcher import Looked, read_times


def looked(now: float = 0.0) -> Watch:
    """A folder that was looked into long ago, after its last run had ended."""
    return found_nothing(Watch(times=(1,), times_at_start=(0,)), now, next_look=inf)


def test_a_folder_that_nothing_came_into_is_never_looked_at_again() -> None:
    assert not is_due(note(looked(), (1,), 1e6), 1e6)


def test_a_change_is_looked_at_once_it_is_quiet() -> None:
    changed = note(looked(), (2,), 100.0)

    assert not is_due(changed, 100.5)
    assert is_due(note(changed, (2,), 101.0), 101.0)


def test_a_burst_that_does_not_end_is_looked_at_in_its_midst() -> None:
    watch, moments = looked(), [100 + tick / 2 for tick in range(20)]
    for place, now in enumerate(moments):
        watch = note(watch, (2 + place,), now)
        if is_due(watch, now):
            break

    assert now == 100 + BURST_SECONDS


def test_a_burst_is_one_start() -> None:
    watch, starts = looked(), 0
    for tick in range(8):  # four seconds of arrivals, then the run is under way
        watch = note(watch, (2 + min(tick, 4),), 100 + tick / 2)
        if is_due(watch, 100 + tick / 2):
            watch, starts = started(watch, 100 + tick / 2, has_failed=False), starts + 1

    assert starts == 1


def test_what_came_in_the_same_tick_of_a_coarse_file_system_is_found_by_one_more_look() -> None:
    watch = found_nothing(note(looked(), (2,), 100.0), 101.0, next_look=inf)

    assert not is_due(watch, 103.9)
    assert is_due(watch, 101.0 + GRAIN_SECONDS)
    assert found_nothing(watch, 104.0, next_look=inf).look_at == inf


def test_a_deferred_file_is_looked_at_when_it_is_due_although_nothing_has_changed() -> None:
    watch = found_nothing(looked(), 50.0, next_look=80.0)

    assert not is_due(watch, 79.0)
    assert is_due(watch, 80.0)


def test_after_a_start_the_folder_is_looked_at_again_for_what_the_run_left_unsettled() -> None:
    watch = started(note(looked(), (2,), 100.0), 101.0, has_failed=False)

    assert is_due(watch, 111.0)
    assert not is_due(look_later(watch, 111.0, 2.0), 112.0)


def test_runs_that_leave_everything_as_it_was_are_asked_for_after_pauses_that_double() -> None:
    watch, pauses, now = note(looked(), (2,), 100.0), [], 101.0
    for _ in range(6):
        watch = started(watch, now, has_failed=False)
        pauses.append(watch.look_at - now)
        now = watch.look_at

    assert pauses == [10, 20, 40, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_an_arrival_ends_the_pause_after_a_run_that_changed_nothing_and_not_the_pause_after_one_that_failed() -> None:
    watch = started(started(note(looked(), (2,), 100.0), 101.0, has_failed=False), 111.0, has_failed=False)
    failing = started(watch, 131.0, has_failed=True)

    assert is_due(note(watch, (3,), 112.0), 113.0)
    assert not is_due(note(failing, (3,), 132.0), 140.0)
    assert is_due(note(failing, (3,), 132.0), failing.look_at)


def test_runs_that_all_fail_become_as_rare_as_the_schedule() -> None:
    watch = looked()
    for now in range(20):
        watch = started(watch, float(now), has_failed=True)

    assert watch.look_at - 19 == LONGEST_AFTER_FAILURES_SECONDS
    assert found_nothing(watch, 5000.0, next_look=inf) == Watch(
        times=(1,), times_at_start=(1,), changed_at=watch.changed_at
    )


def test_a_folder_that_is_away_is_not_looked_into_and_looked_into_when_it_is_back() -> None:
    away = note(looked(), None, 100.0)

    assert not is_due(away, 200.0)
    assert is_due(note(away, (1,), 201.0), 202.0)


def watch_bucket(seconds: int, look: Callable[[int], Looked]) -> tuple[list[int], list[int]]:
    """As the watcher does, second by second: when it looked into a bucket, and when it started a run."""
    watch, looks, starts = Watch(), [], []
    for now in range(seconds):
        watch = note(watch, read_times(None), now)
        if is_due(watch, now):
            looks.append(now)
            found = Looked(is_waiting=True) if watch.times_at_start is None else look(now)
            if found.is_waiting:
                watch = started(watch, now, has_failed=False, waiting=found.waiting)
                starts.append(now)
            else:
                watch = found_nothing(watch, now, next_look=now + found.seconds)
    return looks, starts


def test_a_bucket_tells_nobody_that_it_has_changed_so_every_look_says_when_the_next_one_is() -> None:
    looks, starts = watch_bucket(120, lambda _: Looked(is_waiting=False, seconds=15.0))

    assert (len(looks), len(starts)) == (9, 1)
    assert {later - sooner for sooner, later in pairwise(looks[1:])} == {15}


def test_runs_that_leave_a_bucket_as_it_was_become_rare_and_runs_that_took_something_in_do_not() -> None:
    _, fruitless = watch_bucket(600, lambda _: Looked(is_waiting=True, seconds=15.0, waiting=(7,)))
    _, busy = watch_bucket(600, lambda now: Looked(is_waiting=True, seconds=15.0, waiting=(now,)))

    assert len(fruitless) <= 13
    assert {later - sooner for sooner, later in pairwise(busy)} == {10}
