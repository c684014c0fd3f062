"""All commands, as Typer reads them: parse, call a flow's plain function, print what happened."""

from __future__ import annotations

import typer

from flows.cli import operations, reading, scoring, training
from flows.cli.home import choose_home
from xray_core.records import RESEARCH_USE

# Each command imports its flow when it is called: `xray scan` must not wait for TensorFlow, nor `--help` for anything.
app = typer.Typer(
    help=f"Batch scoring of chest X-rays. {RESEARCH_USE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.callback()(choose_home)

for command in (
    scoring.scan,
    training.train,
    scoring.export,
    scoring.worklist,
    scoring.why,
    scoring.pseudonyms,
    reading.review,
    reading.results,
    operations.init,
    operations.status,
    operations.verify,
    operations.backup,
    operations.restore,
    operations.doctor,
    operations.up,
    operations.demo,
    operations.sample,
):
    app.command()(command)


def run_commands() -> None:
    """Read the command line and run what it asks for; errors travel up."""
    from flows.cli.evidence import add_evidence_commands
    from flows.cli.labels import labels_app
    from flows.cli.models import models_app
    from flows.cli.patients import patients_app
    from flows.cli.reproduction import reproduce

    add_evidence_commands(models_app)
    models_app.command()(reproduce)
    app.add_typer(labels_app, name="labels")
    app.add_typer(models_app, name="models")
    app.add_typer(patients_app, name="patients")
    app.add_typer(reading.readers_app, name="readers")
    app()
