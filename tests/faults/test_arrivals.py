"""Files that arrive while scans run: whole ones are scored, half ones wait, and no scan is held up."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from db.engine import open_engine, transaction
from flows.home.ledger import find_anchor
from flows.operations.missing_films import let_missing_go
from flows.operations.verification import find_breach
from flows.review.exports import write_export
from flows.scoring.scan import open_scan
from flows.settings import Settings
from tests.faults.arrivals import WRITERS, draw_file
from tests.faults.programs import CANNOT_BE_ORDINARY
from tests.faults.scanners import (
    ROOT,
    assert_all_scored_once,
    drop_many,
    hash_files,
    read_states,
    scored_contents,
    start_program,
)
from tests.flows.scoring.test_scan import count_results, drop_xrays, read_lines, scan
from tests.patience import here
from xray_core.records import FileState, Label, ReasonCode
from xray_core.synthetic.xrays import draw_xray

pytestmark = pytest.mark.processes


def test_no_partial_file_is_scored_whoever_writes_it_and_every_whole_one_is(settings: Settings) -> None:
    settings = settings.but({"settle_seconds": 0.4, "defer_hours": 1})
    rng = np.random.default_rng(8)
    contents = {
        f"{writer.__name__}-{number}{ending}": (writer, draw_file(rng, ending))
        for writer in WRITERS
        for number in range(3)
        for ending in (".png", ".jpg")
    }

    with ThreadPoolExecutor(len(contents)) as pool:
        writing = [
            pool.submit(writer, settings.incoming_dir / name, content, pause=0.25)
            for name, (writer, content) in contents.items()
        ]
        while not all(one.done() for one in writing):
            scan(settings)
    for one in writing:
        one.result()
    scan(settings)

    assert sorted(hashlib.sha256(content).hexdigest() for _, content in contents.values()) == hash_files(
        settings.incoming_dir
    )
    assert set(scored_contents(settings)) <= set(hash_files(settings.incoming_dir))
    wait_for_retries(settings)
    assert_all_scored_once(settings)


def wait_for_retries(settings: Settings) -> None:
    """A file that was deferred without changing since waits for its time; touching it makes it new."""
    for name, state in read_states(settings).items():
        if state is FileState.DEFERRED:
            os.utime(settings.incoming_dir / name)
    scan(settings)


def test_a_file_that_is_replaced_while_it_is_read_is_scored_as_one_of_its_contents(settings: Settings) -> None:
    path = settings.incoming_dir / "swapped.png"
    rng = np.random.default_rng(9)
    contents = [draw_file(rng, ".png") for _ in range(4)]
    path.write_bytes(contents[0])
    stop = threading.Event()

    def swap() -> None:
        number = 0
        while not stop.wait(0.002):
            number += 1
            aside = path.with_name(".aside")
            aside.write_bytes(contents[number % len(contents)])
            aside.replace(path)

    swapper = threading.Thread(target=swap)
    swapper.start()
    for _ in range(40):
        scan(settings)
    stop.set()
    swapper.join()
    scan(settings)
    wait_for_retries(settings)

    known = {hashlib.sha256(content).hexdigest() for content in contents}
    assert set(scored_contents(settings)) <= known
    assert len(scored_contents(settings)) == len(set(scored_contents(settings)))
    assert read_lines(settings)[path.name].xray_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert find_breach(settings)[0] is None


def test_files_that_vanish_between_listing_and_opening_are_deferred_as_gone_and_the_rest_is_scored(
    settings: Settings,
) -> None:
    drop_many(settings.incoming_dir, 200)
    gone = {path.name for path in sorted(settings.incoming_dir.iterdir())[::2]}

    with open_scan(settings) as one:
        for files in one.find_batches():
            for name in gone:
                (settings.incoming_dir / name).unlink(missing_ok=True)
            one.score(files)

    assert one.counts.scored == 100
    assert one.counts.deferred == Counter(GONE=100)
    lines = read_lines(settings)
    assert {lines[name].reason_code for name in gone} == {ReasonCode.GONE}
    assert find_breach(settings)[0] is None


def test_files_that_come_and_go_in_a_loop_while_scans_run_stop_nothing(settings: Settings) -> None:
    drop_many(settings.incoming_dir, 50)
    stop = threading.Event()

    def come_and_go() -> None:
        """Two hundred files that are there for a moment, again and again."""
        for seed in count(1):
            drop_many(settings.incoming_dir, 200, seed=seed)
            for path in settings.incoming_dir.glob(f"xray-{seed}-*"):
                path.unlink()
            if stop.is_set():
                return

    thief = threading.Thread(target=come_and_go)
    thief.start()
    deferred: Counter[str] = Counter()
    while deferred["GONE"] < 20:  # or until the test's own time is over
        deferred += scan(settings).deferred
    stop.set()
    thief.join()
    scan(settings)

    assert set(deferred) <= {"GONE", "EMPTY", "TRUNCATED", "CHANGED_DURING_READ", "UNSETTLED"}
    left = {path.name for path in settings.incoming_dir.iterdir()}
    assert len(left) == 50
    assert all(read_states(settings)[name] is FileState.SCORED for name in left)
    breach, _ = find_breach(settings)
    assert breach is None or "are missing" in breach, "what was scored and then taken away is named"
    let_missing_go(settings)
    assert find_breach(settings)[0] is None


def test_a_file_that_the_service_may_not_read_waits_and_is_scored_once_it_may(
    settings: Settings, tmp_path: Path
) -> None:
    drop_xrays(settings.incoming_dir, 3)
    locked = settings.incoming_dir / "locked.png"
    locked.write_bytes(draw_file(np.random.default_rng(6), ".png"))
    locked.chmod(0)

    first = run_as_an_ordinary_user("scan", "--json")
    locked.chmod(0o600)
    os.utime(locked)  # a new time of last change makes it a new file: it need not wait
    second = run_as_an_ordinary_user("scan", "--json")

    assert (first["scored"], first["deferred"], first["rejected"]) == (3, {"UNREADABLE": 1}, {})
    assert second["scored"] == 1
    assert_all_scored_once(settings)


def run_as_an_ordinary_user(*arguments: str) -> dict[str, Any]:
    """A command of ours that files' modes bind, as they do not bind root; what it printed."""
    command = [sys.executable, "-m", "tests.faults.programs", "run_as_an_ordinary_user", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == CANNOT_BE_ORDINARY:
        pytest.skip("modes bind nobody here: root's capabilities cannot be dropped")
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_a_pipe_a_socket_a_loop_and_a_locked_file_are_answered_within_seconds(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 2)
    os.mkfifo(settings.incoming_dir / "pipe.png")
    (settings.incoming_dir / "loop.png").symlink_to("loop.png")
    (settings.incoming_dir / "away.png").symlink_to("/etc/shadow")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(settings.incoming_dir)  # a socket's path may not be long
        listener.bind("socket.png")

        started = time.monotonic()
        counts = scan(settings)

    assert time.monotonic() - started < here(10)
    assert counts.scored == 2
    lines = read_lines(settings)
    assert {lines[name].reason_code for name in ("pipe.png", "socket.png")} == {ReasonCode.NOT_REGULAR_FILE}
    assert {lines[name].reason_code for name in ("loop.png", "away.png")} == {ReasonCode.SYMLINK}


@pytest.mark.parametrize("year", [1970, 2100])
def test_a_file_with_a_time_from_another_age_is_scored(settings: Settings, year: int) -> None:
    settings = settings.but({"settle_seconds": 0.3})
    (path,) = drop_xrays(settings.incoming_dir, 1)
    moment = (year - 1970) * 365.2425 * 86_400
    os.utime(path, (moment, moment))

    assert scan(settings).scored == 1
    assert scan(settings).files == 0


@pytest.mark.parametrize("seconds", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_scan_waits_for_another_writer_and_then_succeeds(settings: Settings, tmp_path: Path, seconds: int) -> None:
    drop_xrays(settings.incoming_dir, 5)
    holder = start_program("hold_database", str(seconds), said=tmp_path / "said.txt")
    started = time.monotonic()

    counts = scan(settings)

    assert time.monotonic() - started > seconds - 2
    assert counts.scored == 5
    assert not counts.rejected
    assert holder.wait(here(10)) == 0


def test_a_database_that_stays_locked_ends_the_scan_with_a_sentence_and_blames_no_file(
    settings: Settings, sqlite_home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_xrays(settings.incoming_dir, 3)
    monkeypatch.setattr("db.engine._BUSY_SECONDS", 0.5)
    engine = open_engine(settings.url, anchor=find_anchor(settings))

    with transaction(engine), pytest.raises(Exception, match="database is locked"):
        scan(settings)
    engine.dispose()

    assert count_results(settings) == 0
    assert FileState.REJECTED not in read_states(settings).values()
    assert scan(settings).scored == 3


def test_hostile_names_stay_one_line_each_and_become_no_formula(settings: Settings, tmp_path: Path) -> None:
    names = [b"=cmd|calc.png", b"+1.png", b"@SUM.png", b"-2.png", b"a\tb.png", b"a\nb.png", b"\xff\xfe.png"]
    names += ["\u202egnp.exe.png".encode(), b"x" * 251 + b".png", b'quote".png', b"semi;colon.png"]
    rng = np.random.default_rng(3)
    for name in names:
        aside = settings.incoming_dir / ".aside"
        Image.fromarray(draw_xray(rng, Label.NORMAL, 64)).save(aside, format="PNG")
        os.rename(aside, os.path.join(os.fsencode(settings.incoming_dir), name))  # noqa: PTH104

    counts = scan(settings)

    assert counts.scored == len(names)
    exported = write_export(settings, out=tmp_path / "out.csv")
    text = exported.path.read_bytes()
    assert exported.rows == len(names)
    assert text.count(b"\n") == len(names) + 1
    assert not any(line.startswith((b'"=', b'"+', b'"@', b'"-', b'"\t')) for line in text.splitlines())
    assert find_breach(settings)[0] is None
