"""The `xray` command line: parse, call a flow's plain function, print what happened."""

from __future__ import annotations

import sqlite3
import sys

import typer
from sqlalchemy.exc import DBAPIError

from flows.cli import operations, reading, scoring, training
from flows.cli.home import choose_home
from flows.cli.terminal import describe_database_error, describe_os_error, fail, is_of_training
from flows.home.termination import STOPPED_EXIT_CODE, STOPPED_SENTENCE, Stopped
from xray_core.errors import PersonNeeded, RefusedInput
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


def main() -> None:
    """Run a command; a user's mistake is one clear sentence and exit code 2, a stop for a person exit code 1."""
    from flows.cli.evidence import add_evidence_commands
    from flows.cli.labels import labels_app
    from flows.cli.models import models_app
    from flows.cli.patients import patients_app
    from flows.cli.readers import readers_app
    from flows.cli.reproduction import reproduce

    add_evidence_commands(models_app)
    models_app.command()(reproduce)
    app.add_typer(labels_app, name="labels")
    app.add_typer(models_app, name="models")
    app.add_typer(patients_app, name="patients")
    app.add_typer(readers_app, name="readers")
    try:
        app()
    except RefusedInput as refusal:
        sys.exit(fail(str(refusal), code=2))
    except PersonNeeded as stop:
        sys.exit(fail(str(stop), code=1))
    except ModuleNotFoundError as missing:
        if not is_of_training(missing.name):
            raise
        sys.exit(fail(f"this command needs {missing.name}: pip install 'xray-scoring[train]'", code=2))
    except OSError as error:
        sys.exit(fail(describe_os_error(error), code=1))
    except DBAPIError as error:
        sys.exit(fail(describe_database_error(error.orig), code=1))
    except sqlite3.Error as error:
        sys.exit(fail(describe_database_error(error), code=1))
    except KeyboardInterrupt:
        sys.exit(fail("interrupted; nothing is half done", code=130))
    except Stopped:
        sys.exit(fail(STOPPED_SENTENCE, code=STOPPED_EXIT_CODE))
