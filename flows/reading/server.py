"""The server of the pages: this machine's own browser, one reader, one list."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from flows.reading.door import Door
from flows.reading.pages import PARTS
from flows.settings import Settings

_PARTS_ROUTE = Mount("/page", StaticFiles(directory=PARTS))


@dataclass(frozen=True, slots=True)
class Sitting:
    """Who sits before which page, and how it is opened."""

    who: str
    start: str
    opens_browser: bool
    say: Callable[[str], None]


def serve(settings: Settings, routes: Sequence[BaseRoute], sitting: Sitting) -> None:
    """Serve until Ctrl-C or SIGTERM; a line on standard input opens the page once more.

    The port and the cookie are the same when the same reader comes again: a page that is still open goes on.
    """
    state = settings.home / "run" / f"review-{hashlib.sha256(sitting.who.encode()).hexdigest()[:16]}.json"
    port, cookie = _recall(state)
    with closing(_listen(port)) as listener:
        port = listener.getsockname()[1]
        _remember(state, port, cookie)
        door = Door(Starlette(routes=[*routes, _PARTS_ROUTE]), port=port, cookie=cookie)
        config = uvicorn.Config(
            door, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=2, lifespan="off"
        )

        def invite() -> None:
            address = door.invite(sitting.start)
            sitting.say(f"open {address}")
            if sitting.opens_browser:
                webbrowser.open(address)

        server = uvicorn.Server(config)
        logging.getLogger("uvicorn.error").addFilter(shorten_error)
        with _ending(server):
            invite()
            threading.Thread(target=_invite_again, args=(invite,), daemon=True).start()
            server.run(sockets=[listener])


@contextmanager
def _ending(server: uvicorn.Server) -> Iterator[None]:
    """SIGINT and SIGTERM end the server in good order, also before it runs.

    uvicorn has handlers of its own while it runs, and raises the signal once more at its end: nobody is hurt by that.
    """

    def end(*_: object) -> None:
        server.should_exit = True

    kept = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def shorten_error(record: logging.LogRecord) -> bool:
    """The kind of an error instead of its traceback, whose values may be a person's."""
    if record.exc_info and record.exc_info[0]:
        record.msg, record.args = "a page could not be answered: %s", (record.exc_info[0].__name__,)
        record.exc_info = None
    return True


def _invite_again(invite: Callable[[], None]) -> None:
    for _ in sys.stdin:
        invite()


def _listen(port: int) -> socket.socket:
    """A socket on the loopback address, at this port where it is free."""
    for wanted in (port, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted))
            listener.listen(128)  # who follows the address at once waits, and is not turned away
        except OSError:
            listener.close()
            continue
        return listener
    raise OSError("no port is free on 127.0.0.1")


def _recall(state: Path) -> tuple[int, str]:
    """The port and the cookie of the last time; 0 and a new cookie where there was none."""
    if state.is_file():
        kept = json.loads(state.read_text(encoding="utf-8"))
        if re.fullmatch(r"[\w-]{43}", str(kept.get("cookie"))) and isinstance(kept.get("port"), int):
            return kept["port"], kept["cookie"]
    return 0, secrets.token_urlsafe(32)


def _remember(state: Path, port: int, cookie: str) -> None:
    descriptor = os.open(state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"port": port, "cookie": cookie}, file)
