"""When a folder is looked into: soon after it has changed, after a run, and never faster than that helps; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

# A burst of arrivals is one: the look waits until nothing has come for so long, but no longer than the second.
QUIET_SECONDS = 1.0
BURST_SECONDS = 5.0
# A file system may tell a change from the next one by seconds only; so one more look comes after a change.
GRAIN_SECONDS = 3.0
# A run that left everything as it was is asked for again after pauses that double; one that failed, up to the last.
FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_AFTER_FAILURES_SECONDS = 600.0

Times = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of a folder. Moments are seconds of one monotonic clock.

    `waiting_since` is when the first change came that nobody has looked at, None where there is none; `look_at` is
    when to look although nothing has changed; `times_at_start` are the change times that the last run was started
    with, and what `started` was told besides; `fruitless` counts the runs in a row that left everything as it was, or
    failed.
    """

    times: Times | None = None
    changed_at: float = -inf
    waiting_since: float | None = None
    look_at: float = inf
    times_at_start: Times | None = None
    fruitless: int = 0
    is_failing: bool = False


def note(watch: Watch, times: Times | None, now: float) -> Watch:
    """Note down the folder's change times as they are now; None where it cannot be looked at."""
    if times == watch.times or times is None:
        return replace(watch, times=times)
    since = now if watch.waiting_since is None else watch.waiting_since
    return replace(watch, times=times, changed_at=now, waiting_since=since)


def is_due(watch: Watch, now: float) -> bool:
    """Whether to look into the folder now. After a failure new arrivals do not hasten it."""
    if now >= watch.look_at:
        return True
    return (
        watch.waiting_since is not None
        and not watch.is_failing
        and (now - watch.changed_at >= QUIET_SECONDS or now - watch.waiting_since >= BURST_SECONDS)
    )


def found_nothing(watch: Watch, now: float, *, next_look: float) -> Watch:
    """After a look that found nothing to do; `next_look` is when a deferred file is due, or infinity."""
    again = now + GRAIN_SECONDS if now - watch.changed_at < GRAIN_SECONDS else inf
    return replace(watch, waiting_since=None, look_at=min(again, next_look), fruitless=0, is_failing=False)


def started(watch: Watch, now: float, *, has_failed: bool, waiting: Times = ()) -> Watch:
    """After a run was started; `has_failed` says how the one before it ended.

    Where a place has no change times, `waiting` are numbers by which what waits in it is known again.
    """
    at_start = None if watch.times is None else (*watch.times, *waiting)
    is_fruitless = has_failed or at_start == watch.times_at_start
    fruitless = watch.fruitless + 1 if is_fruitless else 0
    longest = LONGEST_AFTER_FAILURES_SECONDS if has_failed else LONGEST_PAUSE_SECONDS
    return Watch(
        times=watch.times,
        changed_at=watch.changed_at,
        look_at=now + min(FIRST_PAUSE_SECONDS * 2 ** min(fruitless, 10), longest),
        times_at_start=at_start,
        fruitless=fruitless,
        is_failing=has_failed,
    )


def look_later(watch: Watch, now: float, seconds: float) -> Watch:
    """Look again after so long: a run is under way, or nobody answers."""
    return replace(watch, waiting_since=None, look_at=now + seconds)
