"""`xray models reproduce`: does the same training give the same model again?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.home import Json
from flows.cli.terminal import open_home, print_json, show_progress, tell
from xray_core.records import RESEARCH_USE


def reproduce(
    version: Annotated[str, typer.Argument(help="a model version that was trained here")],
    films: Annotated[
        Path | None, typer.Option(help="a folder to look in, by content, for films that are not where they lay")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="the file that the training began with, where it began with one")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="a new file .keras for the model that comes of it")] = None,
    as_json: Json = False,
) -> None:
    """Train a version again and compare.

    Identical weights, the same predictions, or another model. On the films that its folder names by content, on
    their sides and with the labels of then, whatever they are labelled as today. Champion, standing, labels and the
    ledger stay as they are; the new model is gone afterwards unless --keep names a file for it. Exit code 1 where
    another model comes of it.

    Example: xray models reproduce 0001-seed_cnn

    Example: xray models reproduce 0001-seed_cnn --films /mnt/old-dataset --keep again.keras
    """
    from flows.evaluation.reproduction import gather_sides, read_kept, train_again
    from xray_core.training.reproduction.likeness import Sameness, say_whether_expected

    settings = open_home()
    kept = read_kept(settings, version, weights=weights, keep=keep)
    with show_progress("reading", unit="files", total=None if films else len(kept.films)) as advance:
        sides = gather_sides(settings, kept, films, on_progress=advance)
    with show_progress("training", unit="epochs", total=kept.options.epochs) as advance:
        again = train_again(kept, sides, keep=keep, on_epoch=lambda _: advance(1))
    likeness = again.likeness
    expected = say_whether_expected(likeness, again.differences)
    kept_as = f"{keep}" if keep else None
    if as_json:
        print_json(
            {"version": version, "films": again.films, "sameness": likeness.sameness, "sentence": likeness.sentence}
            | {"largest_difference": likeness.largest_difference, "other_outcomes": likeness.other_outcomes}
            | {"differences": again.differences, "expected": expected}
            | {"kept_as": kept_as, "research_use": RESEARCH_USE}
        )
    else:
        by_side = ", ".join(f"{number} {side.value}" for side, number in again.films.items())
        tell(
            [f"{version}, trained again on the same {sum(again.films.values())} films ({by_side}): {likeness.sentence}"]
        )
        tell([expected])
        tell([f"the new model: {kept_as or 'not kept (--keep FILE.keras keeps it)'}; nothing in the ledger moved"])
        tell([RESEARCH_USE])
    if likeness.sameness is Sameness.DIFFERENT:
        raise typer.Exit(1)
