"""A page that is really served: the command as a process, and what a browser or a stranger may ask of it."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from flows.reading.readers import add_reader
from flows.settings import Settings
from tests.patience import here


@dataclass(frozen=True, slots=True)
class Served:
    """The address that was printed, with its token, and the process that printed it."""

    address: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return urlsplit(self.address).port or 0

    @property
    def own(self) -> dict[str, str]:
        """The headers of a request that comes from its own page."""
        return {"Host": f"127.0.0.1:{self.port}", "Origin": f"http://127.0.0.1:{self.port}"}

    def invite(self) -> str:
        """Press Enter where it runs: another address, which works once."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return _read_address(self.process)

    def ask(self, path: str, *, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
        """One request, with these headers and no other; underscores in their names are dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=here(20))
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": f"127.0.0.1:{self.port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given["Content-Length"] = str(len(body))
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(body.encode() if body is not None else None)
        answer = connection.getresponse()
        received = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return received

    def enter(self) -> str:
        """The cookie for which the address is exchanged."""
        parts = urlsplit(self.invite())
        return self.ask(f"{parts.path}?{parts.query}").headers["set-cookie"].partition(";")[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers in small letters, body."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def serve(settings: Settings, *arguments: str) -> Iterator[Served]:
    """`xray ARGUMENTS` in this home, to which its reader is known, until the end of the block."""
    if "--reader" in arguments:
        add_reader(settings, arguments[arguments.index("--reader") + 1])
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", *arguments, "--no-browser"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"XRAY_HOME": str(settings.home), "XRAY_SETTLE_SECONDS": "0"},
    )
    try:
        yield Served(_read_address(process), process)
    finally:
        process.terminate()
        process.wait(timeout=here(30))
        for stream in (process.stdin, process.stdout):
            assert stream
            stream.close()


def _read_address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    for line in process.stdout:
        if address := re.search(r"http://\S+", line):
            return address[0]
    raise AssertionError(f"it ended without an address: exit code {process.wait()}")
