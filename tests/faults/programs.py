"""What the kill tests run as processes: `python -m tests.faults.programs TASK ...`, in the home of XRAY_HOME."""

from __future__ import annotations

import itertools
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from db import model_registry
from db.engine import open_engine, transaction
from flows.models import list_models, promote_by_hand
from flows.settings import Settings, read_settings
from xray_core.model_folder import hash_file, read_manifest, read_probe, write_model_folder
from xray_core.records import ModelManifest


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
    with transaction(open_engine(read_settings().url)):
        print("holding", flush=True)
        time.sleep(float(seconds))


def register_twin(settings: Settings, version: str) -> None:
    """A second model with the champion's files."""
    manifest = save_twin(settings, version)
    saved = hash_file(settings.models_dir / version / "model.json")
    engine = open_engine(settings.url)
    with transaction(engine) as session:
        model_registry.add_model(
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


TASKS = {task.__name__: task for task in (promote_for_ever, save_for_ever, hold_database)}

if __name__ == "__main__":
    TASKS[sys.argv[1]](*sys.argv[2:])
