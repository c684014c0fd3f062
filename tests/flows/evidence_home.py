"""Homes with a model that went through a whole training on synthetic X-rays and kept its known weights."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from db.engine import open_engine, snapshot
from db.records import EvaluationRecord, ModelRecord
from db.registry import evaluations
from flows.home.ledger import find_anchor, prepare_ledger
from flows.registry.foreign_import import ImportedModel, import_model
from flows.registry.models import find_model
from flows.review.dataset import register_dataset
from flows.scoring.scan import open_scan
from flows.settings import Settings
from flows.training.training import train
from tests.networks import SIZE, keep_known_weights, lung_contrast_network
from xray_core.exchange.dataset_folder import read_dataset_folder
from xray_core.imaging.records import Scaling
from xray_core.networks.records import InputRange
from xray_core.records import Label
from xray_core.report.study import STUDY_FILE
from xray_core.synthetic.xrays import write_sample_set

SETTING, LIMIT = "Drawn in a test, on one day.", "No person was examined."


def make_trained_home(folder: Path) -> Settings:
    """Every step of a training on 120 drawn X-rays of 120 patients, but with weights that no step moves.

    The champion is a network whose answers are known on every processor; all else is what a training makes of it.
    """
    write_sample_set(folder / "dataset", per_class=60, patients=60, seed=1)
    # A dozen patients of each class on the validation side: enough for thresholds that promise 90 %.
    settings = Settings(home=folder / "home", settle_seconds=0, target_sensitivity=0.9, target_specificity=0.9)
    settings.home.mkdir()
    (settings.home / "site.key").write_text("5a" * 32 + "\n")  # the key decides the split: every run has the same one
    (settings.home / STUDY_FILE).write_text(f'limits = ["{LIMIT}"]\n[answers]\nsetting = "{SETTING}"\n')
    prepare_ledger(settings)
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    found = read_dataset_folder(folder / "dataset", settings.class_names, folder / "dataset" / "patients.csv")
    register_dataset(settings, engine, found, on_progress=lambda _: None)
    engine.dispose()
    assert train(settings, keep_known_weights(folder), trigger="by hand") is not None
    return settings


def add_candidate(settings: Settings, folder: Path, *, size: int = SIZE) -> str:
    """A second model joins as a candidate; it says the opposite of the champion."""
    lung_contrast_network(size, turned=True).save(folder / "second.keras")
    imported = import_model(
        settings,
        folder / "second.keras",
        positive_output=Label.COVID,
        scaling=Scaling.UNIT,
        input_size=None,
        name="second",
    )
    return imported.version


def import_again(
    settings: Settings,
    name: str,
    *,
    says: Label = Label.COVID,
    reference: Path | None = None,
) -> ImportedModel:
    """The champion's network joins once more, from its ONNX file: a quarter of a Keras file's time.

    With `says` normal it says the opposite.
    """
    return import_model(
        settings,
        settings.models_dir / champion(settings).version / "model.onnx",
        positive_output=says,
        scaling=None,
        input_range=InputRange.UNIT,
        input_size=None,
        name=name,
        reference=reference,
        patients=reference / "patients.csv" if reference else None,
    )


@dataclass(frozen=True)
class Rival:
    """A home with a champion of known weights and a candidate that says the opposite."""

    settings: Settings
    candidate: str


def copy_home(home: Path, folder: Path) -> Settings:
    shutil.copytree(home, folder / "home")
    return Settings(home=folder / "home", settle_seconds=0)


def scan(settings: Settings) -> dict[str, int]:
    with open_scan(settings) as one_scan:
        for files in one_scan.find_batches():
            one_scan.score(files)
    return dict(one_scan.counts.outcomes)


def deliver(settings: Settings, *, per_class: int = 8, seed: int = 5) -> None:
    write_sample_set(settings.incoming_dir, per_class=per_class, patients=per_class, seed=seed, layout="flat")


def stored(settings: Settings) -> list[EvaluationRecord]:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        found = evaluations.list_evaluations(session)
    engine.dispose()
    return found


def champion(settings: Settings) -> ModelRecord:
    return find_model(settings, None)


def make_labelled(settings: Settings, folder: Path) -> None:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    found = read_dataset_folder(folder, settings.class_names, None)
    register_dataset(settings, engine, found, on_progress=lambda _: None)
    engine.dispose()


def write_lenient_policy(settings: Settings, path: Path) -> Settings:
    """A policy that a handful of drawn X-rays can satisfy: what it asks is asked all the same."""
    text = settings.retraining_policy.read_text()
    for name, value in (("min_patients_per_class", 5), ("margin", 0.5), ("sensitivity_floor", 0.0)):
        head, test = text.split("[test]")
        text = f"{head}[test]{re.sub(rf'(?m)^{name} = [0-9.]+', f'{name} = {value}', test)}"
    path.write_text(re.sub(r"(?m)^max_refer_share = [0-9.]+", "max_refer_share = 1.0", text))
    return settings.but({"retraining_policy": path})


def enter(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Every process that the test starts finds this home; relative paths are beside it."""
    monkeypatch.setenv("XRAY_HOME", str(settings.home))
    monkeypatch.setenv("XRAY_SETTLE_SECONDS", "0")
    monkeypatch.chdir(settings.home.parent)
    return settings


def call_flows(settings: Settings, api: str, program: str) -> dict[str, Any]:
    """Run a program that calls flows, on the Prefect server at this API; what it prints last is JSON."""
    environment = os.environ | {
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_API_URL": api,
        "DO_NOT_TRACK": "1",
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
