"""Nobody gets in but the browser that was sent here, from this machine, for this page."""

from __future__ import annotations

import json
import socket
import stat
from urllib.parse import urlsplit

import pytest

from flows.settings import Settings
from tests.flows.reading.served import Served, serve

pytestmark = pytest.mark.processes


def test_an_address_lets_one_browser_in_once(results_page: Served) -> None:
    parts = urlsplit(results_page.invite())
    first = results_page.ask(f"{parts.path}?{parts.query}")
    second = results_page.ask(f"{parts.path}?{parts.query}")
    assert (first.status, first.headers["location"]) == (303, "/results")
    assert second.status == 403
    assert "set-cookie" not in second.headers


def test_the_cookie_is_for_this_page_alone(results_page: Served) -> None:
    parts = urlsplit(results_page.invite())
    cookie = results_page.ask(f"{parts.path}?{parts.query}").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert str(results_page.port) in cookie.partition("=")[0]


def test_without_the_cookie_nothing_answers(results_page: Served) -> None:
    for path in ("/", "/results", "/page/page.css", "/results/1", "/results/films/1.js", "/results?token=guessed"):
        assert results_page.ask(path).status == 403, path
    assert results_page.ask("/results", Cookie=f"xray-review-{results_page.port}=guessed").status == 403


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:80", "127.0.0.1", "127.0.0.1:1"])
def test_a_foreign_name_that_points_here_is_refused(results_page: Served, host: str) -> None:
    assert results_page.ask("/results", Host=host, Cookie=results_page.enter()).status == 421


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}]
)
def test_another_page_that_asks_is_refused(results_page: Served, headers: dict[str, str]) -> None:
    cookie = results_page.enter()
    assert results_page.ask("/results", Cookie=cookie, **headers).status == 403
    assert results_page.ask("/results", Cookie=cookie).status == 200


def test_every_answer_says_what_the_page_may_do_and_is_kept_nowhere(results_page: Served) -> None:
    cookie = results_page.enter()
    for path in ("/results", "/results/1", "/results/thumbnails/1.png", "/page/viewer.js", "/nothing"):
        headers = results_page.ask(path, Cookie=cookie).headers
        assert headers["content-security-policy"].startswith("default-src 'none';"), path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_it_listens_on_this_machine_alone(results_page: Served) -> None:
    outside = socket.gethostbyname(socket.gethostname())
    if outside.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    with socket.socket() as stranger:
        stranger.settimeout(2)
        assert stranger.connect_ex((outside, results_page.port)) != 0


def test_the_same_page_comes_back_where_it_was_after_an_end(scored: Settings) -> None:
    with serve(scored, "results") as served:
        cookie, port = served.enter(), served.port
    with serve(scored, "results") as again:
        assert again.port == port
        assert again.ask("/results", Cookie=cookie).status == 200
    (state,) = (scored.home / "run").glob("review-*.json")
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert json.loads(state.read_text())["port"] == port


def test_a_stop_is_an_end_in_good_order(scored: Settings) -> None:
    with serve(scored, "results") as served:
        pass
    assert served.process.returncode == 0
