"""What it costs to verify that no row of history was changed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

from db.engine import snapshot
from db.sealing import find_broken_seals
from flows.home.ledger import open_ledger
from flows.settings import Settings
from tests.benchmarks.homes import add_results
from tests.benchmarks.measurement import Measurement, alternate, at_most
from tests.benchmarks.workshop import Workshop


def verify(shop: Workshop) -> Iterator[Measurement]:
    """The seals of every table of a ledger with many results, against a plain read of the same rows."""
    settings = shop.fresh_home()
    add_results(settings, shop.sizes.sealed)

    def check(_: int) -> float:
        started = time.perf_counter()
        with open_ledger(settings) as engine, snapshot(engine) as session:
            broken = next(find_broken_seals(session), None)
        if broken is not None:
            raise RuntimeError(broken)
        return time.perf_counter() - started

    ours, plain = alternate(shop.sizes.rounds, check, lambda _: read_plainly(settings))
    yield Measurement(
        f"seals of {shop.sizes.sealed:,} results", "a plain read of the rows", "s", ours, plain, at_most(3)
    )


def read_plainly(settings: Settings) -> float:
    """Seconds for the driver to hand out every row of the three large tables."""
    started = time.perf_counter()
    with closing(sqlite3.connect(settings.home / "xray.db")) as connection:
        for table in ("results", "xrays", "incoming_files"):
            cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608
            while cursor.fetchmany(10_000):
                pass
    return time.perf_counter() - started
