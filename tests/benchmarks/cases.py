"""The cases by name, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.benchmarks import archive, empty_run, first_score, growth, idle, reading, scoring, seals, training
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.workshop import Workshop

CASES: dict[str, Callable[[Workshop], Iterator[Measurement]]] = {
    "many": scoring.score_many,
    "few-cold": scoring.score_few_cold,
    "first-score": first_score.score_first,
    "together": scoring.score_together,
    "empty-run": empty_run.run_nothing,
    "idle": idle.idle_hour,
    "rescan": archive.rescan,
    "memory": archive.memory,
    "export": archive.export,
    "verify": seals.verify,
    "sealing": seals.write,
    "years": growth.grow,
    "reading": reading.read_films,
    "training": training.train,
    "cross-validation": training.cross_validate,
    "retraining": training.retrain,
    "retraining-grown": training.retrain_grown,
}
