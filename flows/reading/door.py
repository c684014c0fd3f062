"""Who is let in: the one browser that was sent here with a token that works once, from this machine, for this page."""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.reading.pages import SERVED_POLICY

_SECONDS = 12 * 3600  # a cookie outlives the browser that was closed, and no working day

_HEADERS = {
    "content-security-policy": SERVED_POLICY,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Door:
    """ASGI middleware in front of the pages; nothing behind it is asked before a request has passed.

    A request must name this server as its host (a foreign name may point here: DNS rebinding), must not come from a
    page of another origin, and must carry the cookie for which the token in the address was exchanged, once.
    """

    def __init__(self, app: ASGIApp, *, port: int, cookie: str) -> None:
        self._app = app
        self._host = f"127.0.0.1:{port}"
        self._name = f"xray-review-{port}"  # cookies know no ports: two readers on one machine are two names
        self._cookie = cookie
        self._token: str | None = None

    def invite(self, path: str = "/") -> str:
        """An address that lets one browser in, once; the one given before works no more."""
        self._token = secrets.token_urlsafe(32)
        return f"http://{self._host}{path}?token={self._token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what may not pass; hand on what may, and add the headers that hold for all."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        answer = self._refuse(scope) or self._exchange(scope) or self._check_cookie(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refuse(self, scope: Scope) -> Response | None:
        """What is not meant for this server, or comes from a page of another one."""
        headers = Headers(scope=scope)
        if headers.get("host") != self._host:
            return PlainTextResponse("This server answers to its own address only.\n", status_code=421)
        origin = headers.get("origin")
        is_own = origin == f"http://{self._host}"
        is_foreign_fetch = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        is_change = scope["method"] not in ("GET", "HEAD")
        if (origin is not None and not is_own) or is_foreign_fetch or (is_change and not is_own):
            return PlainTextResponse("Another page asked; this server answers its own pages only.\n", status_code=403)
        return None

    def _exchange(self, scope: Scope) -> Response | None:
        """The cookie for the token, once; the page comes again without the token in its address."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given is None or self._is_known(scope):
            return None if given is None else RedirectResponse(scope["path"], status_code=303)
        if self._token is None or not hmac.compare_digest(given[0].encode(), self._token.encode()):
            return _closed()
        self._token = None
        answer = RedirectResponse(scope["path"], status_code=303)
        answer.set_cookie(self._name, self._cookie, max_age=_SECONDS, httponly=True, samesite="strict", path="/")
        return answer

    def _check_cookie(self, scope: Scope) -> Response | None:
        return None if self._is_known(scope) else _closed()

    def _is_known(self, scope: Scope) -> bool:
        cookies = Headers(scope=scope).get("cookie", "")
        given = (part.strip().partition("=") for part in cookies.split(";"))
        values = [value for name, _, value in given if name == self._name]
        return len(values) == 1 and hmac.compare_digest(values[0].encode(), self._cookie.encode())


def _closed() -> Response:
    words = "This address was used already, or has ended. Press Enter where the command runs: it opens a new one.\n"
    return PlainTextResponse(words, status_code=403)
