"""A real Chromium, driven without a window: what it asked the network for, and what a person would read."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import ClientConnection, connect

_QUIET_SECONDS = 1.0
# A name server of our own would see more, but must never be asked: nothing but loopback is resolved.
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Browser:
    """One tab. Every request of its pages is remembered by its address."""

    def __init__(self, connection: ClientConnection) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._connection = connection
        self._numbers = itertools.count(1)
        self._heard_at = time.monotonic()
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._call(f"{domain}.enable")

    def open(self, url: str, *, seconds: float = 20) -> None:
        """Go there and wait until the page has been quiet for a second."""
        self._call("Page.navigate", url=url)
        self.settle(seconds=seconds)

    def settle(self, *, seconds: float = 20) -> None:
        """Wait until no request has come for a second."""
        deadline = time.monotonic() + seconds
        self._heard_at = time.monotonic()
        while time.monotonic() < min(deadline, self._heard_at + _QUIET_SECONDS):
            self._listen(0.2)

    def wait_for(self, words: str, *, seconds: float = 60) -> None:
        """Wait until the page says this."""
        deadline = time.monotonic() + seconds
        while words not in (text := self.text()):
            assert time.monotonic() < deadline, f"{words!r} did not appear within {seconds} s: {text!r}"
            self._listen(0.5)

    def evaluate(self, script: str) -> Any:
        """The value of a script, awaited."""
        answer = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self) -> str:
        """What stands on the page."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def foreign_requests(self, own: str) -> list[str]:
        """Requests to any other host or port than that of `own`."""
        return [url for url in self.requests if urlsplit(url).netloc not in ("", urlsplit(own).netloc)]

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A picture of the tab as PNG; of the whole page, however long."""
        more = {"captureBeyondViewport": True, "clip": self._measure_page()} if whole else {}
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", **more)["data"]))

    def _measure_page(self) -> dict[str, float]:
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def print_pdf(self, width: float, height: float) -> bytes:
        """The page on paper of this size in inches, as PDF, without backgrounds, as most people print."""
        printed = self._call("Page.printToPDF", paperWidth=width, paperHeight=height, preferCSSPageSize=True)
        return base64.b64decode(printed["data"])

    def prefer(self, *, scheme: str = "light", medium: str = "") -> None:
        """Play a person who likes pages `light` or `dark`, or another `medium`: print."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=medium, features=features)

    def resize(self, width: int, height: int) -> None:
        """Give the tab a size in pixels."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def download_into(self, folder: Path) -> None:
        """Let what a page saves land there."""
        self._call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def press(self, key: str, *, shift: bool = False) -> None:
        """A key on the keyboard, down and up: a letter, or a name such as Enter."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"key": key.upper() if shift and len(key) == 1 else key, "modifiers": 8 if shift else 0}
        code |= {"code": f"Key{key.upper()}" if key.isalpha() and len(key) == 1 else key}
        if key == "Enter":
            code["windowsVirtualKeyCode"] = 13
        self._call("Input.dispatchKeyEvent", type="keyDown", text=text, **code)
        self._call("Input.dispatchKeyEvent", type="keyUp", **code)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            message = self._listen(1.0)
            if message is not None and message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
        raise TimeoutError(method)

    def _listen(self, seconds: float) -> dict[str, Any] | None:
        try:
            message: dict[str, Any] = json.loads(self._connection.recv(timeout=seconds))
        except TimeoutError:
            return None
        method, given = message.get("method"), message.get("params", {})
        if method in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            self.requests.append(given["request"]["url"] if "request" in given else given["url"])
            self._heard_at = time.monotonic()
        elif method == "Log.entryAdded":
            self.complaints.append(given["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(" ".join(str(part.get("value")) for part in given["args"]))
        return message


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """A browser with a fresh profile; the test is skipped where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        with connect(_find_tab(profile), max_size=None, proxy=None) as connection:
            yield Browser(connection)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _find_tab(profile: Path) -> str:
    """The address of the first tab's debugger."""
    import urllib.request

    port_file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if port_file.exists() and (lines := port_file.read_text().split()):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{lines[0]}/json/list", timeout=10) as answer:
                tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
        time.sleep(0.2)
    raise TimeoutError("Chromium did not open its debugger")
