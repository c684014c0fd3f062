"""The retraining flow: claim, gather, fit, judge, conclude; every picture of it in the UI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, cast
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from flows.deployments.endings import complete
from flows.home.folders import enter_home
from flows.home.public_errors import without_words
from flows.registry.policy import read_policy
from flows.settings import read_settings
from flows.training.due import read_due
from flows.training.remedies import check_base_weights, read_taken_over
from flows.training.steps import Workbench, ask_gate, gather_xrays
from flows.training.training import Step, train
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import Architecture, EpochRecord, Optimizer
from xray_core.training.trial import Trial

_Epochs = Annotated[int, Field(ge=1, le=1000)]
_BatchSize = Annotated[int, Field(ge=1, le=1024)]
_LearningRate = Annotated[float | None, Field(gt=0, le=1)]
_Seed = Annotated[int, Field(ge=0)]

_ENDINGS = {"promote": "Promoted", "instated": "Instated", "reject": "Rejected"}


@flow(name="retrain")
@without_words
def retrain(
    trigger: Literal["by hand", "event"] = "by hand",
    architecture: Literal["seed_cnn", "vgg16", "resnet50", "xception", "efficientnet_lite0"] | None = None,
    optimizer: Literal["rmsprop", "adam", "sgd"] = "rmsprop",
    learning_rate: _LearningRate = None,
    epochs: _Epochs = 15,
    batch_size: _BatchSize = 8,
    weights: str | None = None,
    seed: _Seed = 0,
) -> State[None]:
    """Train a candidate, judge it beside the champion, promote or reject it with a written reason.

    It learns all labels; after a champion that learned this site's labels alone, or left out a source, so does it.

    Args:
        trigger: event trains only when the retraining policy says it is due; by hand trains on what there is.
        architecture: the network; empty means the champion's, with its labels, where that learned this site's labels
            alone, else seed_cnn. vgg16, resnet50 and xception need local weights to be of any use. A network that is
            named here learns all labels, at its own input size, and its base is not frozen.
        optimizer: how the weights are moved; a frozen base takes no optimizer, learning rate, epochs or batch size.
        learning_rate: step size of the optimizer; empty means the optimizer's own default.
        epochs: passes over the training X-rays.
        batch_size: X-rays per step.
        weights: a local FILE.weights.h5 for the base; empty means none. Nothing is ever downloaded.
        seed: of every random choice; on one processor with one set of versions, the same seed trains the same model.
    """
    settings = read_settings()
    enter_home(settings)
    due = read_due(settings)
    if trigger == "event" and not due.due:
        return complete("Not due", f"not due: {due.reason}")
    options = replace(
        read_taken_over(settings, read_policy(settings), Architecture(architecture) if architecture else None),
        optimizer=Optimizer(optimizer),
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        weights=Path(weights) if weights else None,
        seed=seed,
    )
    check_base_weights(settings, options)
    trial = train(
        settings, options, trigger=trigger, flow_run_id=flow_run.id, watch_epochs=show_epochs, take=take_as_task
    )
    if trial is None:
        return complete(
            "Nothing to do", "these labels were trained on before, or are now; new labels make another training"
        )
    publish_report(trial)
    done = trial.conclusion
    return complete(_ENDINGS.get(done.word, done.word.capitalize()), f"{done.version}: {done.word}. {done.reason}")


def take_as_task(step: Step, bench: Workbench, trial: Trial) -> Trial:
    """Take a step as a task that bears its name; what it came to goes into the task's log."""
    name = step.__name__.replace("_", "-")

    # Of a trial the task is given the options alone: enough to draw an arrow from the step that handed them on, while
    # Prefect would look through everything else item by item.
    @task(name=name, task_run_name=name, description=step.__doc__, cache_policy=NO_CACHE, persist_result=False)
    @without_words
    def take(options: TrainingOptions) -> Trial:
        taken = step(bench, replace(trial, options=options))
        log_step(step, taken)
        return taken

    return take(trial.options)


def log_step(step: Step, trial: Trial) -> None:
    """How many X-rays stand on which side, and every check of the gate."""
    logger = get_run_logger()
    if step is gather_xrays:
        for count in trial.images.plan.counts:
            logger.info("%s, %s: %d X-rays of %d patients", count.split, count.label, count.xrays, count.patients)
    elif step is ask_gate:
        for check in trial.decision.checks:
            logger.info("%s: %s (%s)", check.name, check.mark, check.words)


def publish_report(trial: Trial) -> None:
    """The verdict, what to do next, the figures, every check and the pictures, to read in the UI."""
    from xray_core.training.run_report import write_run_report

    create_markdown_artifact(
        write_run_report(trial), key="report", description="What the training came to, why, and what to do next"
    )


def show_epochs(epochs: int) -> Callable[[EpochRecord], None]:
    """A progress bar that moves with every epoch, and a line of the log."""
    shown = cast(UUID, create_progress_artifact(0.0, key="training", description=f"{epochs} epochs"))
    logger = get_run_logger()

    def show(record: EpochRecord) -> None:
        update_progress_artifact(shown, progress=100 * record.epoch / epochs)
        logger.info(
            "epoch %d of %d: loss %.3f accuracy %.3f, held out %.3f %.3f",
            record.epoch,
            epochs,
            record.train.loss,
            record.train.accuracy,
            record.held_out.loss,
            record.held_out.accuracy,
        )

    return show
