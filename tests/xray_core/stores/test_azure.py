"""A container of Azure, as its answers are documented: listings name ETags without the quotes that headers have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from xray_core.stores.bucket import Bucket, open_bucket

_WRITTEN = "Fri, 01 May 2026 09:00:00 GMT"
_LISTING = f"""<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ServiceEndpoint="http://127.0.0.1/" ContainerName="films"><Prefix>in/</Prefix><Blobs><Blob>
<Name>in/a.png</Name><Properties><Creation-Time>{_WRITTEN}</Creation-Time><Last-Modified>{_WRITTEN}</Last-Modified>
<Etag>0x8D1</Etag><Content-Length>4</Content-Length><Content-Type>image/png</Content-Type><BlobType>BlockBlob</BlobType>
</Properties></Blob></Blobs><NextMarker /></EnumerationResults>"""


class _Container(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "comp=list" in self.path:
            self._answer(200, _LISTING.encode())
        elif self.headers.get("If-Match", '"0x8D1"') != '"0x8D1"':
            self._answer(412, b"")
        else:
            self._answer(200, b"film")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("ETag", '"0x8D1"')
        self.send_header("Last-Modified", _WRITTEN)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:  # type: ignore[override]
        """Nothing: the test's output is for the test."""


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Container)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "tester")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    open_bucket.cache_clear()
    yield open_bucket("az://films/in")
    server.shutdown()
    server.server_close()
    open_bucket.cache_clear()


def test_a_film_is_read_as_the_version_that_was_listed_whether_or_not_its_tag_came_with_quotes(
    container: Bucket,
) -> None:
    (page,) = container.list_pages()

    assert container.look_up(b"a.png") == page[0]
    assert container.read(b"a.png", page[0].tag) == (b"film", page[0])
