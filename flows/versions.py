"""Names of model versions: a number that never comes again, and what kind of model it is."""

from __future__ import annotations

from sqlalchemy import Engine

from db import model_registry
from db.engine import snapshot
from flows.settings import Settings


def next_version(settings: Settings, engine: Engine, kind: str) -> str:
    """A name that neither the registry nor the models folder has: `0003-seed_cnn`."""
    with snapshot(engine) as session:
        taken = {model.version for model in model_registry.list_models(session)}
    taken |= {folder.name for folder in settings.models_dir.iterdir()}
    numbers = [int(name[:4]) for name in taken if name[:4].isdigit()]
    return f"{max(numbers, default=0) + 1:04d}-{kind}"
