"""The process of the Prefect server: Prefect's own application behind our gate, and its first page alone.

`python -m flows.service.server HOST PORT`, as `xray up` runs it; Prefect's settings come from the environment.
"""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import prefect
import uvicorn

from flows.home.public_errors import say_publicly
from flows.operations.history import make_shrinkable
from flows.service.child import LOOPBACK
from flows.service.gate import START_TAG, Gate
from flows.settings import read_settings

# Where somebody has given Prefect a database of its own.
_OTHER_DATABASE = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")


def serve(host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    prepare_history()
    # The second page calls an outside address before it has read any setting: a bundle that is not there is not served.
    prefect.__ui_v2_static_path__ = Path(os.devnull) / "not-served"
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    app = create_app(final=True)
    for handler in _all_handlers():
        handler.addFilter(shorten_error)
    _prepare_page(get_current_settings().server.ui.static_directory)
    public = read_settings().public_host
    names = {*own_names(host), *([public.lower()] if public else [])}
    api = get_current_settings().server.api
    uvicorn.run(
        Gate(app, names, any_address=host not in LOOPBACK),
        host=host,
        port=port,
        timeout_keep_alive=api.keepalive_timeout,
        ws_ping_interval=api.websocket_ping_interval,
        ws_ping_timeout=api.websocket_ping_timeout,
        log_level=get_current_settings().server.logging_level.lower(),
        server_header=False,
    )


def prepare_history() -> None:
    """Have Prefect's SQLite file give back what its retention frees; the server starts without that where it cannot."""
    file = read_settings().home / "prefect" / "prefect.db"
    if any(name in os.environ for name in _OTHER_DATABASE):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        why = "" if make_shrinkable(file) else "too large to be written anew at a start"
    except sqlite3.Error as error:
        why = type(error).__name__
    if why:
        logging.getLogger("flows.service").warning(
            "Prefect's history %s keeps the disk that its retention frees (%s): stop the service and delete %s: "
            "no result is in it",
            file,
            why,
            file.parent,
        )


def _prepare_page(folder: str | None) -> None:
    """Have Prefect's page run our start script first; the folder is this home's own copy of it."""
    index = Path(folder or os.devnull) / "v1" / "index.html"
    text = index.read_text() if index.is_file() else ""
    if text and START_TAG not in text:
        index.write_text(text.replace("<head>", f"<head>{START_TAG}", 1))


def shorten_error(record: logging.LogRecord) -> bool:
    """One line instead of a traceback: a busy database logs dozens an hour, with the statement and its values."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        record.msg, record.args = f"{record.getMessage()} ({say_publicly(error)})", ()
    record.exc_info = record.exc_text = record.stack_info = None
    return True


def _all_handlers() -> set[logging.Handler]:
    """Every handler that a logger of this process has so far: Prefect and uvicorn set up their own."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    return {handler for logger in loggers for handler in logger.handlers}


def own_names(host: str) -> Iterator[str]:
    """The names under which this server may be asked: loopback, where it listens, and beyond loopback the machine's."""
    yield from LOOPBACK
    yield host.lower()
    if host not in LOOPBACK:
        yield socket.gethostname().lower()
        yield socket.getfqdn().lower()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
