"""What people are told, once each, and that nothing of it names anybody: sent to a real listener."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flows.operations.schedule import Schedule, write_schedule
from flows.operations.server_api import ServerApi
from flows.service.notices import Situation, find_news, send_by_apprise, tell_news
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays

WELL = Situation(training=("0001-seed_cnn", "promote"))


def test_the_first_look_tells_of_alarms_and_not_of_a_verdict_of_long_ago() -> None:
    assert find_news(None, WELL) == []
    assert find_news(None, Situation(alarms=2)) == ["2 things need a person: see `xray status`"]


def test_everything_is_told_once() -> None:
    bad = Situation(1, ("0002-seed_cnn", "reject"), ("score-incoming",))

    assert find_news(WELL, bad) == [
        "score-incoming: its last run failed; the run's page says why",
        "1 thing needs a person: see `xray status`",
        "training of 0002-seed_cnn ended: reject; see `xray models show 0002-seed_cnn`",
    ]
    assert find_news(bad, bad) == []
    assert find_news(bad, WELL)[:1] == ["nothing needs a person any more"]


class Listener:
    """An address that takes what is sent to it, or refuses it."""

    def __init__(self, port: int) -> None:
        self.address = f"json://127.0.0.1:{port}/"
        self.heard: list[dict[str, str]] = []
        self.status = 200


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.heard.append(json.loads(body))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Listener(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


class Server(ServerApi):
    """Prefect's server as far as a look needs it: one deployment, whose last run stands as it is set."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9/api", "a:b")
        self.state = "COMPLETED"

    def get(self, path: str) -> object:
        if path.startswith("work_pools"):
            return {"is_paused": False}
        return {"name": "score-incoming", "paused": False, "schedules": [{"active": True}]}

    def post(self, path: str, body: object) -> object:
        return [{"state_type": self.state}]


@pytest.mark.processes
def test_what_needs_a_person_reaches_the_address_without_a_name_and_once(
    empty_settings: Settings, listener: Listener
) -> None:
    write_schedule(empty_settings, Schedule("http://127.0.0.1:9/api", "xray-pool", ("score-incoming",)))
    drop_xrays(empty_settings.incoming_dir, 1)
    server = Server()
    server.state = "FAILED"

    def send(words: str) -> bool:
        return send_by_apprise((listener.address,), words)

    listener.status = 500
    assert not tell_news(empty_settings, server, send)
    listener.status = 200
    listener.heard.clear()
    assert tell_news(empty_settings, server, send)
    assert tell_news(empty_settings, server, send)

    (heard,) = listener.heard
    assert heard["title"] == "X-ray scoring"
    assert "score-incoming: its last run failed" in heard["message"]
    assert "1 thing needs a person" in heard["message"]
    assert "not for diagnosis" in heard["message"]
    assert "xray-0" not in heard["message"]
    assert str(empty_settings.home) not in heard["message"]


def test_an_address_that_is_none_is_no_success(listener: Listener) -> None:
    assert not send_by_apprise(("no address at all",), "words")
    assert listener.heard == []
