"""The whole service in one foreground process: Prefect server, deployments and worker, started and stopped together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from urllib.parse import quote

from flows.home.api_login import LOGIN_FILE, login_by_hand, read_api_login
from flows.service.child import LOOPBACK, PREFECT, Address, Child, child_environment
from flows.service.log_file import bound_log, open_log
from flows.settings import CHECKOUT, Settings
from xray_core.errors import PersonNeeded, RefusedInput

POOL = "xray-pool"


WORKER = "xray-worker"


_START_SECONDS = 180


_RESTART_PAUSE_SECONDS = 5


_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def run_service(settings: Settings, address: Address, *, say: Callable[[str], None]) -> None:
    """Run server, deployments and worker until SIGINT or SIGTERM, then stop the worker first and the server last.

    A child that dies is started again. Raises RefusedInput for an address that is taken or open to the network
    without a password, PersonNeeded when the server or the deployments do not come up.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with running_service(settings, address, say=say, stop=stop) as children:
        say(f"worker is up (Ctrl-C stops everything); runs and pictures: {_invite(settings, address)}")
        _supervise(children, stop, say)
    say("stopped")


@contextmanager
def running_service(
    settings: Settings, address: Address, *, say: Callable[[str], None], stop: threading.Event
) -> Iterator[list[Child]]:
    """Server, then deployments, then worker, all up inside the block; stopped in the opposite order after it."""
    refuse_open_address(address)
    _refuse_taken_port(address)
    with _server(settings, address).running() as server:
        say(f"server is starting at {address.url} (log: {server.log}) ...")
        _wait_until_healthy(server, address, stop)
        say("server is up; deploying ...")
        _deploy(settings, address)
        with (
            TemporaryDirectory(prefix="xray-worker-") as scratch,
            _worker(settings, address, scratch).running() as worker,
            _watcher(settings, address).running() as watcher,
        ):
            yield [server, worker, watcher]
            say("stopping the worker ...")
        say("stopping the server ...")


def refuse_open_address(address: Address) -> None:
    """Raise RefusedInput when others on the network could reach an API whose password nobody chose for that."""
    if address.host not in LOOPBACK and login_by_hand(os.environ) is None:
        raise RefusedInput(
            f"--host {address.host} would open the API to the network, where passwords travel in the clear. Set "
            "PREFECT_SERVER_API_AUTH_STRING=user:password to say that you mean it (better: behind a proxy with TLS), "
            "or keep the default 127.0.0.1"
        )


def _invite(settings: Settings, address: Address) -> str:
    """Where to go and how to get in. The login itself is shown to a person at a terminal, never to a log."""
    if sys.stdout.isatty():
        return f"{address.url}/enter#{quote(read_api_login(settings))}"
    if login_by_hand(os.environ) is not None:
        return f"{address.url} (log in with your own user:password)"
    return f"{address.url} (log in with the line in {settings.home / LOGIN_FILE})"


def _server(settings: Settings, address: Address) -> Child:
    command = [sys.executable, "-m", "flows.service.server", address.host, str(address.port)]
    return Child("server", command, settings, address)


def _worker(settings: Settings, address: Address, scratch: str) -> Child:
    """With its own temporary folder: Prefect keeps `runner_storage` in the system's, the first user's alone."""
    command = [PREFECT, "worker", "start", "--pool", POOL, "--type", "process", "--name", WORKER]
    given = {"TMPDIR": scratch}
    return Child("worker", command, settings, address, aftermath="flows.service.dead_runs", besides=given)


def _watcher(settings: Settings, address: Address) -> Child:
    return Child("watcher", [sys.executable, "-m", "flows.service.watcher", address.api], settings, address)


def _supervise(children: list[Child], stop: threading.Event, say: Callable[[str], None]) -> None:
    """Until the stop: whatever died is started again, after a pause and with a word."""
    while not stop.wait(1):
        for child in children:
            bound_log(child.log)
            if child.exit_code is not None:
                died_at = datetime.now(UTC)
                say(f"the {child.name} ended with exit code {child.exit_code}; starting it again (log: {child.log})")
                stop.wait(_RESTART_PAUSE_SECONDS)
                child.restart(died_at)


def _refuse_taken_port(address: Address) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise RefusedInput(
                f"{address.host}:{address.port}: {error.strerror}; is the service already running? "
                "`xray up --port 4300` takes another port"
            ) from error


def _wait_until_healthy(server: Child, address: Address, stop: threading.Event) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and not stop.is_set():
        if server.exit_code is not None:
            raise PersonNeeded(f"the Prefect server ended with exit code {server.exit_code}; see {server.log}")
        if is_healthy(address):
            return
        time.sleep(0.5)
    if not stop.is_set():
        raise PersonNeeded(f"the Prefect server did not answer within {_START_SECONDS} s; see {server.log}")


def is_healthy(address: Address) -> bool:
    """Whether the server answers."""
    try:
        with _NO_PROXY.open(f"{address.api}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _deploy(settings: Settings, address: Address) -> None:
    """Create the pool and the deployments of prefect.yaml, in one child process."""
    log = settings.home / "run" / "deploy.log"
    bound_log(log)
    with open_log(log) as output:
        try:
            result = subprocess.run(
                [sys.executable, "-m", "flows.service.deploy"],
                cwd=CHECKOUT,
                env=child_environment(settings, address),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_START_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PersonNeeded(f"deploying did not end within {_START_SECONDS} s; see {log}") from None
    if result.returncode:
        raise PersonNeeded(f"deploying failed with exit code {result.returncode}; see {log}")
