"""`xray train`: a first model from a folder per class, or a better one through the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.home import Json
from flows.cli.terminal import make_home, open_home, print_json, say, show_progress, tell
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.imaging.records import RemedyWord
from xray_core.networks.records import Architecture, Augmentation, EpochRecord, Optimizer
from xray_core.records import RESEARCH_USE

if TYPE_CHECKING:
    from flows.review.dataset import Registration
    from xray_core.exchange.dataset_patients import PatientsFit
    from xray_core.training.trial import GivenDataset


def train(
    context: typer.Context,
    dataset: Annotated[
        Path | None, typer.Argument(help="folder with one folder per class, or with ieee8023's metadata.csv")
    ] = None,
    own_labels: Annotated[
        bool, typer.Option("--own-labels", help="learn from the labelled films of this site alone, no dataset")
    ] = False,
    exclude_source: Annotated[
        list[str] | None,
        typer.Option(help="leave out the labelled films of a source, repeatable; retrainings do so too"),
    ] = None,
    patients: Annotated[Path | None, typer.Option(help="CSV with filename, patient_id (more columns are used)")] = None,
    architecture: Annotated[Architecture, typer.Option(help="the network")] = Architecture.SEED_CNN,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="the base stays as it is; a last layer is fitted in seconds")
    ] = False,
    weights: Annotated[
        str | None, typer.Option(help="none, or a local FILE.weights.h5 for the base; nothing is ever downloaded")
    ] = None,
    optimizer: Annotated[Optimizer, typer.Option(help="how weights are moved")] = Optimizer.RMSPROP,
    learning_rate: Annotated[float | None, typer.Option(help="default: the optimizer's own", min=0)] = None,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="how often it sees every X-ray")] = 15,
    batch_size: Annotated[int, typer.Option(min=1, max=1024, help="X-rays a step")] = 8,
    input_size: Annotated[int | None, typer.Option(min=32, max=1024, help="side in pixels; default: its own")] = None,
    augmentation: Annotated[
        Augmentation | None,
        typer.Option(help="random changes of training X-rays; default: tutorial for seed_cnn, strong for the others"),
    ] = None,
    shear: Annotated[float | None, typer.Option(min=0, max=45, help="degrees; default: the augmentation's")] = None,
    zoom: Annotated[
        float | None, typer.Option(min=0, max=0.9, help="0.2 zooms by 0.8 to 1.2; default: the augmentation's")
    ] = None,
    flip: Annotated[bool, typer.Option(help="mirror training X-rays at random")] = True,
    remedy: Annotated[
        list[RemedyWord] | None,
        typer.Option(help="against shortcuts; repeatable"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of weights, order and augmentation")] = 0,
    as_json: Json = False,
) -> None:
    """Train a model; the gate judges it beside the champion.

    From a folder per class, or from the labelled films that are here. The first one becomes the champion (unproven);
    later ones go through the gate.

    Example: xray train dataset/ --patients patients.csv

    Example: xray train --own-labels --architecture efficientnet_lite0 --frozen

    Example: xray train --exclude-source github.com
    """
    check_choices(context, own_labels=own_labels, frozen=frozen, has_dataset=dataset is not None)
    train_from_folder(
        make_home() if dataset is not None else open_home(),
        dataset,
        patients=patients,
        own_labels=own_labels,
        excluded_sources=tuple(sorted(set(exclude_source or ()))),
        frozen=frozen,
        architecture=architecture,
        weights=weights,
        optimizer=optimizer,
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        input_size=input_size,
        augmentation=augmentation,
        shear=shear,
        zoom=zoom,
        horizontal_flip=flip,
        remedy_words=remedy or [],
        seed=seed,
        as_json=as_json,
    )


def check_choices(context: typer.Context, *, own_labels: bool, frozen: bool, has_dataset: bool) -> None:
    """Raise RefusedInput where two choices exclude each other: nothing that a person asks for is left out silently."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    if own_labels and (has_dataset or "patients" in given):
        raise RefusedInput(
            "--own-labels: received a dataset or its patients CSV as well; expected one of both: the labelled films of "
            "this site, or a dataset (without --own-labels it is trained on together with them)"
        )
    if own_labels and "exclude_source" in given:
        raise RefusedInput(
            "--own-labels: received --exclude-source as well; expected one of both: films of this site come from no "
            "source of a dataset"
        )
    if not own_labels and not has_dataset and "exclude_source" not in given:
        raise RefusedInput(
            "DATASET: received none; expected a folder with one folder per class, --own-labels to learn from the "
            "labelled films of this site, or --exclude-source for all labelled films but some"
        )
    if frozen and not context.params["architecture"].has_base:
        bases = ", ".join(each.value for each in Architecture if each.has_base)
        raise RefusedInput(f"--frozen: {context.params['architecture'].value} has no base to freeze; expected {bases}")
    moot = sorted(f"--{name.replace('_', '-')}" for name in given & _OF_EPOCHS) if frozen else []
    if moot or (frozen and "erase-border" in (context.params["remedy"] or ())):
        raise RefusedInput(
            f"--frozen: received {', '.join(moot) or '--remedy erase-border'} as well; expected none of it: the last "
            "layer is fitted at once, without epochs and without random changes of the films"
        )


# What applies to training in epochs alone.
_OF_EPOCHS = {"optimizer", "learning_rate", "epochs", "batch_size", "augmentation", "shear", "zoom", "flip"}


def _report(registered: Registration, fit: PatientsFit | None, say: Callable[[str], None]) -> None:
    """What became of the dataset; nothing of it vanishes without a word."""
    if fit is not None:
        say(f"{fit}")
    say(f"{registered.xrays} X-rays registered, {registered.new_labels} new labels")
    if registered.unknown_patients:
        say(
            f"  {registered.unknown_patients} of them are of unknown patients: they are trained on and never judge; "
            "--patients CSV or `xray patients import CSV` says whose they are"
        )
    if registered.other_patients:
        say(
            f"  {registered.other_patients} of them were known here as another patient's, and stay so; "
            "`xray patients import CSV` corrects it"
        )
    if registered.against_header:
        say(
            f"  {registered.against_header} of them are another patient's by their own header than by the patients "
            "CSV: the CSV counts"
        )
    if registered.doubted:
        say(
            f"  {registered.doubted} labelled X-rays carry patient ids of too many films, or of both classes, to be "
            "one person's: their patients count as unknown"
        )
    for reason, number in sorted(registered.kept_out.items()):
        say(f"  kept out: {reason} {number}")


def train_from_folder(
    settings: Settings,
    dataset: Path | None,
    *,
    patients: Path | None,
    architecture: Architecture,
    weights: str | None,
    optimizer: Optimizer,
    remedy_words: Sequence[str],
    as_json: bool,
    **rest: Any,
) -> None:
    """Register the dataset if there is one, train on the labels that the ledger has then, and say what came of it."""
    from flows.training import training
    from flows.training.claim import check_weights
    from flows.training.remedies import parse_remedies
    from xray_core.networks.options import TrainingOptions

    remedies, erase_border = parse_remedies(remedy_words)
    options = TrainingOptions(
        architecture=architecture,
        optimizer=optimizer,
        weights=None if weights in (None, "none") else Path(weights),
        remedies=remedies,
        erase_border=erase_border,
        **rest,
    )
    check_weights(options)
    # A program gets one object on standard output; what a person watches goes beside it.
    tell_beside = partial(say, err=as_json)
    given = None if dataset is None else _register(settings, dataset, patients, tell_beside)

    epochs = None if options.frozen else options.epochs
    with show_progress("fitting" if options.frozen else "training", unit="epochs", total=epochs) as advance:

        def show(epoch: EpochRecord) -> None:
            advance(1)
            train, held_out = epoch.train, epoch.held_out
            tell_beside(
                f"epoch {epoch.epoch:3}/{options.epochs}  loss {train.loss:.3f}  accuracy {train.accuracy:.3f}"
                f"  held out: loss {held_out.loss:.3f}  accuracy {held_out.accuracy:.3f}"
            )

        trial = training.train(settings, options, trigger="by hand", dataset=given, watch_epochs=lambda _: show)
    if trial is None:
        raise RefusedInput(
            "these labels were trained on before, and nothing has changed since; `xray models list` shows the result"
        )
    done = trial.conclusion
    if as_json:
        told = {
            "version": done.version,
            "verdict": done.verdict,
            "is_champion": done.is_champion,
            "reason": done.reason,
        }
        print_json(told | {"folder": settings.models_dir / done.version, "note": RESEARCH_USE})
        return
    where = f"model, plots and MODEL_CARD.md: {settings.models_dir / done.version}"
    tell([f"{done.version}: {done.word}. {done.reason}", where, RESEARCH_USE])


def _register(settings: Settings, dataset: Path, patients: Path | None, say: Callable[[str], None]) -> GivenDataset:
    """Read the folder and write its X-rays and labels into the ledger."""
    from flows.home.label_words import read_label_words
    from flows.home.ledger import open_ledger
    from flows.registry.policy import find_mistakes
    from flows.review.dataset import register_dataset
    from xray_core.exchange.dataset_folder import read_dataset_folder
    from xray_core.training.trial import GivenDataset

    for mistake in find_mistakes(settings):  # before the ledger learns of the dataset
        raise mistake
    folder = read_dataset_folder(dataset, read_label_words(settings), patients, patient_from=settings.patient_from)
    with (
        open_ledger(settings) as engine,
        show_progress("reading", unit="X-rays", total=len(folder.items)) as advance,
    ):
        registered = register_dataset(settings, engine, folder, on_progress=advance)
    _report(registered, folder.fit, say)
    return GivenDataset(registered.label_set_sha256, has_patients_csv=patients is not None)
