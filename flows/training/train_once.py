"""A whole training in this process, for the command line; the retrain flow walks the same steps as tasks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.home.code_revision import read_code_revision
from flows.settings import Settings
from flows.training.training import Conclusion, open_training
from xray_core.networks.fitting import TrainingOptions
from xray_core.networks.records import EpochRecord
from xray_core.processes.helper_process import open_helper_process


def train_once(
    settings: Settings, options: TrainingOptions, *, trigger: str, on_epoch: Callable[[EpochRecord], None]
) -> Conclusion | None:
    """Train on the labels as they are now; None where just these labels were trained on before."""
    with open_training(settings) as training, TemporaryDirectory(prefix="xray-training-") as aside:
        claim = training.claim(trigger=trigger, options=options)
        if claim is None:
            return None
        with training.released_on_failure(claim), ExitStack() as stack:
            images = training.gather(claim, options)
            beside = stack.enter_context(open_helper_process())
            groundwork = training.begin_groundwork(images, beside)
            trained = training.fit(images, options, on_epoch)
            # Imported by now, beside the fit.
            from xray_core.training.documents import write_documents
            from xray_core.training.plots import begin_plots

            judgement = training.judge(images, trained, groundwork, options)
            plots = begin_plots(beside, images, trained, groundwork, judgement)
            candidate = training.save(images, trained, groundwork, judgement, Path(aside))
            decision = training.decide(judgement, candidate)
            documents = write_documents(
                images, candidate, options, judgement, decision, plots, code_revision=read_code_revision()
            )
            return training.conclude(claim, candidate, options, judgement, decision, documents)
