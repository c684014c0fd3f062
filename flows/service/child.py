"""A child process of the service: started, watched, stopped, and dead with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flows.settings import CHECKOUT, Settings

PREFECT = str(Path(sys.executable).with_name("prefect"))


_STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Address:
    """Where the Prefect server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The page for people."""
        return f"http://{self.host}:{self.port}"

    @property
    def api(self) -> str:
        """The address for programs."""
        return f"{self.url}/api"


def child_environment(settings: Settings, address: Address) -> dict[str, str]:
    """The environment of everything that the service starts: our settings, Prefect's home, no telemetry."""
    given = settings.model_dump(mode="json", exclude_defaults=True) | {"home": str(settings.home)}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        f"XRAY_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
        if value is not None
    }
    return environment | {
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_API_URL": address.api,
        "PREFECT_SERVER_API_HOST": address.host,
        "PREFECT_SERVER_API_PORT": str(address.port),  # without it the page asks port 4200 for its data
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


class Child:
    """One process of the service: started, watched, started again, stopped."""

    def __init__(
        self, name: str, command: list[str], settings: Settings, address: Address, *, aftermath: str | None = None
    ) -> None:
        self.name = name
        self.log = settings.home / "run" / f"{name}.log"
        self._command = command
        self._aftermath = aftermath
        self._environment = child_environment(settings, address)
        self._process: subprocess.Popen[bytes] | None = None
        self._tidying: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[Child]:
        """Started inside the block, stopped after it."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Start the process with its output in its log, in a group of its own: Ctrl-C is ours to pass on."""
        self._process = self._spawn(self._command)

    def restart(self, died_at: datetime) -> None:
        """Start it again and, beside it, the module that tidies up after the one that died at that time."""
        self.start()
        if self._aftermath is not None:
            self._tidying = self._spawn([sys.executable, "-m", self._aftermath, died_at.isoformat()])

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        bound = [sys.executable, "-m", "xray_core.processes.lifeline", str(os.getpid())]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                bound + command,
                cwd=CHECKOUT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, for people and tests."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        if self._tidying is not None:
            self._tidying.poll()  # or it would stay a zombie
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """SIGINT, as Prefect likes it, and SIGKILL to its whole group when it does not listen."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
