"""Homes with many labelled films, nearly all of which a training has read before; and what another training costs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from db.engine import open_engine, snapshot, transaction
from db.reading.labelled import read_labelled
from db.scoring import folders
from db.scoring.tables import LabelRow, XrayRow
from db.scoring.xrays import freeze_splits
from flows.home.films import make_locator, name_dataset
from flows.home.ledger import find_anchor
from flows.home.site_key import read_site_key
from flows.registry.grey_levels import find_grey_store
from flows.registry.policy import read_policy
from flows.review.dataset import register_dataset
from flows.settings import Settings
from tests.benchmarks.homes import insert_rows
from xray_core.exchange.dataset_folder import read_dataset_folder
from xray_core.imaging.network_input import fit_pixels
from xray_core.imaging.records import ImageFacts, ScaleRule
from xray_core.networks.options import TrainingOptions
from xray_core.processes.decoder import Decoded
from xray_core.processes.grey_store import open_shelf, stamp_file
from xray_core.records import FileFormat, FolderKind, Label, LabelledXray
from xray_core.synthetic.xrays import draw_xray
from xray_core.training.duplicates.kept_pairs import find_pairs
from xray_core.training.split import plan_training_set

_DRAWN = 60
_SIDE = 256


def add_labelled(settings: Settings, known: int, new: int) -> None:
    """Let the home have `known` labelled films whose grey levels are kept, and `new` ones that nobody has read.

    The known ones are few drawn films under many grains, and their files are words: who decodes them fails.
    """
    _add_known(settings, known)
    _keep_greys(settings)
    folder = settings.home / "new-films"
    rows = ["filename,patient_id"]
    for number in range(new):
        label = Label.COVID if number % 2 else Label.NORMAL
        path = folder / label.value / f"new-{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_xray(np.random.default_rng([1, number]), label, _SIDE)).save(path)
        rows.append(f"{path.name},new {number}")
    (settings.home / "new-patients.csv").write_text("\n".join(rows))
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    dataset = read_dataset_folder(folder, settings.class_names, settings.home / "new-patients.csv")
    register_dataset(settings, engine, dataset, on_progress=lambda _: None)
    engine.dispose()


def _add_known(settings: Settings, count: int) -> None:
    root = settings.home / "known-films"
    root.mkdir()
    for number in range(count):
        (root / _name(number)).write_bytes(_content(number))
    now = datetime.now(UTC)
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        folder_id = folders.add_folder(session, FolderKind.DATASET, name_dataset(settings, root), now=now)
    engine.dispose()
    insert_rows(settings, XrayRow, (_xray_row(number, folder_id, now) for number in range(count)))
    insert_rows(settings, LabelRow, (_label_row(number, now) for number in range(count)))


def _keep_greys(settings: Settings) -> None:
    """As a training would have kept them, by the service's own means."""
    store, preprocessing = find_grey_store(settings), TrainingOptions().preprocessing
    assert store is not None
    engine = open_engine(settings.url)
    with snapshot(engine) as session:
        xrays = read_labelled(session, read_policy(settings).labels)
    engine.dispose()
    locate = make_locator(settings)
    facts = ImageFacts(FileFormat.PNG, _SIDE, _SIDE, "L", ScaleRule.EIGHT_BIT)
    greys = _vary(len(xrays), preprocessing.height, [fit_pixels(film, preprocessing) for film in _draw()])
    decoded = {}
    with open_shelf(store, preprocessing, ()) as shelf:
        for xray, grey in zip(xrays, greys, strict=True):
            film = Decoded(xray.sha256, grey, facts, xray.dhash, 0.0)
            shelf.put(film, stamp_file(locate(xray.path), settled_seconds=0))
            decoded[xray.sha256] = film
    find_pairs(store, preprocessing, (), xrays, decoded)
    _freeze_sides(settings, xrays)


def _freeze_sides(settings: Settings, xrays: list[LabelledXray]) -> None:
    """The training that has read them has put their patients on a side."""
    plan = plan_training_set(xrays, {}, read_site_key(settings))
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        freeze_splits(session, plan.new_groups, now=datetime.now(UTC))
    engine.dispose()


def _draw() -> Iterator[NDArray[np.uint8]]:
    for number in range(_DRAWN):
        yield draw_xray(np.random.default_rng([0, number]), Label.COVID if number % 2 else Label.NORMAL, _SIDE)


def _vary(count: int, side: int, drawn: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Drawn films under coarse grain: each another picture, of the class of its number."""
    rng = np.random.default_rng(2)
    cells = -(-side // 10)
    for number in range(count):
        grain = rng.normal(0, 30, (cells, cells)).repeat(10, 0).repeat(10, 1)[:side, :side]
        yield np.clip(drawn[number % _DRAWN] + grain, 0, 255).astype(np.uint8)


def _content(number: int) -> bytes:
    return b"the film %d" % number


def _name(number: int) -> str:
    return f"known-{number:06d}.png"


def _xray_row(number: int, folder_id: int, now: datetime) -> dict[str, Any]:
    sha256 = hashlib.sha256(_content(number)).hexdigest()
    return {
        "id": number + 1,
        "sha256": sha256,
        "patient": hashlib.sha256(b"patient" + _content(number)).hexdigest()[:32],
        "file_format": FileFormat.PNG,
        "width": _SIDE,
        "height": _SIDE,
        "mode": "L",
        "scale_rule": ScaleRule.EIGHT_BIT,
        "flags": "",
        "dhash": f"{int(sha256[:16], 16) & int(sha256[16:32], 16) & int(sha256[32:48], 16):016x}",
        "path": _name(number),
        "folder_id": folder_id,
        "first_seen_at": now,
    }


def _label_row(number: int, now: datetime) -> dict[str, Any]:
    return {
        "xray_id": number + 1,
        "label": Label.COVID if number % 2 else Label.NORMAL,
        "source": "dataset",
        "import_sha256": "0" * 64,
        "imported_at": now,
    }
