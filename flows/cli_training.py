"""`xray train`: a first model from a folder per class, or a better one through the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import typer

from flows.dataset import register_dataset
from flows.ledger import open_ledger
from flows.progress import show_progress
from flows.remedy_words import parse_remedies
from flows.settings import Settings
from flows.train_once import train_once
from xray_core.dataset_folder import read_dataset_folder
from xray_core.errors import RefusedInput
from xray_core.records import RESEARCH_USE, Architecture, EpochRecord, Optimizer
from xray_core.training import TrainingOptions

_Choice = TypeVar("_Choice", Architecture, Optimizer)


def train_from_folder(
    settings: Settings,
    dataset: Path,
    *,
    patients: Path | None,
    architecture: str,
    weights: str | None,
    optimizer: str,
    remedy_words: list[str],
    **rest: Any,
) -> None:
    """Register the dataset, train on all labels that the ledger has then, and say what came of it."""
    remedies, erase_border = parse_remedies(remedy_words)
    options = TrainingOptions(
        architecture=_choose(Architecture, architecture, "--architecture"),
        optimizer=_choose(Optimizer, optimizer, "--optimizer"),
        weights=None if weights in (None, "none") else Path(weights),
        remedies=remedies,
        erase_border=erase_border,
        **rest,
    )
    found = read_dataset_folder(dataset, settings.class_names, patients)
    with (
        open_ledger(settings) as engine,
        show_progress("reading", unit="X-rays", total=len(found.items)) as advance,
    ):
        registered = register_dataset(settings, engine, found, on_progress=advance)
    typer.echo(f"{registered.xrays} X-rays registered, {registered.new_labels} new labels")
    for reason, number in sorted(registered.kept_out.items()):
        typer.echo(f"  kept out: {reason} {number}")

    with show_progress("training", unit="epochs", total=options.epochs) as advance:

        def show(epoch: EpochRecord) -> None:
            advance(1)
            train, held_out = epoch.train, epoch.held_out
            typer.echo(
                f"epoch {epoch.epoch:3}/{options.epochs}  loss {train.loss:.3f}  accuracy {train.accuracy:.3f}"
                f"  held out: loss {held_out.loss:.3f}  accuracy {held_out.accuracy:.3f}"
            )

        done = train_once(settings, options, trigger="by hand", on_epoch=show)
    if done is None:
        raise RefusedInput(
            "these labels were trained on before, and nothing has changed since; `xray models list` shows the result"
        )
    typer.echo(f"{done.version}: {done.verdict.value}. {done.reason}")
    typer.echo(f"model, plots and MODEL_CARD.md: {settings.models_dir / done.version}")
    typer.echo(RESEARCH_USE)


def _choose(kind: type[_Choice], word: str, option: str) -> _Choice:
    try:
        return kind(word)
    except ValueError:
        raise RefusedInput(f"{option}: received {word!r}; expected one of {', '.join(kind)}") from None
