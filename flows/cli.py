"""The `xray` command line: parse, call a flow's plain function, print what happened."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.exc import OperationalError

from flows.settings import Settings, read_settings
from flows.termination import STOPPED_EXIT_CODE, STOPPED_SENTENCE, Stopped, stopping_on_sigterm, unbroken
from xray_core.errors import PersonNeeded, RefusedInput
from xray_core.records import RESEARCH_USE

# Each command imports its flow when it is called: `xray scan` must not wait for TensorFlow, nor `--help` for anything.
app = typer.Typer(
    help=f"Batch scoring of chest X-rays. {RESEARCH_USE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="print JSON for a program to read")]


def main() -> None:
    """Run a command; a user's mistake is one clear sentence and exit code 2, a stop for a person exit code 1."""
    from flows.cli_evidence import add_evidence_commands
    from flows.cli_labels import labels_app
    from flows.cli_models import models_app

    add_evidence_commands(models_app)
    app.add_typer(labels_app, name="labels")
    app.add_typer(models_app, name="models")
    try:
        app()
    except RefusedInput as refusal:
        sys.exit(fail(str(refusal), code=2))
    except PersonNeeded as stop:
        sys.exit(fail(str(stop), code=1))
    except OSError as error:
        sys.exit(fail(_describe_os_error(error), code=1))
    except OperationalError as error:
        sys.exit(fail(_describe_database_error(error), code=1))
    except KeyboardInterrupt:
        sys.exit(fail("interrupted; nothing is half done", code=130))
    except Stopped:
        sys.exit(fail(STOPPED_SENTENCE, code=STOPPED_EXIT_CODE))


@app.command()
def scan(as_json: Json = False) -> None:
    """Score what arrived; needs no server.

    One pass over the incoming folder: every complete X-ray without a result gets one.

    Example: xray scan
    """
    from flows.champion_standing import read_caution
    from flows.progress import show_progress
    from flows.scan import open_scan

    with stopping_on_sigterm():
        with unbroken():
            settings = prepare()
        with open_scan(settings) as one_scan, show_progress("scoring", unit="X-rays") as advance:
            for files in one_scan.find_batches():
                one_scan.score(files, on_progress=advance)
    counts = one_scan.counts
    if as_json:
        print_json(
            {
                "scored": counts.scored,
                "already_scored": counts.known,
                "outcomes": dict(counts.outcomes),
                "rejected": dict(counts.rejected),
                "deferred": dict(counts.deferred),
            }
        )
        return
    typer.echo(f"{counts.sentence()}. {RESEARCH_USE}")
    for title, counted in (("outcome", counts.outcomes), ("rejected", counts.rejected), ("deferred", counts.deferred)):
        for name, number in sorted(counted.items()):
            typer.echo(f"  {title:9} {name:28} {number}")
    if counts.files and (caution := read_caution(settings)):
        typer.echo(caution)


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(help="folder with one folder per class, or with ieee8023's metadata.csv")],
    patients: Annotated[Path | None, typer.Option(help="CSV with filename, patient_id (more columns are used)")] = None,
    architecture: Annotated[str, typer.Option(help="seed_cnn, vgg16, resnet50 or xception")] = "seed_cnn",
    weights: Annotated[
        str | None, typer.Option(help="none, or a local FILE.weights.h5 for the base; nothing is ever downloaded")
    ] = None,
    optimizer: Annotated[str, typer.Option(help="rmsprop, adam or sgd")] = "rmsprop",
    learning_rate: Annotated[float | None, typer.Option(help="default: the optimizer's own", min=0)] = None,
    epochs: Annotated[int, typer.Option(min=1, max=1000)] = 15,
    batch_size: Annotated[int, typer.Option(min=1, max=1024)] = 8,
    input_size: Annotated[int | None, typer.Option(min=32, max=1024, help="side in pixels; default: its own")] = None,
    shear: Annotated[float, typer.Option(min=0, max=45, help="degrees")] = 0.2,
    zoom: Annotated[float, typer.Option(min=0, max=0.9, help="0.2 zooms by 0.8 to 1.2")] = 0.2,
    flip: Annotated[bool, typer.Option(help="mirror training X-rays at random")] = True,
    remedy: Annotated[
        list[str] | None,
        typer.Option(help="against shortcuts, repeatable: lung-crop, equalize, clahe, mask-markers, erase-border"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train a model from a folder per class.

    The first one becomes the champion (unproven); later ones go through the gate.

    Example: xray train dataset/ --patients patients.csv
    """
    from flows.cli_training import train_from_folder

    train_from_folder(
        prepare(),
        dataset,
        patients=patients,
        architecture=architecture,
        weights=weights,
        optimizer=optimizer,
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        input_size=input_size,
        shear=shear,
        zoom=zoom,
        horizontal_flip=flip,
        remedy_words=remedy or [],
        seed=seed,
    )


@app.command()
def export(
    out: Annotated[Path | None, typer.Option(help="file to write; default: a dated one in exports/")] = None,
    since: Annotated[datetime | None, typer.Option(help="only files decided at or after this time (UTC)")] = None,
    as_json: Json = False,
) -> None:
    """Write the results CSV for review.

    One row for every file that the service ever decided on.

    Example: xray export --out results.csv
    """
    from flows.exports import write_export
    from flows.times import as_utc

    settings = prepare()
    _print_export(settings, write_export(settings, out=out, since=as_utc(since)), as_json)


@app.command()
def worklist(
    out: Annotated[Path, typer.Option(help="file to write")] = Path("worklist.csv"),
    limit: Annotated[int, typer.Option(min=1, help="how many X-rays")] = 50,
    as_json: Json = False,
) -> None:
    """Write what to review first, as CSV.

    The least certain X-rays, and every fifth one by chance.

    Example: xray worklist --limit 20 --out worklist.csv
    """
    from flows.exports import write_worklist

    settings = prepare()
    _print_export(settings, write_worklist(settings, out=out, limit=limit), as_json)


@app.command()
def why(path: Annotated[Path, typer.Argument(help="a file in the incoming folder, or its name")]) -> None:
    """Tell what happened to a file, and why.

    Example: xray why incoming/chest-0412.png
    """
    from flows.explain import explain

    for line in explain(prepare(), path):
        typer.echo(line)


@app.command()
def status(as_json: Json = False) -> None:
    """How is it doing, and what does it need?

    Counts, champion, last scan, last training; exit code 1 when something needs a person.

    Example: xray status --json
    """
    from flows.status import read_status

    found = read_status(prepare())
    if as_json:
        print_json(found.as_json())
    else:
        for line in found.lines():
            typer.echo(line)
    if found.alarms:
        raise typer.Exit(1)


@app.command()
def verify() -> None:
    """Check every invariant of the data home.

    Exit code 1 with the first breach.

    Example: xray verify
    """
    from flows.verification import find_breach

    breach, checked = find_breach(prepare())
    for line in checked:
        typer.echo(f"ok  {line}")
    if breach:
        sys.exit(fail(f"breach: {breach}", code=1))


@app.command()
def backup(target: Annotated[Path, typer.Argument(help="a new folder to write")]) -> None:
    """Copy the home while it is in use.

    Ledger, models and site key go into a new folder, as of one moment.

    Example: xray backup /backups/xray-2026-05-01
    """
    from flows.backup import back_up

    typer.echo(f"{back_up(prepare(), target)} files in {target}; it holds the site key: keep it as safe as the home")


@app.command()
def restore(source: Annotated[Path, typer.Argument(help="a folder that `xray backup` wrote")]) -> None:
    """Make a new home of a backup.

    Once every byte and every invariant of it holds.

    Example: XRAY_HOME=/data/new-home xray restore /backups/xray-2026-05-01
    """
    from flows.backup import restore as restore_home

    settings = read_settings()
    typer.echo(f"{restore_home(settings, source)} models and the ledger restored to {settings.home}")


@app.command()
def doctor(
    migrate: Annotated[
        bool, typer.Option("--migrate", help="bring the database to this version's schema first")
    ] = False,
) -> None:
    """Check this machine and this home.

    Versions, pins, permissions, disk and database, each with its fix.

    Example: xray doctor
    """
    from flows.doctor import examine
    from flows.ledger import migrate_ledger

    if migrate:
        migrate_ledger(read_settings())
    findings = examine(read_settings())
    for finding in findings:
        typer.echo(f"{'ok ' if finding.fix is None else 'FIX'} {finding.what}")
        if finding.fix is not None:
            typer.echo(f"    {finding.fix}")
    if any(finding.fix for finding in findings):
        raise typer.Exit(1)


@app.command()
def up(
    host: Annotated[str, typer.Option(help="anything but loopback needs an API password")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 4200,
) -> None:
    """Run the service until Ctrl-C.

    Prefect server, deployments and worker in one foreground process; Ctrl-C stops all three.

    Example: xray up --port 4300
    """
    from flows.service import Address, run_service

    run_service(prepare(), Address(host, port), say=typer.echo)


@app.command()
def demo(
    keep: Annotated[
        Path | None, typer.Option(help="a folder to work in and to keep; default: a throw-away one")
    ] = None,
) -> None:
    """Walk the whole loop on synthetic X-rays.

    In a throw-away home, through a real Prefect server, its deployments and a worker.

    Example: xray demo
    """
    from flows.demo import run_demo

    run_demo(keep, say=typer.echo)


def prepare() -> Settings:
    """Settings read, home and database there and up to date: the first line of every command."""
    from flows.ledger import prepare_ledger

    settings = read_settings()
    prepare_ledger(settings)
    return settings


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))


def fail(sentence: str, *, code: int) -> int:
    """Say what is wrong on standard error; returns the exit code."""
    typer.echo(f"xray: {sentence}", err=True)
    return code


def _print_export(settings: Settings, summary: Any, as_json: bool) -> None:
    from flows.champion_standing import read_caution, read_predictive_values

    if as_json:
        print_json({"path": str(summary.path), "rows": summary.rows, "sha256": summary.sha256})
    else:
        typer.echo(f"{summary.rows} rows in {summary.path}. {RESEARCH_USE}")
        if worth := read_predictive_values(settings):
            typer.echo(worth)
        if caution := read_caution(settings):
            typer.echo(caution)


def _describe_database_error(error: OperationalError) -> str:
    """The database's own words, without the statement and its values."""
    words = str(error.orig).strip().splitlines()[0]
    full = "full" in words or "disk I/O error" in words
    hint = "free some space; what was committed is whole, the rest is done by the next run" if full else "try again"
    return f"the results database did not take part: {words} ({hint})"


def _describe_os_error(error: OSError) -> str:
    where = f"{os.fspath(error.filename)!r}: " if error.filename is not None else ""
    return f"{where}{error.strerror or error}"
