"""A training decodes what is new, and is bit for bit the one that decodes everything."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from db.engine import open_engine
from flows.home.backup import back_up
from flows.home.films import restored_dataset
from flows.home.ledger import find_anchor
from flows.operations.doctor import examine
from flows.operations.verification import find_breach
from flows.registry.grey_levels import find_grey_store
from flows.settings import Settings
from flows.training.images import read_training_images
from flows.training.training import train
from tests.faults.scanners import wait_until
from tests.flows.evidence_home import copy_home
from tests.networks import SIZE
from xray_core.imaging.records import Remedy
from xray_core.networks.fitting import Trained
from xray_core.networks.options import TrainingOptions
from xray_core.networks.quiet_keras import keras
from xray_core.networks.records import Augmentation
from xray_core.processes import reading
from xray_core.processes.grey_store import stamp_file
from xray_core.records import Split
from xray_core.training.fit import fit
from xray_core.training.images import TrainingImages

pytestmark = [pytest.mark.keras, pytest.mark.processes]

OPTIONS = TrainingOptions(epochs=1, input_size=SIZE, augmentation=Augmentation.STRONG, remedies=(Remedy.EQUALIZE,))
NOTHING_KEPT = {"kept_mib": 0}


def gather(settings: Settings) -> TrainingImages:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    images = read_training_images(settings, engine, OPTIONS.preprocessing, lambda _: None)
    engine.dispose()
    return images


def fit_to(images: TrainingImages) -> Trained:
    return fit(images.sides, images.preprocessing, OPTIONS, lambda _: None)


def test_the_same_films_and_weights_come_of_kept_grey_levels_and_no_film_is_decoded_again(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = gather(trained.but(NOTHING_KEPT))
    first = gather(trained)
    monkeypatch.setattr(reading, "decode_paths", None)
    again = gather(trained)

    for images in (first, again):
        assert images.plan == plain.plan
        assert (images.unread, images.unreadable) == (plain.unread, plain.unreadable)
        for ours, theirs in zip(images.sides.values(), plain.sides.values(), strict=True):
            assert (ours.xrays, ours.facts) == (theirs.xrays, theirs.facts)
            assert np.array_equal(ours.images[:], theirs.images[:])
            assert ours.unremedied is not None
            assert theirs.unremedied is not None
            assert np.array_equal(ours.unremedied[:], theirs.unremedied[:])
    ours, theirs = fit_to(again), fit_to(plain)
    assert ours.history == theirs.history
    weights = zip(ours.classifier.model.get_weights(), theirs.classifier.model.get_weights(), strict=True)
    assert all(np.array_equal(mine, other) for mine, other in weights)


def test_only_what_is_new_is_decoded_and_what_is_gone_is_not_trained_on(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, changed = gather(trained).sides[Split.TRAIN].xrays[:2]
    root = restored_dataset(trained, lost.path.folder_id)
    dataset = trained.home / lost.path.place
    shutil.copytree(dataset, root)
    paths = [os.fsencode(path) for path in root.rglob("*.*")]
    wait_until(
        lambda: all(stamp_file(path, 2) for path in paths), seconds=10
    )  # what was written a moment ago is not kept
    gather(trained)  # of files in another place, decoded once more
    (root / lost.path.path).unlink()
    (root / changed.path.path).write_bytes((root / changed.path.path).read_bytes() + b"other")
    asked: list[int] = []
    decode = reading.decode_paths
    monkeypatch.setattr(
        reading, "decode_paths", lambda limits, paths, kind: (asked.append(len(paths)), decode(limits, paths, kind))[1]
    )

    images = gather(trained)

    assert asked == [2, 2]  # the lost one and the changed one, before the remedies and after them
    left = {xray.sha256 for side in images.sides.values() for xray in side.xrays}
    assert not left & {lost.sha256, changed.sha256}
    assert images.unreadable == {"GONE": 1, "CHANGED": 1}


def test_the_grey_levels_of_a_home_are_named_and_stay_out_of_its_backups(trained: Settings, tmp_path: Path) -> None:
    gather(trained)
    (file, *others) = sorted(trained.greys_dir.glob("*.greys"))

    assert any("grey levels kept for trainings" in finding.what for finding in examine(trained))
    kept = 1 + len(others)
    assert find_breach(trained)[1][-1] == f"grey levels kept for trainings: {kept} files"
    with file.open("r+b") as damaged:
        damaged.seek(-1, 2)
        damaged.write(b"\0" if damaged.read(1) != b"\0" else b"\1")
    breach, in_order = find_breach(trained)
    assert breach is None
    assert "are decoded again" in in_order[-1]

    back_up(trained, tmp_path / "backup")

    assert not list((tmp_path / "backup").rglob("*greys*"))


def test_a_home_that_keeps_none_writes_none(trained: Settings) -> None:
    shutil.rmtree(trained.greys_dir, ignore_errors=True)

    settings = trained.but(NOTHING_KEPT)
    gather(settings)

    assert find_grey_store(settings) is None
    assert not trained.greys_dir.exists()


@pytest.mark.slow
def test_every_figure_of_a_training_is_the_one_without_kept_grey_levels(trained: Settings, tmp_path: Path) -> None:
    homes = {kept: copy_home(trained.home, tmp_path / str(kept)) for kept in (0, 4096)}
    for kept, settings in homes.items():
        homes[kept] = settings.but({"kept_mib": kept})
    gather(homes[4096])

    folders = []
    for settings in homes.values():
        trial = train(settings, OPTIONS, trigger="by hand")
        assert trial is not None
        folders.append(settings.models_dir / trial.conclusion.version)

    for name in ("evaluation.json", "audit.json", "history.csv", "drift_reference.json", "training_set.csv"):
        assert folders[0].joinpath(name).read_bytes() == folders[1].joinpath(name).read_bytes(), name
    ours, theirs = (keras.saving.load_model(folder / "model.keras", compile=False).get_weights() for folder in folders)
    assert all(np.array_equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
