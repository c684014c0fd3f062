"""A key robot that reads films as a person does: looks, waits half a second, presses a key."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.browser import Browser
from tests.patience import here

_LOOKED_AT = 0.55  # seconds in which a film takes no verdict, and a little


def current(browser: Browser) -> str:
    """The number of the film that is shown, or `done`."""
    return str(browser.evaluate("document.body.dataset.film ?? ''"))


def wait_for_film(browser: Browser, other_than: str = "") -> str:
    """Wait until a film (another one than that) is painted, or the list is done; its number."""
    deadline = time.monotonic() + here(30)
    while (film := current(browser)) in ("", "None", other_than):
        assert time.monotonic() < deadline, f"no film after {other_than!r}: {browser.text()}"
        time.sleep(0.02)
    return film


def read_film(browser: Browser, keys: Sequence[str]) -> str:
    """Give the film that is shown this verdict, keep it where the score is revealed; the film that comes next."""
    before = wait_for_film(browser)
    time.sleep(_LOOKED_AT)
    for key in keys:
        browser.press(key.lower(), shift=key.isupper())
    return _go_on(browser, before)


def read_list(browser: Browser, choose: Callable[[int], Sequence[str]]) -> None:
    """Read until the list is done; `choose` gives the keys for a film's number."""
    film = wait_for_film(browser)
    while film != "done":
        film = read_film(browser, choose(int(film)))


def _go_on(browser: Browser, before: str) -> str:
    deadline = time.monotonic() + here(30)
    while (film := current(browser)) == before:
        assert time.monotonic() < deadline, f"film {before} stays: {browser.text()}"
        if browser.evaluate("document.body.dataset.state") == "revealing":
            browser.press("Enter")
        time.sleep(0.02)
    return film
