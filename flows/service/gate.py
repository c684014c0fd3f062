"""What stands before Prefect's server: this host's names alone, its own pages alone, nothing from elsewhere in them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

Message = MutableMapping[str, Any]


class _Send(Protocol):
    async def __call__(self, message: Message) -> None: ...


class _Receive(Protocol):
    async def __call__(self) -> Message: ...


class App(Protocol):
    """An ASGI application."""

    async def __call__(self, scope: Message, receive: _Receive, send: _Send) -> None: ...


# The page and its data come from here alone; pictures in artifacts are data: addresses.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",  # the page asks by eval whether it runs in a browser
        "connect-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "style-src 'self' 'unsafe-inline'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
# FastAPI's pages of the API are drawn by scripts of an outside address.
_NOT_SERVED = ("/docs", "/redoc", "/api/docs", "/api/redoc", "/v2")

# The login stands behind the #, which no browser sends: it reaches no log, no other page. Prefect's page keeps it
# under this very name. The second word silences the vendor's advertisements.
START_SCRIPT = b"""localStorage.setItem("prefect-show-promotional-content", "false");
if (location.pathname === "/enter") {
  const login = decodeURIComponent(location.hash.slice(1));
  if (login) localStorage.setItem("prefect-password", btoa(login));
  location.replace("/");
}
"""
START_TAG = '<script src="/start.js"></script>'
_PAGES = {
    "/enter": (b"text/html; charset=utf-8", f"<!doctype html><title>X-ray scoring</title>{START_TAG}".encode()),
    "/start.js": (b"text/javascript", START_SCRIPT),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, content type, body."""

    status: int
    kind: bytes
    body: bytes


class Gate:
    """An ASGI application around another one: refuses, answers itself, or passes on with stricter headers."""

    def __init__(self, app: App, names: Iterable[str], *, any_address: bool) -> None:
        self._app = app
        self._names = frozenset(names)
        self._any_address = any_address

    async def __call__(self, scope: Message, receive: _Receive, send: _Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif answer := self._answer(scope):
            await _send_answer(scope, answer, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _answer(self, scope: Message) -> Answer | None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = find_refusal(headers, self._names, any_address=self._any_address)
        if refusal is not None:
            return Answer(403, b"text/plain", refusal.encode())
        path: str = scope["path"]
        if any(path == gone or path.startswith(f"{gone}/") for gone in _NOT_SERVED):
            return Answer(404, b"text/plain", b"not served here")
        return Answer(200, *_PAGES[path]) if path in _PAGES else None


def find_refusal(headers: MutableMapping[str, str], names: frozenset[str], *, any_address: bool) -> str | None:
    """Why a request is refused, or None; pure.

    A page of another site can make its own name mean this address (DNS rebinding), so the Host must be one of
    ours. `any_address` takes numbers too, which no name server can bend. A request that a page makes carries its
    Origin, which must be the very host and port that it asks.
    """
    host = headers.get("host", "")
    name = _host_name(host)
    if name not in names and not (any_address and _is_number(name)):
        return "this server does not go by that name (XRAY_PUBLIC_HOST names another one)"
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return "a page of another origin may not use this server"
    return None


def _host_name(host: str) -> str:
    """`localhost` of `localhost:4200`, `::1` of `[::1]:4200`."""
    bare = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return bare.lower().removesuffix(".")


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: _Send) -> _Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return send_with_headers


async def _send_answer(scope: Message, answer: Answer, send: _Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", answer.kind), (b"content-length", str(len(answer.body)).encode()), *_HEADERS]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
