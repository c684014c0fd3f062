"""Modules as processes of their own, `python -m MODULE WORDS`, forked from a process that has imported what they share.

Each saves the half second that Python and the ledger's libraries need to start. What is about that start, about
signals or about Keras begins anew instead, as a process of `subprocess`.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

from tests.patience import here

ROOT = Path(__file__).parents[1]
_SHARED = (
    "db.migrate",
    "flows.cli.commands",
    "flows.operations.status",
    "flows.scoring.scan",
    "xray_core.evaluation.shortcut_audit",
)


def run_forked(
    module: str, *words: str, environment: dict[str, str] | None = None, given: str | None = None, wait: float = 300
) -> subprocess.CompletedProcess[str]:
    """What a module of ours says and ends with, in this process's folder and environment or another one.

    Raises subprocess.TimeoutExpired, having killed it, after `wait` seconds of a quiet machine.
    """
    with TemporaryFile() as said, TemporaryFile() as complained, TemporaryFile() as told:
        told.write((given or "").encode())
        told.seek(0)
        place = {"folder": str(Path.cwd()), "environment": {**os.environ} if environment is None else environment}
        content = json.dumps({"module": module, "words": words, **place}).encode()
        server, files = _start_server(), [told.fileno(), said.fileno(), complained.fileno()]
        socket.send_fds(server, [len(content).to_bytes(8, "big")], files)
        server.sendall(content)
        pid, ended = _receive(server), select.select([server], [], [], here(wait))[0]
        if not ended:
            os.kill(pid, signal.SIGKILL)
        code = _receive(server)
        if not ended:
            raise subprocess.TimeoutExpired([module, *words], wait)
        texts = []
        for file in (said, complained):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess([module, *words], code, *texts)


def xray(*words: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command of ours, with some variables besides."""
    return run_forked("flows", *words, environment={**os.environ, **(environment or {})})


@cache
def _start_server() -> socket.socket:
    """The process that forks, one for each that tests; it ends when this end of its socket is closed."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "tests.forked", str(theirs.fileno())]
    process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours


def _serve(client: socket.socket) -> tuple[str, list[str]]:
    """Fork for each request. Returns in the child alone, with the module and its words; ends when nobody asks."""
    while True:
        head, files, _, _ = socket.recv_fds(client, 8, 3)
        if not head:
            sys.exit()
        request = json.loads(client.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
        pid = os.fork()
        if pid == 0:
            client.close()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            os.chdir(request["folder"])
            os.environ.clear()
            os.environ.update(request["environment"])
            time.tzset()
            return request["module"], request["words"]
        for file in files:
            os.close(file)
        _send(client, pid)
        _, status = os.waitpid(pid, 0)
        _send(client, os.waitstatus_to_exitcode(status))


def _send(to: socket.socket, number: int) -> None:
    to.sendall(number.to_bytes(8, "big", signed=True))


def _receive(of: socket.socket) -> int:
    return int.from_bytes(of.recv(8, socket.MSG_WAITALL), "big", signed=True)


def _import_what_they_share() -> None:
    for module in _SHARED:
        importlib.import_module(module)


if __name__ == "__main__":
    _import_what_they_share()
    name, arguments = _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.argv[1:] = arguments
    runpy.run_module(name, run_name="__main__", alter_sys=True)
