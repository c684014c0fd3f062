"""Scanning processes that can be killed, and what the ledger says of their work."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from sqlalchemy import select

from db.engine import open_engine, snapshot
from db.scoring.tables import IncomingFileRow, ResultRow, XrayRow
from flows.home.ledger import find_anchor
from flows.operations.verification import find_breach
from flows.settings import Settings
from tests.patience import here
from xray_core.records import FileState, Label
from xray_core.synthetic.xrays import draw_xray

ROOT = Path(__file__).parents[2]


def start_scan() -> subprocess.Popen[bytes]:
    """`xray scan` as a process of its own; its home is the test's."""
    return start("flows", "scan")


def start_working_scan(settings: Settings) -> subprocess.Popen[bytes]:
    """The same, once it has opened the ledger: what comes before is only Python that starts."""
    locks = settings.home / "run"
    before = set(locks.glob("*.lock"))
    scanner = start_scan()
    wait_until(lambda: set(locks.glob("*.lock")) - before or scanner.poll() is not None, seconds=60)
    return scanner


def start_program(task: str, *arguments: str, said: Path) -> subprocess.Popen[bytes]:
    """A task of tests.faults.programs, once it has said its first word."""
    said.write_bytes(b"")
    program = start("tests.faults.programs", task, *arguments, said=said)
    wait_until(lambda: said.stat().st_size or program.poll() is not None, seconds=60)
    assert said.stat().st_size, f"{task} ended with exit code {program.returncode}"
    return program


def start(
    module: str, *arguments: str, said: Path = Path(os.devnull), own_group: bool = False
) -> subprocess.Popen[bytes]:
    """A module of ours as a process that dies with this one, its words in a file."""
    bound = [sys.executable, "-m", "xray_core.processes.lifeline", str(os.getpid()), sys.executable, "-m", module]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with said.open("wb") as file:
        return subprocess.Popen(
            [*bound, *arguments], env=environment, stdout=file, stderr=file, start_new_session=own_group
        )


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """SIGKILL after a while; whether the process was still at work then."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def drop_many(folder: Path, count: int, *, seed: int = 0) -> None:
    """So many different X-rays, quickly: one picture with another number in its corner."""
    picture = draw_xray(np.random.default_rng(seed), Label.NORMAL, 96)
    for number in range(count):
        picture[0, :8] = np.frombuffer(number.to_bytes(8, "big"), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"xray-{seed}-{number:05d}.png", compress_level=1)


def read_states(settings: Settings) -> dict[str, FileState]:
    """The state of every current file by its name."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    row = IncomingFileRow
    with snapshot(engine) as session:
        found = session.execute(select(row.name, row.state).where(row.superseded_at.is_(None))).tuples().all()
    engine.dispose()
    return dict(found)


def scored_contents(settings: Settings) -> list[str]:
    """The SHA-256 of every result's X-ray: one that stands here twice was scored twice."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        found = session.scalars(select(XrayRow.sha256).join(ResultRow, ResultRow.xray_id == XrayRow.id)).all()
    engine.dispose()
    return sorted(found)


def hash_files(folder: Path) -> list[str]:
    """The SHA-256 of every file in a folder."""
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir())


def assert_all_scored_once(settings: Settings) -> None:
    """Every file of the folder is scored, every content once, nothing else, and every invariant holds."""
    assert set(read_states(settings)) == {path.name for path in settings.incoming_dir.iterdir()}
    assert set(read_states(settings).values()) <= {FileState.SCORED}
    assert scored_contents(settings) == hash_files(settings.incoming_dir)
    assert find_breach(settings)[0] is None


def wait_until(happened: Callable[[], object], *, seconds: float) -> None:
    """Look again and again until it happened."""
    deadline = time.monotonic() + here(seconds)
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s of a quiet machine"
        time.sleep(0.05)
