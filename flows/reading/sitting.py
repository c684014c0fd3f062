"""One sitting before a page: the ledger and the films are there as long as it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from starlette.routing import Route

from db.engine import snapshot, transaction
from db.reading import lists
from db.registry import models
from flows.home.folders import refuse_folder
from flows.home.ledger import open_ledger
from flows.reading.desk import Desk, open_desk
from flows.reading.disputes import open_dispute_list
from flows.reading.heat import HeatMaps, begin_heat_maps
from flows.reading.lists import make_list
from flows.reading.offline import write_folder
from flows.reading.reading_page import make_reading_routes
from flows.reading.results import make_result_routes
from flows.reading.server import Sitting, serve
from flows.review.dispute_csv import write_disputes_csv
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.processes.fork_server import start_fork_server
from xray_core.processes.helper_process import open_helper_process
from xray_core.reading.film_reader import FilmReader
from xray_core.records import RESEARCH_USE

# No list has this id: its page says that there is nothing to read.
_NOTHING_LEFT = 0


def review_served(settings: Settings, sitting: Sitting, *, size: int, reveal: float) -> None:
    """Serve the reader's list until Ctrl-C; what was read before is not asked again."""
    with open_ledger(settings) as engine, _open_films(settings) as films, open_helper_process() as helper:
        desk = open_desk(settings, engine, _find_list(settings, engine, sitting.who, size, reveal))
        with snapshot(engine) as session:
            champion = models.champion(session)
        maps = begin_heat_maps(settings, helper, champion, desk.find_revealed())
        _serve(settings, desk, films, maps, sitting)


def adjudicate_served(settings: Settings, sitting: Sitting, reader: str, *, size: int) -> None:
    """Serve the reader's disputed films until Ctrl-C; where there are none, only say whose turn it is."""
    with open_ledger(settings) as engine, _open_films(settings) as films:
        found = open_dispute_list(settings, engine, reader, size=size)
        sitting.say(found.sentence)
        if found.list_id is not None:
            _serve(settings, open_desk(settings, engine, found.list_id), films, HeatMaps(), sitting)


def _serve(settings: Settings, desk: Desk, films: FilmReader, maps: HeatMaps, sitting: Sitting) -> None:
    sitting.say(f"{len(desk.items)} films. Ctrl-C ends, Enter opens the page once more. {RESEARCH_USE}")
    routes = [*make_reading_routes(settings, desk, films, maps), *_results(settings, desk.engine, films)]
    serve(settings, routes, sitting)


def write_offline(
    settings: Settings, reader: str, folder: Path, *, size: int, masked: bool, say: Callable[[str], None]
) -> None:
    """Write the reader's list as a folder; nothing is revealed there. Raises RefusedInput as `refuse_folder` does."""
    refuse_folder(settings, folder, option="--offline")
    with open_ledger(settings) as engine:
        list_id = _find_list(settings, engine, reader, size, 0)
        if list_id == _NOTHING_LEFT:
            raise RefusedInput(f"{reader} has no film left to read; `xray scan` scores what arrived")
        _write_folder(settings, engine, list_id, folder, reader=reader, masked=masked, say=say)


def adjudicate_offline(
    settings: Settings, reader: str, folder: Path, *, size: int, masked: bool, say: Callable[[str], None]
) -> None:
    """The same for the reader's disputed films."""
    refuse_folder(settings, folder, option="--offline")
    with open_ledger(settings) as engine:
        found = open_dispute_list(settings, engine, reader, size=size)
        say(found.sentence)
        if found.list_id is not None:
            _write_folder(settings, engine, found.list_id, folder, reader=reader, masked=masked, say=say)


def adjudicate_by_csv(settings: Settings, reader: str, path: Path, *, size: int, say: Callable[[str], None]) -> None:
    """Write the reader's disputed films as a CSV to fill in."""
    with open_ledger(settings) as engine:
        found = open_dispute_list(settings, engine, reader, size=size)
        say(found.sentence)
        if found.list_id is not None:
            desk = open_desk(settings, engine, found.list_id)
            rows = write_disputes_csv(settings, path, desk.items, desk.opinions)
            say(f"{rows} films in {path}: fill in its column label, then `xray labels import {path}`. {RESEARCH_USE}")


def _write_folder(
    settings: Settings,
    engine: Engine,
    list_id: int,
    folder: Path,
    *,
    reader: str,
    masked: bool,
    say: Callable[[str], None],
) -> None:
    desk = open_desk(settings, engine, list_id, masked=masked)
    with _open_films(settings) as films:
        file = write_folder(settings, desk, films, folder, reader=reader)
    say(f"{len(desk.items)} films in {folder}: open review.html there in a browser. {RESEARCH_USE}")
    say(f"the page saves {file}; bring it back with `xray labels import {file}`")


def show_results(settings: Settings, sitting: Sitting) -> None:
    """Serve the results, read-only, until Ctrl-C."""
    with open_ledger(settings) as engine, _open_films(settings) as films:
        sitting.say(f"Ctrl-C ends, Enter opens the page once more. {RESEARCH_USE}")
        serve(settings, _results(settings, engine, films), sitting)


def _results(settings: Settings, engine: Engine, films: FilmReader) -> list[Route]:
    def find_hidden() -> Set[int]:
        with snapshot(engine) as session:
            return lists.list_waiting(session)

    return make_result_routes(settings, engine, films, find_hidden)


def _find_list(settings: Settings, engine: Engine, reader: str, size: int, reveal: float) -> int:
    with transaction(engine) as session:
        found = lists.open_list(session, reader)
    if found is not None:
        return found.list_id
    made = make_list(settings, engine, reader, size=size, reveal_share=reveal)
    return _NOTHING_LEFT if made is None else made


@contextmanager
def _open_films(settings: Settings) -> Iterator[FilmReader]:
    start_fork_server()
    films = FilmReader(settings.decoder_limits)
    try:
        yield films
    finally:
        films.close()
