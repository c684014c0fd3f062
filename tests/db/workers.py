"""Programs that the concurrency and kill tests run as processes: `python -m tests.db.workers TASK URL ...`."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import sys
import time
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from db.engine import open_engine, snapshot, transaction
from db.registry import models, training_runs
from db.registry.tables import TrainingRunRow
from tests.db.rows import ANCHOR, NOW, claim, file_seen, record, scored_file


def claim_all(url: str, scanner: str, count: str) -> None:
    """Offer every file in batches and score what is ours; print the names."""
    engine = open_engine(url, anchor=ANCHOR)
    with snapshot(engine) as session:
        model = models.champion(session)
    names = [f"xray-{number:04}.png" for number in range(int(count))]
    for start in range(0, len(names), 16):
        batch = [file_seen(name) for name in names[start : start + 16]]
        claimed = claim(engine, *batch, scanner=scanner, alive=("w0", "w1", "w2", "w3"))
        files = [scored_file(file.file_id, file.seen.name.decode()) for file in claimed]
        record(engine, scored=files, scanner=scanner, model=model)
        for file in claimed:
            print(file.seen.name.decode(), flush=True)


def increment(url: str, times: str) -> None:
    """Read a number, write it plus one, many times."""
    engine = open_engine(url, anchor=ANCHOR)
    for _ in range(int(times)):
        with transaction(engine) as session:
            (run,) = training_runs.list_trainings(session)
            session.execute(
                update(TrainingRunRow)
                .where(TrainingRunRow.id == run.run_id)
                .values(label_watermark=run.label_watermark + 1)
            )


def claim_training(url: str, scanner: str) -> None:
    """Ask for the one training and print what came."""
    engine = open_engine(url, anchor=ANCHOR)
    with transaction(engine) as session:
        run_id = training_runs.claim_training(
            session,
            "c" * 64,
            watermark=7,
            scanner=scanner,
            now=NOW,
            lease_seconds=600,
            is_alive=lambda _: True,
            trigger="event",
            policy_sha256=None,
        )
    print(run_id, flush=True)


def nursery() -> None:
    """Fork a writer for each line `URL FILE` on stdin and print its pid: starting Python each time takes a second."""
    for order in sys.stdin:
        url, path = order.split()
        pid = os.fork()
        if pid == 0:
            score_for_ever(url, Path(path))
        print(pid, flush=True)


def score_for_ever(url: str, said: Path) -> None:
    """Commit batches of new X-rays, writing their names into a file after each commit, until killed."""
    engine = open_engine(url, anchor=ANCHOR)
    with snapshot(engine) as session:
        model = models.champion(session)
    with said.open("w") as acknowledged:
        for number in itertools.count():
            names = [f"{said.stem}-{number:05}-{part}.png" for part in range(8)]
            claimed = claim(engine, *names, scanner=said.stem)
            files = [scored_file(file.file_id, file.seen.name.decode()) for file in claimed]
            record(engine, scored=files, scanner=said.stem, model=model)
            print(" ".join(names), file=acknowledged, flush=True)
            time.sleep(0.005)  # SQLite's waiting writers sleep: without a pause one keeps all others out


def score_until_full(url: str, path: str, limit_bytes: str) -> None:
    """Commit batches until the file may not grow any more; end well when the database says so."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails with EFBIG
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit_bytes), int(limit_bytes)))
    try:
        score_for_ever(url, Path(path))
    except OperationalError as error:
        print("full:", error.orig, flush=True)


def migrate_once(url: str) -> None:
    """Say when the work begins, then migrate."""
    from db.migrate import migrate

    engine = open_engine(url, anchor=ANCHOR)
    print("ready", os.getpid(), flush=True)
    migrate(engine)


TASKS = {
    task.__name__: task for task in (claim_all, increment, claim_training, nursery, score_until_full, migrate_once)
}

if __name__ == "__main__":
    TASKS[sys.argv[1]](*sys.argv[2:])
