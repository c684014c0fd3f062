"""A server that has too much to do is asked again, as Prefect's own client does; any other refusal is one at once."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError

import pytest

from flows.operations import server_api
from flows.operations.server_api import ServerApi


@contextmanager
def answering(*codes: int) -> Iterator[tuple[str, list[str]]]:
    """The address of a server that answers with these codes, one after the other, and what it was asked."""
    left, asked = iter(codes), list[str]()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is the standard library's
            asked.append(self.path)
            self.send_response(next(left))
            self.end_headers()
            self.wfile.write(json.dumps({"token": "t", "asked": len(asked)}).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # likewise
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_api, "_BUSY_SECONDS", (0.0, 0.0, 0.0))


def test_a_busy_server_is_asked_again_until_it_answers() -> None:
    with answering(503, 503, 503, 200) as (address, asked):
        assert ServerApi(address, "user:word").get("health")["asked"] == 4

    assert asked == ["/health"] * 4


def test_one_that_stays_busy_is_given_up() -> None:
    with answering(503, 503, 503, 503, 200) as (address, asked), pytest.raises(HTTPError, match="503"):
        ServerApi(address, "user:word").get("health")

    assert len(asked) == 4


@pytest.mark.parametrize("code", [401, 404, 422, 500])
def test_any_other_refusal_is_heard_at_once(code: int) -> None:
    with answering(code, 200) as (address, asked), pytest.raises(HTTPError, match=str(code)):
        ServerApi(address, "user:word").get("health")

    assert len(asked) == 1
