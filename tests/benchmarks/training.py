"""Cases of training: the fit against the tutorial's, and what a whole retraining spends outside of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from db.engine import open_engine
from flows.home.ledger import find_anchor
from flows.review.dataset import register_dataset
from flows.settings import Settings
from tests.benchmarks import peers, service
from tests.benchmarks.fit_parts import explain_fit
from tests.benchmarks.labelled import add_labelled
from tests.benchmarks.measurement import Measurement, alternate, at_least, at_most
from tests.benchmarks.pictures import LabelledFile, lay_out, split_by_patient, write_dataset
from tests.benchmarks.processes import environment_of, open_warm_process, run_program
from tests.benchmarks.retraining import RetrainingCost
from tests.benchmarks.workshop import Workshop
from xray_core.exchange.dataset_folder import read_dataset_folder
from xray_core.records import Label

_FOLDS = 5


def train(shop: Workshop) -> Iterator[Measurement]:
    """The same network, X-rays and epochs, from the files to the trained weights."""
    folder, epochs = shop.new_path("dataset"), shop.sizes.epochs
    learned, held_out = write_dataset(folder, tiny=shop.sizes.tiny)

    def fit(seed: int) -> tuple[float, float]:
        return _fit(learned, held_out, epochs, seed)

    def fit_as_tutorial(seed: int) -> tuple[float, float]:
        return _fit_as_tutorial(folder, epochs, seed)

    ours, theirs = alternate(min(3, shop.sizes.rounds), fit, fit_as_tutorial)
    with open_warm_process() as process:
        for line in process.submit(explain_fit).result():
            print(f"  {line}", file=sys.stderr, flush=True)
    what, against = f"training, {epochs} epochs on {len(learned)} X-rays", "ImageDataGenerator from files"
    seconds, aucs = zip(*ours, strict=True)
    their_seconds, their_aucs = zip(*theirs, strict=True)
    yield Measurement(what, against, "s", seconds, their_seconds, at_least(3.5))
    yield Measurement(
        f"AUC of that on {len(held_out)} held-out X-rays", against, "AUC", aucs, their_aucs, at_least(1), is_rate=True
    )


def cross_validate(shop: Workshop) -> Iterator[Measurement]:
    """Held-out AUC over all X-rays: every round trains both on the same people and judges them on the others."""
    files, _ = write_dataset(shop.new_path("dataset"), tiny=shop.sizes.tiny)
    folds, epochs = split_by_patient(files, _FOLDS), shop.sizes.epochs

    def fit(fold: int) -> float:
        return _fit(*folds[fold], epochs, fold)[1]

    def fit_as_tutorial(fold: int) -> float:
        folder = shop.new_path("fold")
        lay_out(folder, *folds[fold])
        return _fit_as_tutorial(folder, epochs, fold)[1]

    ours, theirs = alternate(min(_FOLDS, shop.sizes.rounds), fit, fit_as_tutorial)
    what = f"AUC of that, {_FOLDS} parts of {len(files)} X-rays held out in turn"
    yield Measurement(what, "ImageDataGenerator from files", "AUC", ours, theirs, at_least(1), is_rate=True)


def retrain(shop: Workshop) -> Iterator[Measurement]:
    """One retraining in a cold process, beside a champion, from its start to the verdict: the share outside the fit."""
    folder = shop.new_path("dataset")
    write_dataset(folder, tiny=shop.sizes.tiny)

    def share_outside(_: int) -> float:
        settings = shop.fresh_home()
        engine = open_engine(settings.url, anchor=find_anchor(settings))
        dataset = read_dataset_folder(folder / "train", settings.class_names, folder / "patients.csv")
        register_dataset(settings, engine, dataset, on_progress=lambda _: None)
        engine.dispose()
        cost = _measure_retraining(settings, shop.sizes.epochs)
        return 100 * (cost.seconds - cost.fitting) / cost.seconds

    (shares,) = alternate(min(3, shop.sizes.rounds), share_outside)
    yield Measurement("one retraining, cold to verdict", "share outside the fit", "%", shares, (), at_most(35))


def retrain_grown(shop: Workshop) -> Iterator[Measurement]:
    """A retraining of many labelled films, and one of few, each with as many new ones: what all but the fit takes."""
    few, many, new = shop.sizes.few_labelled, shop.sizes.many_labelled, shop.sizes.new_labelled
    costs = []
    for count in (few, many):
        settings = shop.fresh_home()
        add_labelled(settings, count - new, new)
        costs.append(_measure_retraining(settings, 1))
        told = ", ".join(f"{step} {seconds}" for step, seconds in costs[-1].parts.items())
        print(f"  {count} films, processor seconds beside the fit: {told}", file=sys.stderr, flush=True)
    small, large = costs
    what, against = f"retraining of {many} films, {new} of them new, beside the fit", f"the same of {few}"
    processor = (large.processor_outside,), (small.processor_outside,)
    yield Measurement(f"{what}, processor time", against, "s", *processor, at_most(1.5))
    wall = (large.seconds - large.fitting,), (small.seconds - small.fitting,)
    yield Measurement(what, against, "s", *wall, at_most(1.5))
    yield Measurement("memory of its process", "", "MB", (large.peak_megabytes,), (), at_most(2500))


def _measure_retraining(settings: Settings, epochs: int) -> RetrainingCost:
    program = ["tests.benchmarks.retraining", str(time.time()), str(epochs)]
    return RetrainingCost(**json.loads(run_program(program, environment_of(settings)).splitlines()[-1]))


def _fit(learned: list[LabelledFile], held_out: list[LabelledFile], epochs: int, seed: int) -> tuple[float, float]:
    with open_warm_process() as process:
        process.submit(service.warm_up_training).result()
        return process.submit(service.train_on_files, _pairs(learned), _pairs(held_out), epochs, seed).result()


def _fit_as_tutorial(folder: Path, epochs: int, seed: int) -> tuple[float, float]:
    with open_warm_process() as process:
        process.submit(peers.warm_up_training).result()
        return process.submit(peers.train_from_files, str(folder), epochs, seed).result()


def _pairs(files: Sequence[LabelledFile]) -> list[tuple[str, bool]]:
    return [(str(file.path), file.label is Label.COVID) for file in files]
