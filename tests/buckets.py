"""Buckets for tests: a real server on loopback, and one bucket of a test's own."""

from __future__ import annotations

import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import obstore
from obstore.store import from_url

from xray_core.stores.bucket import open_bucket

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class OwnBucket:
    """One bucket of a running server, with what a test does to it behind the service's back."""

    server: str
    name: str

    @property
    def incoming(self) -> str:
        return f"s3://{self.name}/in"

    @property
    def store(self) -> Any:
        return from_url(f"s3://{self.name}", client_options={"allow_http": True})

    def put(self, key: str, content: bytes) -> None:
        obstore.put(self.store, key, content)

    def put_raw(self, key: str, content: bytes) -> None:
        """Under a key that obstore would not write."""
        self._ask("PUT", f"/{self.name}/{quote(key)}", content)

    def remove(self, key: str) -> None:
        obstore.delete(self.store, key)

    def vanish(self) -> None:
        """The bucket itself is deleted; a server that never had it answers alike."""
        for key in self.keys():
            self.remove(key)
        self._ask("DELETE", f"/{self.name}", b"")

    def keys(self) -> list[str]:
        return sorted(meta["path"] for page in obstore.list(self.store) for meta in page)

    def get(self, key: str) -> bytes:
        return obstore.get(self.store, key).bytes().to_bytes()

    @contextmanager
    def without_rights(self) -> Iterator[None]:
        """Inside the block the server knows nobody: every request is answered with 403."""
        self._ask("POST", "/moto-api/reset-auth", b"0")
        try:
            yield
        finally:
            self._ask("POST", "/moto-api/reset-auth", b"inf")

    @contextmanager
    def without_reading(self) -> Iterator[None]:
        """Inside the block objects may be listed, and not read."""
        policy = (
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": ["s3:GetObject"],'
            f' "Resource": "arn:aws:s3:::{self.name}/*"}}]}}'
        )
        self._ask("PUT", f"/{self.name}?policy", policy.encode())
        try:
            yield
        finally:
            self._ask("DELETE", f"/{self.name}?policy", b"")

    def _ask(self, method: str, path: str, body: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"}  # else the server takes the body for a form
        request = urllib.request.Request(f"{self.server}{path}", data=body, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status < 300


@contextmanager
def running_server(keys: int = 0) -> Iterator[str]:
    """The address of a server of one's own, which ends with the block, or with this process."""
    command = [sys.executable, "-m", "tests.bucket_server", *([str(keys)] if keys else [])]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = server.stdout.readline().strip()
            assert port.isdecimal(), "the server did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stdin.close()
            server.wait()


def make_bucket(server: str) -> OwnBucket:
    """A new bucket; the environment names the server by now."""
    open_bucket.cache_clear()  # an earlier test's server is another one
    bucket = OwnBucket(server, f"films-{secrets.token_hex(6)}")
    request = urllib.request.Request(f"{server}/{bucket.name}", data=b"", method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    return bucket


def environment_of(server: str) -> dict[str, str]:
    """What a person sets to reach it."""
    return {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
