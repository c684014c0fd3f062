"""What the kill tests run as processes: `python -m tests.faults.programs TASK ...`, in the home of XRAY_HOME."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from db.engine import open_engine, transaction
from db.records import ClaimedFile
from db.registry import models
from db.scoring import claims
from flows.cli.app import main
from flows.home.ledger import find_anchor
from flows.registry.models import list_models, promote_by_hand
from flows.review.label_import import find_dropped, take_in
from flows.scoring.scan import open_scan
from flows.settings import Settings, read_settings
from xray_core.imaging.content import hash_file
from xray_core.models.folder import read_manifest, write_model_folder
from xray_core.models.open_model import OpenModel, read_probe
from xray_core.models.records import ModelManifest
from xray_core.processes.decoding import Decoded

# The exit code of a process that root's capabilities stay with.
CANNOT_BE_ORDINARY = 77


def promote_for_ever() -> None:
    """Make one model champion, then the other, with every check that a promotion by hand does."""
    settings = read_settings()
    print("ready", flush=True)
    for model in itertools.cycle(list_models(settings)):
        promote_by_hand(settings, model.version, "in turn")


def save_for_ever(prefix: str) -> None:
    """Write one model folder after the other."""
    settings = read_settings()
    print("ready", flush=True)
    for number in itertools.count():
        save_twin(settings, f"9{prefix}{number:03}-twin")


def hold_database(seconds: str) -> None:
    """Keep every other writer waiting."""
    with transaction(open_engine(read_settings().url, anchor=find_anchor(read_settings()))):
        print("holding", flush=True)
        time.sleep(float(seconds))


def scan_until_commit(commits: str) -> None:
    """Scan, and die by SIGKILL right after so many writing transactions were committed."""
    left = itertools.count(int(commits) - 1, -1)

    @event.listens_for(Session, "after_commit")
    def die(session: Session) -> None:
        if session.get_bind().get_execution_options().get("xray_writes") and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_scan(read_settings()) as one:
        for files in one.find_batches():
            one.score(files)


def scan_and_note(file: str) -> None:
    """Scan, and append to a file what was asked for, claimed, and is about to be inferred: a line each."""
    from xray_core.models import scoring

    claim, score = claims.claim_files, scoring.score_unscored
    notes = os.open(file, os.O_WRONLY | os.O_APPEND)

    def note(word: str, things: Sequence[object]) -> None:
        os.write(notes, "".join(f"{word} {thing}\n" for thing in things).encode())

    def noted_claim(*given: Any, **options: Any) -> list[ClaimedFile]:
        claimed = claim(*given, **options)
        note("asked", ["something" if claimed else "nothing"])
        note("claimed", [one.file_id for one in claimed])
        return claimed

    def noted_score(model: OpenModel, xrays: Sequence[Decoded], scored_before: Collection[str]) -> Any:
        note("inferred", list(dict.fromkeys(xray.sha256 for xray in xrays if xray.sha256 not in scored_before)))
        return score(model, xrays, scored_before)

    claims.claim_files = noted_claim
    scoring.score_unscored = noted_score
    run("scan")


def run_until(step: str, *arguments: str) -> None:
    """A command of ours that dies by SIGKILL just before so many of its steps: a commit, or a file's renaming."""
    left, home = itertools.count(int(step), -1), read_settings().home.parent

    def die() -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    hear_renames(lambda target: die() if target.is_relative_to(home) else None)
    event.listen(Engine, "commit", lambda _connection: die())
    run(*arguments)


def die_before_renaming_into(folder: str, *arguments: str) -> None:
    """A command of ours that dies by SIGKILL just before it gives something its name in a folder."""
    hear_renames(lambda target: os.kill(os.getpid(), signal.SIGKILL) if target.parent == Path(folder) else None)
    run(*arguments)


def hear_renames(answer: Callable[[Path], object]) -> None:
    """Have a function told of every path that is about to be given to a file or folder, by renaming or linking."""

    def hear(name: str, values: tuple[object, ...]) -> None:
        if name in ("os.rename", "os.link"):
            target = values[1]
            answer(Path(os.fsdecode(target if isinstance(target, (bytes, str, os.PathLike)) else str(target))))

    sys.addaudithook(hear)


def run(*arguments: str) -> None:
    """A command of the command line, or what a flow does with the files in labels/."""
    if arguments == ("take in labels",):
        settings = read_settings()
        for number, path in enumerate(find_dropped(settings), start=1):
            take_in(settings, path, number)
        return
    sys.argv = ["xray", *arguments]
    main()


def run_as_an_ordinary_user(*arguments: str) -> None:
    """Become a command of ours without what lets root read and write past modes.

    Not another user: that one would not find an interpreter that is installed in root's own folder.
    """
    drop_from_bounding_set, writing_past_modes, reading_past_modes = 24, 1, 2
    for capability in (writing_past_modes, reading_past_modes):
        if os.geteuid() == 0 and ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0):
            sys.exit(CANNOT_BE_ORDINARY)
    os.execv(sys.executable, [sys.executable, "-m", "flows", *arguments])  # noqa: S606


def register_twin(settings: Settings, version: str) -> None:
    """A second model with the champion's files."""
    manifest = save_twin(settings, version)
    saved = hash_file(settings.models_dir / version / "model.json")
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        models.add_model(
            session,
            manifest,
            manifest_sha256=saved,
            proven=False,
            audit_verdict=None,
            actor="test",
            now=datetime.now(UTC),
        )
    engine.dispose()


def save_twin(settings: Settings, version: str) -> ModelManifest:
    """Write the champion's files into another model folder."""
    original = settings.models_dir / "0001-untrained"
    manifest = read_manifest(original)

    def fill(folder: Path) -> None:
        for name in ("model.keras", "model.onnx"):
            shutil.copy(original / name, folder / name)

    return write_model_folder(
        settings.models_dir,
        version=version,
        architecture=manifest.architecture,
        preprocessing=manifest.preprocessing,
        output=manifest.output,
        operating_point=manifest.operating_point,
        label_set_sha256=None,
        created_at=datetime.now(UTC),
        code_revision="test",
        seed=None,
        training={},
        probe=read_probe(original, manifest),
        fill=fill,
    )


TASKS = {
    task.__name__: task
    for task in (
        promote_for_ever,
        save_for_ever,
        hold_database,
        scan_until_commit,
        scan_and_note,
        run_until,
        die_before_renaming_into,
        run_as_an_ordinary_user,
    )
}

if __name__ == "__main__":
    TASKS[sys.argv[1]](*sys.argv[2:])
