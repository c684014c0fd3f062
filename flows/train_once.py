"""A whole training in this process, for the command line; the retrain flow walks the same steps as tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.documents import write_documents
from flows.settings import Settings
from flows.training import Conclusion, open_training
from xray_core.records import EpochRecord
from xray_core.training import TrainingOptions


def train_once(
    settings: Settings, options: TrainingOptions, *, trigger: str, on_epoch: Callable[[EpochRecord], None]
) -> Conclusion | None:
    """Train on the labels as they are now; None where just these labels were trained on before."""
    with open_training(settings) as training, TemporaryDirectory(prefix="xray-training-") as aside:
        claim = training.claim(trigger=trigger, options=options)
        if claim is None:
            return None
        with training.released_on_failure(claim):
            material = training.gather(claim, options)
            trained = training.fit(material, options, on_epoch)
            candidate = training.save(material, trained, options, Path(aside))
            judgement = training.judge(material, candidate)
            documents = write_documents(material, trained, candidate, options, judgement)
            return training.conclude(claim, candidate, options, judgement, documents)
