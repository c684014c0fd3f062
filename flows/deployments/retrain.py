"""The retraining flow: claim, gather, fit, judge, conclude; every picture of it in the UI."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal, cast
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import Field

from flows.home.code_revision import read_code_revision
from flows.home.ledger import prepare_ledger
from flows.home.public_errors import without_words
from flows.settings import read_settings
from flows.training.due import read_due
from flows.training.remedies import read_champion_remedies
from flows.training.training import Claim, Conclusion, Training, open_training
from xray_core.networks.fitting import Trained, TrainingOptions
from xray_core.networks.records import Architecture, EpochRecord, Optimizer
from xray_core.processes.helper_process import BackgroundCall, HelperProcess, open_helper_process
from xray_core.records import RESEARCH_USE
from xray_core.training.images import TrainingImages

if TYPE_CHECKING:
    from xray_core.promotion.gate import PromotionDecision
    from xray_core.training.before_the_fit import Groundwork
    from xray_core.training.candidate import Candidate
    from xray_core.training.judgement import Judgement

_MARKS = {True: "passed", False: "FAILED", None: "cannot be told"}
_Epochs = Annotated[int, Field(ge=1, le=1000)]
_BatchSize = Annotated[int, Field(ge=1, le=1024)]
_LearningRate = Annotated[float | None, Field(gt=0, le=1)]
_Seed = Annotated[int, Field(ge=0)]


@flow(name="retrain")
@without_words
def retrain(
    trigger: Literal["by hand", "event"] = "by hand",
    architecture: Literal["seed_cnn", "vgg16", "resnet50", "xception"] = "seed_cnn",
    optimizer: Literal["rmsprop", "adam", "sgd"] = "rmsprop",
    learning_rate: _LearningRate = None,
    epochs: _Epochs = 15,
    batch_size: _BatchSize = 8,
    weights: str | None = None,
    seed: _Seed = 0,
) -> State[None]:
    """Train a candidate on all labels, judge it beside the champion, promote or reject it with a written reason.

    Args:
        trigger: event trains only when the retraining policy says it is due; by hand trains on what there is.
        architecture: the network; the large ones need local weights to be of any use.
        optimizer: how the weights are moved.
        learning_rate: step size of the optimizer; empty means the optimizer's own default.
        epochs: passes over the training X-rays.
        batch_size: X-rays per step.
        weights: a local FILE.weights.h5 for the base; empty means none. Nothing is ever downloaded.
        seed: of every random choice; the same seed trains the same model.
    """
    settings = read_settings()
    prepare_ledger(settings)
    due = read_due(settings)
    if trigger == "event" and not due.due:
        return Completed(message=f"not due: {due.reason}", name="NotDue")
    remedies, erase_border = read_champion_remedies(settings)  # only a person may change them: `xray train`
    options = TrainingOptions(
        architecture=Architecture(architecture),
        optimizer=Optimizer(optimizer),
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        weights=Path(weights) if weights else None,
        seed=seed,
        remedies=remedies,
        erase_border=erase_border,
    )
    with open_training(settings) as training, TemporaryDirectory(prefix="xray-training-") as aside:
        claim = training.claim(trigger=trigger, flow_run_id=flow_run.id, options=options)
        if claim is None:
            return Completed(message="these labels were trained on before, or are now", name="NothingToDo")
        with training.released_on_failure(claim), ExitStack() as stack:
            images = gather_xrays(training, claim, options)
            beside = stack.enter_context(open_helper_process())
            groundwork = training.begin_groundwork(images, beside)
            trained = fit_network(training, images, options)
            judgement = judge_candidate(training, images, trained, groundwork, options)
            plots = begin_plots(beside, images, trained, groundwork, judgement)
            candidate = save_model(training, images, trained, groundwork, judgement, Path(aside))
            decision = ask_gate(training, judgement, candidate)
            documents = write_card(images, candidate, options, judgement, decision, plots)
            conclusion = conclude(training, claim, candidate, options, judgement, decision, documents)
    publish_verdict(conclusion, judgement, decision)
    publish_plots(documents)
    return Completed(message=f"{conclusion.version}: {conclusion.verdict}. {conclusion.reason}")


@task(name="gather-xrays", cache_policy=NO_CACHE, persist_result=False)
@without_words
def gather_xrays(training: Training, claim: Claim, options: TrainingOptions) -> TrainingImages:
    """Decode every labelled X-ray once and put it on its patient's side of the frozen split."""
    images = training.gather(claim, options)
    for count in images.plan.counts:
        get_run_logger().info("%s, %s: %d X-rays of %d patients", count.split, count.label, count.xrays, count.patients)
    return images


@task(name="fit-network", cache_policy=NO_CACHE, persist_result=False)
@without_words
def fit_network(training: Training, images: TrainingImages, options: TrainingOptions) -> Trained:
    """Train a new network; the progress bar moves with every epoch."""
    return training.fit(images, options, _show_epochs(options.epochs))


@task(name="judge-candidate", cache_policy=NO_CACHE, persist_result=False)
@without_words
def judge_candidate(
    training: Training, images: TrainingImages, trained: Trained, groundwork: Groundwork, options: TrainingOptions
) -> Judgement:
    """Candidate and champion on the same frozen test X-rays, and the shortcut audit."""
    return training.judge(images, trained, groundwork, options)


def begin_plots(
    beside: HelperProcess, images: TrainingImages, trained: Trained, groundwork: Groundwork, judgement: Judgement
) -> dict[str, BackgroundCall[bytes]]:
    """Have the plots drawn while the model is saved."""
    from xray_core.training import plots

    return plots.begin_plots(beside, images, trained, groundwork, judgement)


@task(name="save-model", cache_policy=NO_CACHE, persist_result=False)
@without_words
def save_model(
    training: Training,
    images: TrainingImages,
    trained: Trained,
    groundwork: Groundwork,
    judgement: Judgement,
    aside: Path,
) -> Candidate:
    """Save model and twin aside; the twin must say what Keras says, and load in a fresh process."""
    return training.save(images, trained, groundwork, judgement, aside)


@task(name="ask-gate", cache_policy=NO_CACHE, persist_result=False)
@without_words
def ask_gate(training: Training, judgement: Judgement, candidate: Candidate) -> PromotionDecision:
    """Promote, reject, or too little to tell; every check goes into the log."""
    decision = training.decide(judgement, candidate)
    for check in decision.checks:
        get_run_logger().info("%s: %s (%s)", check.name, _MARKS[check.passed], check.words)
    return decision


@task(name="write-card", cache_policy=NO_CACHE, persist_result=False)
@without_words
def write_card(
    images: TrainingImages,
    candidate: Candidate,
    options: TrainingOptions,
    judgement: Judgement,
    decision: PromotionDecision,
    plots: dict[str, BackgroundCall[bytes]],
) -> dict[str, bytes]:
    """The model card with its plots."""
    from xray_core.training.documents import write_documents

    return write_documents(images, candidate, options, judgement, decision, plots, code_revision=read_code_revision())


@task(name="conclude", cache_policy=NO_CACHE, persist_result=False)
@without_words
def conclude(
    training: Training,
    claim: Claim,
    candidate: Candidate,
    options: TrainingOptions,
    judgement: Judgement,
    decision: PromotionDecision,
    documents: dict[str, bytes],
) -> Conclusion:
    """Put the model's folder in place and the verdict into the ledger, in one transaction."""
    return training.conclude(claim, candidate, options, judgement, decision, documents)


def publish_verdict(conclusion: Conclusion, judgement: Judgement, decision: PromotionDecision) -> None:
    """The verdict with its reason and every check, to read in the UI."""
    checks = "\n".join(f"| {check.name} | {_MARKS[check.passed]} | {check.words} |" for check in decision.checks)
    create_markdown_artifact(
        f"# {conclusion.version}: {conclusion.verdict}\n\n{conclusion.reason}\n\n"
        f"| check | result | in words |\n| --- | --- | --- |\n{checks}\n\n"
        f"**Shortcut audit: {judgement.audit.verdict}.** {judgement.audit.sentence}\n\n**{RESEARCH_USE}**",
        key="verdict",
        description="What the gate says of the candidate, and why",
    )


def publish_plots(documents: dict[str, bytes]) -> None:
    """Each plot as one artifact: a picture in markdown, well below the server's limit of 1.5 MB an event."""
    from xray_core.training.plots import NOT_IN_THE_UI

    for name, content in sorted(documents.items()):
        if name.endswith(".png") and name not in NOT_IN_THE_UI:
            title = name.removesuffix(".png").replace("_", " ")
            picture = base64.b64encode(content).decode()
            create_markdown_artifact(
                f"![{title}](data:image/png;base64,{picture})\n\n{RESEARCH_USE}",
                key=f"plot-{name.removesuffix('.png').replace('_', '-')}",
                description=title,
            )


def _show_epochs(epochs: int) -> Callable[[EpochRecord], None]:
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
