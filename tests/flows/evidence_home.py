"""Homes with a model that was really trained, on synthetic X-rays, for the tests of evidence."""

from __future__ import annotations

from pathlib import Path

from db.engine import open_engine
from flows.dataset import register_dataset
from flows.import_model import import_model
from flows.ledger import prepare_ledger
from flows.settings import Settings
from flows.train_once import train_once
from xray_core.dataset_folder import read_dataset_folder
from xray_core.networks import build_network
from xray_core.records import Architecture, Label
from xray_core.sample_xrays import write_sample_set
from xray_core.training import TrainingOptions

SIZE = 48


def make_trained_home(folder: Path) -> Settings:
    """Train the tutorial's network for an epoch on 120 drawn X-rays of 120 patients; it is the champion."""
    write_sample_set(folder / "dataset", per_class=60, patients=60, seed=1)
    settings = Settings(home=folder / "home", settle_seconds=0)
    settings.home.mkdir()
    (settings.home / "site.key").write_text("5a" * 32 + "\n")  # the key decides the split: every run has the same one
    prepare_ledger(settings)
    engine = open_engine(settings.url)
    found = read_dataset_folder(folder / "dataset", settings.class_names, folder / "dataset" / "patients.csv")
    register_dataset(settings, engine, found, on_progress=lambda _: None)
    engine.dispose()
    options = TrainingOptions(epochs=1, input_size=SIZE)
    concluded = train_once(settings, options, trigger="by hand", on_epoch=lambda _: None)
    assert concluded is not None
    return settings


def add_candidate(settings: Settings, folder: Path, *, size: int = SIZE, seed: int = 9) -> str:
    """A second model joins as a candidate, untrained."""
    build_network(Architecture.SEED_CNN, input_size=(size, size), seed=seed).save(folder / "second.keras")
    imported = import_model(
        settings,
        folder / "second.keras",
        positive_output=Label.COVID,
        scaling=None,
        input_size=None,
        name="second",
    )
    return imported.version
