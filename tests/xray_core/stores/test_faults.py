"""A store that fails says nothing of a film, and its own words, which hold keys, go nowhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.buckets import environment_of
from xray_core.errors import NoBucket, UnreadableXray
from xray_core.records import ReasonCode
from xray_core.stores import bucket as buckets
from xray_core.stores.bucket import open_bucket


class _AlwaysBusy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:  # type: ignore[override]
        """Nothing: the test's output is for the test."""


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _AlwaysBusy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in environment_of(f"http://127.0.0.1:{server.server_port}").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(buckets._PATIENCE, "max_retries", 0)
    open_bucket.cache_clear()
    yield
    server.shutdown()
    server.server_close()
    open_bucket.cache_clear()


def test_a_store_that_is_busy_defers_the_film_and_names_no_key(busy: None) -> None:
    bucket = open_bucket("s3://films/in")

    with pytest.raises(UnreadableXray) as caught:
        bucket.read(b"mueller-hans.png", '"tag"')

    assert caught.value.reason is ReasonCode.UNREADABLE
    assert caught.value.detail == "the store does not hand it over (HTTP 503)"


def test_a_store_that_is_busy_lists_nothing_and_says_so(busy: None) -> None:
    with pytest.raises(NoBucket, match=r"^s3://films/in: the store does not answer \(HTTP 503\)"):
        list(open_bucket("s3://films/in").list_pages())


@pytest.mark.parametrize("address", ["s3://", "az://films/in"])
def test_what_is_no_address_of_a_bucket_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)

    with pytest.raises(NoBucket, match="expected s3://BUCKET/PREFIX"):
        open_bucket(address)
