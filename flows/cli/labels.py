"""`xray labels`: what reviewers send back, and how far the next retraining is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.terminal import Json, open_home, print_json, view_home
from xray_core.errors import RefusedInput

labels_app = typer.Typer(help="Import labels and see how far the next retraining is.", no_args_is_help=True)


@labels_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="a labels CSV, a filled-in results CSV, or a folder per class")],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="a reader's word and the label it means: pneumonia=other")
    ] = None,
    accept_contradictions: Annotated[
        bool,
        typer.Option("--accept-contradictions", help="though it contradicts known labels of over a fifth of its films"),
    ] = False,
    as_json: Json = False,
) -> None:
    """Import labels, all rows or none; every bad row is listed with its line.

    Example: xray labels import reviewed.csv --map pneumonia=other
    """
    from flows.review.label_import import import_labels_from

    if not (source.is_file() or source.is_dir()):
        raise RefusedInput(f"{source}: there is no such file or folder; expected a labels CSV or a folder per class")
    done = import_labels_from(
        open_home(), source, mapping=_read_mapping(mapping or []), accept_contradictions=accept_contradictions
    )
    if as_json:
        print_json({"rows": done.rows, "new": done.new, "labels": done.by_label})
        return
    typer.echo(f"{done.rows} rows taken in, {done.new} of them new")
    for label, number in sorted(done.by_label.items()):
        typer.echo(f"  {label:9} {number}")


@labels_app.command("status")
def status(as_json: Json = False) -> None:
    """How many new trainable labels have gathered, what the next retraining waits for, and where readers disagree.

    Example: xray labels status
    """
    from flows.reading.settled import read_settlements
    from flows.training.due import read_due

    settings = view_home()
    due, settled = read_due(settings), read_settlements(settings)
    if as_json:
        print_json(
            {
                "due": due.due,
                "new_labels": due.new_labels,
                "reason": due.reason,
                "films": settled,
                "judged_on": asdict(due.judged_on),
                "not_trained_on": due.held,
            }
        )
        return
    typer.echo(due.reason)
    typer.echo(f"labelled films: {', '.join(f'{number} {word}' for word, number in settled.items())}")
    for line in due.tell_labels():
        typer.echo(line)


def _read_mapping(pairs: list[str]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for pair in pairs:
        word, equals, label = pair.partition("=")
        if not (word.strip() and equals and label.strip()):
            raise RefusedInput(f"--map: received {pair!r}; expected WORD=LABEL, as in pneumonia=other")
        mapping[word.strip()] = label.strip()
    return mapping
