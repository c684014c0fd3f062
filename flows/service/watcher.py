"""The process that watches incoming/ and labels/, and starts the run that takes in what has arrived.

`python -m flows.service.watcher API_ADDRESS`, as `xray up` runs it. Once a second it reads the change times of the two
folders, and asks nobody anything until they have moved; a bucket is listed every fifteen seconds. The schedules stay as
the net under it.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from flows.home.api_login import read_api_login
from flows.home.public_errors import say_publicly
from flows.operations.history import find_history, give_back
from flows.operations.server_api import ServerApi
from flows.review.label_import import list_dropped
from flows.scoring.arrivals import find_arrivals
from flows.service.arrival_runs import RunStanding, forget_empty_runs, read_standing, start_run
from flows.service.notices import send_by_apprise, tell_news
from flows.service.service import POOL
from flows.service.silent_runs import Beat, bury_silent_runs
from flows.service.watch import Times, Watch, found_nothing, is_due, look_later, note, started
from flows.settings import Settings, read_settings
from xray_core.errors import XrayError

_TICK_SECONDS = 1.0
_WHILE_A_RUN_IS_UNDER_WAY = 2.0
_AFTER_A_FAULT = 10.0
_WITHOUT_CHAMPION = 30.0
_FORGET_EVERY = 600.0
_SHRINK_EVERY = 600.0
_BURY_EVERY = 30.0
_TELL_EVERY = 300.0
_BUCKET_SECONDS = 15.0
_PASSING = (OSError, ValueError, sqlite3.Error, SQLAlchemyError, XrayError)


@dataclass(frozen=True, slots=True)
class Watched:
    """A folder, the deployment that takes in what arrives in it, and the question what there is.

    A bucket is no folder: it is asked every so many seconds. `at_once` runs may be under way together.
    """

    deployment: str
    folder: Path | None
    look: Callable[[], Looked]
    at_once: int = 1


class Looked(NamedTuple):
    """What a look found: whether something waits, and in how many seconds to look again although nothing has changed.

    `waiting` are numbers by which what waits in a bucket is known again.
    """

    is_waiting: bool
    seconds: float = inf
    waiting: Times = ()


def watch_folders(settings: Settings, address: str) -> None:
    """Watch until somebody stops the process. A fault that passes is a line of the log, and the schedule's to catch."""
    api = ServerApi(address, read_api_login(settings))
    incoming = None if settings.incoming_bucket else settings.incoming_dir
    everything = (
        Watched("score-incoming", incoming, lambda: _look_for_films(settings), settings.scanners),
        Watched("import-labels", settings.labels_dir, lambda: Looked(bool(list_dropped(settings)))),
    )
    watches = {watched.deployment: Watch() for watched in everything}
    beats: dict[str, Beat] = {}

    def bury() -> None:
        nonlocal beats
        before, beats = beats, {}  # after a look that failed all begins anew
        beats = bury_silent_runs(api, before, datetime.now(UTC))

    chores = [
        _Chore(_FORGET_EVERY, lambda: _forget(api)),
        _Chore(_SHRINK_EVERY, lambda: _shrink(settings)),
        _Chore(_BURY_EVERY, bury),
    ]
    if settings.notify:
        chores.append(_Chore(_TELL_EVERY, lambda: _tell(settings, api)))
    while True:
        for watched in everything:
            before = watches[watched.deployment]
            noted = note(before, read_times(watched.folder), time.monotonic())
            if noted.times is None and before.times is not None:
                _say(f"{watched.deployment}: its folder cannot be looked at")
            watches[watched.deployment] = _look(watched, noted, api) if is_due(noted, time.monotonic()) else noted
        for chore in chores:
            chore.do_if_due()
        time.sleep(_TICK_SECONDS)


def _look(watched: Watched, watch: Watch, api: ServerApi) -> Watch:
    """Start a run where something waits and none is under way; a service that has just begun has one look at all."""
    try:
        standing = read_standing(api, watched.deployment, POOL, at_once=watched.at_once)
        if standing in (RunStanding.UNDER_WAY, RunStanding.PAUSED):
            pause = _WHILE_A_RUN_IS_UNDER_WAY if standing is RunStanding.UNDER_WAY else _AFTER_A_FAULT
            return look_later(watch, time.monotonic(), pause)
        look = Looked(is_waiting=True) if watch.times_at_start is None else watched.look()
        if not look.is_waiting:
            return found_nothing(watch, time.monotonic(), next_look=time.monotonic() + look.seconds)
        start_run(api, watched.deployment)
    except _PASSING as error:
        _say(f"{watched.deployment}: not started, the schedule will ({say_publicly(error)})")
        return look_later(watch, time.monotonic(), _AFTER_A_FAULT)
    _say(f"{watched.deployment}: started")
    has_failed = standing is RunStanding.FAILED and watch.times_at_start is not None  # not yesterday's
    return started(watch, time.monotonic(), has_failed=has_failed, waiting=look.waiting)


def _look_for_films(settings: Settings) -> Looked:
    arrivals = find_arrivals(settings)
    if not arrivals.has_champion:
        return Looked(is_waiting=False, seconds=_WITHOUT_CHAMPION)
    seconds = inf
    if arrivals.next_look is not None:
        seconds = max(0.0, (arrivals.next_look - datetime.now(UTC)).total_seconds())
    if settings.incoming_bucket is None:
        return Looked(arrivals.is_waiting, seconds)
    return Looked(arrivals.is_waiting, min(seconds, _BUCKET_SECONDS), (hash(arrivals.first),))


class _Chore:
    """Something to do every so many seconds; one that fails is said, and done the next time."""

    def __init__(self, seconds: float, do: Callable[[], None]) -> None:
        self._seconds = seconds
        self._do = do
        self._due_at = time.monotonic()

    def do_if_due(self) -> None:
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + self._seconds
        try:
            self._do()
        except _PASSING as error:
            _say(f"later: {say_publicly(error)}")


def _forget(api: ServerApi) -> None:
    while forget_empty_runs(api, datetime.now(UTC)):
        pass


def _shrink(settings: Settings) -> None:
    """Retention deletes rows of Prefect's history every hour; what they took of the disk is given back here."""
    file = find_history(settings)
    if file is not None:
        give_back(file)


def _tell(settings: Settings, api: ServerApi) -> None:
    if not tell_news(settings, api, lambda words: send_by_apprise(settings.notify, words)):
        _say("a notice could not be sent to every address of XRAY_NOTIFY; it will be tried again")


def read_times(folder: Path | None) -> Times | None:
    """What changes when the folder does; nothing of a bucket: each look says when the next one is."""
    if folder is None:
        return ()
    try:
        found = folder.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def _say(sentence: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started without
    with suppress(KeyboardInterrupt):
        watch_folders(read_settings(), sys.argv[1])
