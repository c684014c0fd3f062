"""A child process of the service: started, watched, stopped, and dead with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flows.home.api_login import BY_HAND, read_api_login
from flows.service.log_file import open_log
from flows.settings import CHECKOUT, Settings, find_shipped

PREFECT = str(Path(sys.executable).with_name("prefect"))
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STOP_SECONDS = 30
# Of a person's own environment: the first makes runs start slowly, the second goes before every password.
_LEFT_OUT = ("PYTHONDONTWRITEBYTECODE", "PREFECT_API_KEY")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the Prefect server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The page for people."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def api(self) -> str:
        """The address for programs."""
        return f"{self.url}/api"


def child_environment(settings: Settings, address: Address) -> dict[str, str]:
    """The environment of everything that the service starts: our settings, Prefect's home and login, no telemetry."""
    environment = shipped_prefect_settings() | without_proxy_for(address.host, os.environ) | settings.in_words()
    return environment | dict.fromkeys(BY_HAND, read_api_login(settings)) | _prefect_settings(settings, address)


def shipped_prefect_settings() -> dict[str, str]:
    """What prefect.toml says, as variables: Prefect finds the file in a checkout alone, and a service may run without.

    Who set such a variable by hand is heard before it.
    """
    return dict(_flatten("PREFECT", tomllib.loads(find_shipped("prefect.toml").read_text())))


def _flatten(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _flatten(f"{name}_{key.upper()}", below)
    elif isinstance(value, list):
        yield name, ",".join(value)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _prefect_settings(settings: Settings, address: Address) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_API_URL": address.api,
        "PREFECT_SERVER_API_HOST": address.host,
        "PREFECT_SERVER_API_PORT": str(address.port),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address.url,
        "PREFECT_SERVER_UI_API_URL": "/api",  # of the page's own origin, under whatever name it was opened
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(settings.home / "prefect" / "page"),
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "ORT_DISABLE_TELEMETRY": "1",
    }


def without_proxy_for(host: str, environment: Mapping[str, str]) -> dict[str, str]:
    """A copy of an environment in which nothing to this machine goes through a proxy; pure.

    Both spellings are set: libraries differ in which one they read first. A SOCKS proxy is left out: Prefect's
    client refuses to start beside one, although it would never use it.
    """
    given = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    past = [name.strip() for name in given.split(",") if name.strip()]
    past += [name for name in dict.fromkeys((*LOOPBACK, host)) if name not in past]
    kept = {key: value for key, value in environment.items() if key not in _LEFT_OUT and not _is_socks(key, value)}
    return kept | dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(past))


def _is_socks(key: str, value: str) -> bool:
    return key.lower().endswith("_proxy") and value.lower().startswith("socks")


class Child:
    """One process of the service: started, watched, started again, stopped."""

    def __init__(
        self,
        name: str,
        command: list[str],
        settings: Settings,
        address: Address,
        *,
        aftermath: str | None = None,
        besides: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = settings.home / "run" / f"{name}.log"
        self._command = command
        self._aftermath = aftermath
        self._environment = child_environment(settings, address) | dict(besides or {})
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
        with open_log(self.log) as log:
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
