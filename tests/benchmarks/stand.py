"""Where scans by several processes are measured: what they use of the processors, in themselves and in the database."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import psutil
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.orm import Session

from db.engine import open_engine, snapshot, transaction
from db.scoring.tables import ResultRow
from flows.home.backup import back_up, restore
from flows.home.ledger import find_anchor, prepare_ledger
from flows.scoring.scan import open_scan
from flows.settings import CHECKOUT, Settings
from tests.benchmarks.pictures import write_incoming
from tests.benchmarks.processes import adopt_orphans, environment_of, reap, seconds_of_children
from tests.benchmarks.workshop import Sizes, Workshop, open_workshop
from tests.databases import create_database, with_database
from tests.postgres import find_programs, private_server


@dataclass(frozen=True, slots=True)
class Cost:
    """One scan: films, seconds of wall, processor seconds of the scanners with their decoders, of the database and of
    other programs, and bytes that the ledger grew by."""

    films: int
    seconds: float
    scanners: float
    database: float
    others: float
    grown: int

    @property
    def processor(self) -> float:
        """Scanners and database."""
        return self.scanners + self.database


class Stand:
    """Where scans are measured: films once, and for each scan a home of its own on one database server."""

    def __init__(self, shop: Workshop, server: str | None, postmaster: psutil.Process | None) -> None:
        self._shop = shop
        self._server = server
        self._postmaster = postmaster

    def measure_ledger(self, films: int) -> float:
        """Processor seconds a film that the scanner's own part of the ledger takes."""
        folder = self._shop.new_path("films")
        write_incoming(folder, films, tiny=self._shop.sizes.tiny)
        used = 0.0

        @contextmanager
        def timed(engine: Engine) -> Iterator[Session]:
            nonlocal used
            started = time.thread_time()
            with transaction(engine) as session:
                yield session
            used += time.thread_time() - started

        with patch("flows.scoring.scanner.transaction", timed), open_scan(self._open_home(folder)) as scan:
            for batch in scan.find_batches():
                scan.score(batch)
        return used / films

    def measure(self, films: int, processes: int) -> Cost:
        """Let so many processes, started together, score so many films."""
        folder = self._shop.new_path("films")
        write_incoming(folder, films, tiny=self._shop.sizes.tiny)
        settings = self._open_home(folder)
        ours, theirs, everybody, size = (
            seconds_of_children(),
            self._database_seconds(),
            _machine_seconds(),
            _size(settings),
        )
        children, started = {child.pid for child in psutil.Process().children()}, time.perf_counter()
        command = [sys.executable, "-m", "flows", "scan"]
        environment = environment_of(settings) | {"XRAY_DATABASE_URL": settings.url}
        running = [
            subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL)
            for _ in range(processes)
        ]
        if any(process.wait() for process in running):
            raise RuntimeError("a scan failed: the figures would mean nothing")
        seconds = time.perf_counter() - started
        reap(children)
        scanners, database = seconds_of_children() - ours, self._database_seconds() - theirs
        if _count(settings) != films:
            raise RuntimeError(f"{_count(settings)} films were scored, not {films}: the figures would mean nothing")
        others = _machine_seconds() - everybody - scanners - database
        return Cost(films, seconds, scanners, database, max(0.0, others), _size(settings) - size)

    def _open_home(self, folder: Path) -> Settings:
        home = self._shop.fresh_home(folder)
        if self._server is None:
            return home
        saved, url = self._shop.new_path("backup"), with_database(self._server, create_database(self._server))
        back_up(home, saved)
        moved = Settings(home=self._shop.new_path("home"), incoming=folder, database_url=url, settle_seconds=0)
        restore(moved, saved)
        prepare_ledger(moved)
        return moved

    def _database_seconds(self) -> float:
        if self._postmaster is None:
            return 0.0
        family = [self._postmaster.cpu_times()]
        for child in self._postmaster.children():
            with suppress(psutil.NoSuchProcess):
                family.append(child.cpu_times())
        return sum(one.user + one.system + one.children_user + one.children_system for one in family)


@contextmanager
def open_stand(sizes: Sizes, *, sqlite: bool) -> Iterator[Stand]:
    """On a PostgreSQL server of its own where one is installed, else on SQLite."""
    adopt_orphans()
    programs = None if sqlite else find_programs()
    with ExitStack() as stack:
        shop = stack.enter_context(open_workshop(sizes))
        server = stack.enter_context(private_server(programs)) if programs else None
        yield Stand(shop, server, _find_postmaster(server))


def _find_postmaster(server: str | None) -> psutil.Process | None:
    if server is None:
        return None
    engine = create_engine(server)
    with engine.connect() as connection:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        found = psutil.Process(backend).parent()
    engine.dispose()
    return found


def _machine_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _count(settings: Settings) -> int:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        found = session.scalar(select(func.count()).select_from(ResultRow)) or 0
    engine.dispose()
    return found


def _size(settings: Settings) -> int:
    """Bytes of the ledger."""
    question = "SELECT pg_database_size(current_database())"
    if settings.database_url is None:
        question = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    engine = create_engine(settings.url)
    with engine.connect() as connection:
        found = int(connection.execute(text(question)).scalar_one())
    engine.dispose()
    return found
