"""The `xray` command: its errors in sentences, and the way to the command that is meant."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from flows.cli.terminal import describe_database_error, describe_os_error, fail, is_of_training
from flows.home.termination import STOPPED_EXIT_CODE, STOPPED_SENTENCE, Stopped
from flows.settings import Settings, read_settings
from xray_core.errors import PersonNeeded, RefusedInput


def main() -> None:
    """Run a command; a user's mistake is one clear sentence and exit code 2, a stop for a person exit code 1."""
    try:
        _run_command(sys.argv[1:])
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
    except _database_errors() as error:
        sys.exit(fail(describe_database_error(getattr(error, "orig", error)), code=1))
    except KeyboardInterrupt:
        sys.exit(fail("interrupted; nothing is half done", code=130))
    except Stopped:
        sys.exit(fail(STOPPED_SENTENCE, code=STOPPED_EXIT_CODE))


def run() -> None:
    """What the script `xray` runs: `main`, and no more after a scan that went well.

    Python would then take apart, piece by piece, what was imported: a twentieth of what a scan of one film takes. By
    then the ledger is closed, the decoders are gone and every line is written; what wished to tidy up at the end does.
    """
    main()
    if find_plain_scan(sys.argv[1:]) is not None:
        atexit._run_exitfuncs()  # else the folder of the decoders' socket would stay
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _run_command(arguments: Sequence[str]) -> None:
    plain = find_plain_scan(arguments)
    if plain is None:
        from flows.cli.commands import run_commands

        return run_commands()
    home, as_json = plain
    if home is not None:
        os.environ["XRAY_HOME"] = str(home.absolute())
    return _load_scan()(as_json=as_json)


def _load_scan() -> Callable[..., None]:
    """What scans, and before it the decoders' server where something seems to have come.

    What is imported stays: each look for garbage among it would cost more than it finds.
    """
    gc.disable()
    try:
        if _has_arrivals(read_settings()):
            from xray_core.processes.fork_server import fork_server_from_here

            fork_server_from_here()
        from flows.cli.scan import run_scan

        gc.freeze()
    finally:
        gc.enable()
    return run_scan


def _has_arrivals(settings: Settings) -> bool:
    """Whether something came into the incoming folder since the ledger was last written, as far as two looks can tell.

    A guess that decides nothing but when the decoders start: it misses what comes into a folder below.
    """
    if settings.incoming_bucket or settings.database_url or settings.task_runner != "local":
        return False
    try:
        return settings.incoming_dir.stat().st_mtime_ns > (settings.home / "xray.db").stat().st_mtime_ns
    except OSError:
        return False


def find_plain_scan(arguments: Sequence[str]) -> tuple[Path | None, bool] | None:
    """The home and whether JSON is asked for, of `[--home DIR] scan [--json]`; None for all else, which Typer reads.

    First scores are waited for, and Typer takes a fifth of what else starts before them (docs/speed.md).
    """
    words = list(arguments)
    home: Path | None = None
    if len(words) > 2 and words[0] == "--home" and not words[1].startswith("-"):
        home, words = Path(words[1]), words[2:]
    as_json = words[1:] == ["--json"]
    return (home, as_json) if words[:1] == ["scan"] and (as_json or len(words) == 1) else None


def _database_errors() -> tuple[type[Exception], ...]:
    """Asked only once there is an error: `--help` needs no database."""
    import sqlite3

    from sqlalchemy.exc import DBAPIError

    return DBAPIError, sqlite3.Error
