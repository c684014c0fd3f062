"""One sitting before a page: the ledger and the films are there as long as it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flows.home.ledger import open_ledger
from flows.reading.results import make_result_routes
from flows.reading.server import Sitting, serve
from flows.settings import Settings
from xray_core.processes.fork_server import start_fork_server
from xray_core.reading.film_reader import FilmReader
from xray_core.records import RESEARCH_USE


def show_results(settings: Settings, sitting: Sitting) -> None:
    """Serve the results, read-only, until Ctrl-C."""
    with open_ledger(settings) as engine, _open_films(settings) as films:
        sitting.say(f"Ctrl-C ends, Enter opens the page once more. {RESEARCH_USE}")
        serve(settings, make_result_routes(settings, engine, films, frozenset), sitting)


@contextmanager
def _open_films(settings: Settings) -> Iterator[FilmReader]:
    start_fork_server()
    films = FilmReader(settings.decoder_limits)
    try:
        yield films
    finally:
        films.close()
