"""A team's own Keras model joins the registry: opened in a child process, exported, probed, registered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from db import model_registry
from db.engine import transaction
from flows.candidate import code_revision, draw_probe
from flows.ledger import open_ledger
from flows.settings import Settings
from flows.versions import next_version
from xray_core.errors import RefusedInput
from xray_core.foreign_model import ForeignModel, import_keras
from xray_core.model_folder import hash_manifest, write_model_folder
from xray_core.records import Label, ModelManifest, OperatingPoint, Scaling
from xray_core.sample_xrays import draw_xray

_TRIAL_XRAYS = 32


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """What the import came to; `notes` are sentences about what was read from the file or assumed."""

    version: str
    is_champion: bool
    notes: tuple[str, ...]


def import_model(
    settings: Settings,
    source: Path,
    *,
    positive_output: Label,
    scaling: Scaling | None,
    input_size: tuple[int, int] | None,
    name: str,
) -> ImportedModel:
    """Import a `.keras` file; it becomes champion (unproven) where there is none, else a candidate.

    Its thresholds are 0.5 until somebody judges it on labelled X-rays. Raises RefusedInput for a missing file,
    IncompatibleModel for one that cannot be loaded, trusted or exported.
    """
    if not source.is_file():
        raise RefusedInput(f"{source}: there is no such file; expected a .keras file")
    rng = np.random.default_rng(1)
    trial = [draw_xray(rng, label, 384) for label in (Label.COVID, Label.NORMAL) * (_TRIAL_XRAYS // 2)]
    with open_ledger(settings) as engine:
        with TemporaryDirectory(prefix="xray-import-") as aside:
            found = import_keras(
                source,
                Path(aside),
                positive_output=positive_output,
                pixels=trial,
                scaling=scaling,
                input_size=input_size,
            )
            manifest = _publish(settings, Path(aside), found, next_version(settings, engine, name))
        now = datetime.now(UTC)
        with transaction(engine) as session:
            model_registry.add_model(
                session,
                manifest,
                manifest_sha256=hash_manifest(settings.models_dir / manifest.version),
                proven=False,
                audit_verdict=None,
                actor="operator",
                now=now,
            )
            is_first = model_registry.champion(session) is None
            if is_first:
                model_registry.promote(
                    session,
                    manifest.version,
                    actor="operator",
                    reason="imported as the first model: champion but unproven",
                    evaluation_id=None,
                    now=now,
                )
        return ImportedModel(manifest.version, is_first, found.notes)


def _publish(settings: Settings, aside: Path, found: ForeignModel, version: str) -> ModelManifest:
    def fill(folder: Path) -> None:
        for name in ("model.keras", "model.onnx"):
            (folder / name).write_bytes((aside / name).read_bytes())

    return write_model_folder(
        settings.models_dir,
        version=version,
        architecture="imported",
        preprocessing=found.preprocessing,
        output=found.output,
        operating_point=OperatingPoint(0.5, 0.5, None, None, None, 0, 0, None),
        label_set_sha256=None,
        created_at=datetime.now(UTC),
        code_revision=code_revision(),
        seed=None,
        training={"imported": True},
        probe=draw_probe(found.preprocessing),
        fill=fill,
    )
