"""A team's own Keras model joins the registry: opened in a child process, exported, probed, registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from db.engine import transaction
from flows.home.code_revision import read_code_revision
from flows.home.ledger import open_ledger
from flows.registry.foreign_reference import ForeignReference, learn_foreign_reference
from flows.registry.models import next_version
from flows.registry.standing import NO_REFERENCE
from flows.registry.verdicts import register_unjudged
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.imaging.content import hash_file
from xray_core.imaging.records import Scaling
from xray_core.models.folder import KERAS_FILE, ONNX_FILE, hash_manifest, write_model_folder
from xray_core.models.records import ModelManifest, OperatingPoint
from xray_core.networks.foreign.model import ForeignModel, import_network
from xray_core.networks.foreign.output import OutputRequest
from xray_core.networks.records import InputRange
from xray_core.records import Label
from xray_core.report.card import CardFacts, write_card
from xray_core.synthetic.xrays import draw_xray
from xray_core.training.candidate import draw_probe

IMPORTED = "imported"
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
    positive_output: str,
    scaling: Scaling | None,
    input_size: tuple[int, int] | None,
    name: str,
    output_names: tuple[str, ...] = (),
    are_logits: bool = False,
    input_range: InputRange | None = None,
    reference: Path | None = None,
    patients: Path | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ImportedModel:
    """Import a `.keras` or `.onnx` file; it becomes champion (unproven) where there is none, else a candidate.

    Its weights stay as they are and its thresholds are 0.5 until somebody judges it on labelled X-rays. `reference` is
    a folder per class of X-rays like those that it was trained on (`patients` says whose they are): from them it is
    learned what a chest film is. Without one no X-ray of this version is ever referred as out of distribution, for
    its folder never changes, and every surface says so. Raises RefusedInput for a missing file or a
    wrong kind of one, IncompatibleModel for one that cannot be loaded, trusted or exported, InvalidDataset for a
    reference of too few.
    """
    if not source.is_file():
        raise RefusedInput(f"{source}: there is no such file; expected a .keras or .onnx file")
    rng = np.random.default_rng(1)
    trial = [draw_xray(rng, label, 384) for label in (Label.COVID, Label.NORMAL) * (_TRIAL_XRAYS // 2)]
    with open_ledger(settings) as engine:
        with TemporaryDirectory(prefix="xray-import-") as aside:
            found = import_network(
                source,
                Path(aside),
                output=OutputRequest(positive_output, output_names, are_logits),
                pixels=trial,
                scaling=scaling,
                input_range=input_range,
                input_size=input_size,
            )
            learned = None
            if reference is not None:
                learned = learn_foreign_reference(
                    settings, reference, found.preprocessing, patients=patients, on_progress=on_progress
                )
            manifest = _publish(settings, Path(aside), found, learned, next_version(settings.models_dir, engine, name))
        folder_sha256 = hash_manifest(settings.models_dir / manifest.version)
        with transaction(engine) as session:
            is_first = register_unjudged(session, manifest, folder_sha256, actor="operator", now=datetime.now(UTC))
        fit = [f"{learned.fit}"] if learned and learned.fit else []
        return ImportedModel(manifest.version, is_first, (*found.notes, *fit, _note_reference(learned)))


def _note_reference(learned: ForeignReference | None) -> str:
    if learned is None:
        return f"{NO_REFERENCE}; to change that, import it again with --reference DATASET_DIR"
    return (
        f"what a chest film is was learned from {learned.xrays} X-rays of {learned.patients} patients"
        + (f" ({learned.unknown} X-rays of unknown ones): " if learned.unknown else ": ")
        + "others will be referred"
    )


def _describe_source(found: ForeignModel) -> dict[str, str | int | float | bool | None]:
    """Where the model comes from, as model.json and the card say it."""
    return {
        "imported": True,
        "imported_from": found.source_file,
        "can_be_trained_further": found.source_file == KERAS_FILE,
    }


def _publish(
    settings: Settings, aside: Path, found: ForeignModel, learned: ForeignReference | None, version: str
) -> ModelManifest:
    point, now = OperatingPoint(0.5, 0.5, None, None, None, 0, 0, None), datetime.now(UTC)
    card = CardFacts(
        version=version,
        architecture=IMPORTED,
        created_at=now,
        code_revision=read_code_revision(),
        proven=False,
        preprocessing=found.preprocessing,
        training=_describe_source(found),
        operating_point=point,
        odd_limit=None if learned is None else float(learned.chest.limit),
        hashes=tuple((name, hash_file(aside / name)) for name in (found.source_file, ONNX_FILE)),
    )

    def fill(folder: Path) -> None:
        for name in (found.source_file, ONNX_FILE):
            (folder / name).write_bytes((aside / name).read_bytes())
        for name, content in (learned.files if learned else {}).items():
            (folder / name).write_bytes(content)
        for name, text in zip(("MODEL_CARD.md", "MODEL_CARD.html"), write_card(card), strict=True):
            (folder / name).write_text(text, encoding="utf-8")

    return write_model_folder(
        settings.models_dir,
        version=version,
        architecture=IMPORTED,
        preprocessing=found.preprocessing,
        output=found.output,
        operating_point=point,
        label_set_sha256=None,
        created_at=now,
        code_revision=read_code_revision(),
        seed=None,
        training=_describe_source(found),
        probe=draw_probe(found.preprocessing),
        source_file=found.source_file,
        fill=fill,
    )
