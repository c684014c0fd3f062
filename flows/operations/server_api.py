"""Prefect's API on this machine, with the home's login and without Prefect's own client, which loads for seconds."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

_ASK_SECONDS = 3.0
# Between one question and the next: Prefect says 503 where its database was busy, has done nothing then, and may be
# asked again. Its own client does that too.
_BUSY_SECONDS = (0.5, 1.0, 2.0)
# A proxy has no part in what this machine says to itself.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerApi:
    """The API at an address, as the user of a login `user:password`. Every call may raise OSError or ValueError."""

    def __init__(self, address: str, login: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}

    def get(self, path: str) -> Any:
        """What stands at a path below the API's address."""
        return self._ask(path, None, {})

    def post(self, path: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
        """Send one request that may change something, with a token that shows it is no page of another site."""
        client = str(uuid4())
        token = self.get(f"csrf-token?client={client}")["token"]
        headers = {"Content-Type": "application/json", "Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client}
        return self._ask(path, json.dumps(body).encode(), headers)

    def _ask(self, path: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        for seconds in _BUSY_SECONDS:
            try:
                return self._ask_once(path, body, headers)
            except HTTPError as refusal:
                if refusal.code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
            time.sleep(seconds)
        return self._ask_once(path, body, headers)

    def _ask_once(self, path: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        request = urllib.request.Request(f"{self._address}/{path}", body, self._headers | dict(headers))  # noqa: S310
        try:
            with OPENER.open(request, timeout=_ASK_SECONDS) as answer:
                said = answer.read()
        except HTTPError as refusal:
            refusal.close()  # an answer too, with a socket
            raise
        return json.loads(said) if said else None
