"""What the home's service does by itself, and what of it a person has switched off."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from email.message import Message
from pathlib import Path
from typing import Any

from flows.home.api_login import find_api_login
from flows.operations.server_api import OPENER, ServerApi
from flows.settings import Settings
from xray_core.exchange.atomic_file import write_whole

_FILE = "schedule.json"
_ASK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The deployments of a service that was started in this home, and the address of its server.

    `paused` names those that a person has switched off, as far as was heard last.
    """

    api: str
    pool: str
    deployments: tuple[str, ...]
    paused: tuple[str, ...] = ()


def write_schedule(settings: Settings, schedule: Schedule) -> None:
    """Note down that this home is served by a schedule; `xray up` does so at every start."""
    write_whole(_path(settings), json.dumps(asdict(schedule), indent=1).encode())


def read_schedule(settings: Settings) -> Schedule | None:
    """The schedule as the server tells it now, else as it was noted last; None where no service was ever started."""
    try:
        noted = json.loads(_path(settings).read_bytes())
        schedule = Schedule(noted["api"], noted["pool"], tuple(noted["deployments"]), tuple(noted["paused"]))
    except (FileNotFoundError, PermissionError):
        return None
    paused = ask_paused(settings, schedule)
    return schedule if paused is None else replace(schedule, paused=paused)


def ask_paused(settings: Settings, schedule: Schedule) -> tuple[str, ...] | None:
    """What is switched off on the server now; None when it does not answer, or not to us."""
    login = find_api_login(settings)
    if login is None:
        return None
    api = ServerApi(schedule.api, login)
    try:
        pool = api.get(f"work_pools/{schedule.pool}")
        found = [api.get(f"deployments/name/{name}/{name}") for name in schedule.deployments]
        triggers = {
            deployment["name"]: api.get(f"automations/related-to/prefect.deployment.{deployment['id']}")
            for deployment in found
            if not deployment["schedules"]
        }
    except (OSError, ValueError):
        return None
    return find_paused(pool, found, triggers)


def find_paused(
    pool: Mapping[str, Any], deployments: Sequence[Mapping[str, Any]], triggers: Mapping[str, Sequence[Any]]
) -> tuple[str, ...]:
    """Names of the deployments that nothing starts by itself; pure.

    A paused pool stops all of them; else one is off when it is paused itself, or all its schedules and triggers are.
    """
    return tuple(
        deployment["name"]
        for deployment in deployments
        if pool["is_paused"]
        or deployment["paused"]
        or (
            not any(schedule["active"] for schedule in deployment["schedules"])
            and not any(trigger["enabled"] for trigger in triggers.get(deployment["name"], ()))
        )
    )


@dataclass(frozen=True, slots=True)
class Page:
    """What a stranger gets at an address: status, and headers by their names in small letters."""

    status: int
    headers: Mapping[str, str]


def ask_page(url: str) -> Page | None:
    """Ask as a stranger with a browser would; None where nobody answers."""
    try:
        with OPENER.open(urllib.request.Request(url, headers={"Accept": "text/html"}), timeout=_ASK_SECONDS) as answer:  # noqa: S310
            return Page(answer.status, _lower(answer.headers))
    except urllib.error.HTTPError as refusal:
        return Page(refusal.code, _lower(refusal.headers))
    except OSError:
        return None


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _path(settings: Settings) -> Path:
    return settings.home / "run" / _FILE
