"""The user and password that command the Prefect server of this home, made once and kept in it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.exchange.atomic_file import write_once

# Prefect's own variables: the server asks for the first, its clients send the second.
BY_HAND = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
LOGIN_FILE = "api.login"


def read_api_login(settings: Settings) -> str:
    """`user:password` as set by hand in the environment, else that of the home, which is made on the first call.

    Raises RefusedInput when the two variables differ: the service would refuse its own worker.
    """
    by_hand = login_by_hand(os.environ)
    if by_hand is not None:
        return by_hand
    path = settings.home / LOGIN_FILE
    write_once(path, f"xray:{secrets.token_urlsafe(24)}\n".encode())
    return path.read_text().strip()


def find_api_login(settings: Settings) -> str | None:
    """The login where there is one that we may read; makes none."""
    by_hand = login_by_hand(os.environ)
    if by_hand is not None:
        return by_hand
    try:
        return (settings.home / LOGIN_FILE).read_text().strip()
    except (FileNotFoundError, PermissionError):
        return None


def login_by_hand(environment: Mapping[str, str]) -> str | None:
    """What a person has set for server and clients; one of the two variables is enough."""
    given = {environment[name] for name in BY_HAND if environment.get(name)}
    if len(given) > 1:
        raise RefusedInput(f"{' and '.join(BY_HAND)} differ; expected the same user:password in both, or neither set")
    return given.pop() if given else None
