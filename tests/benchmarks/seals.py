"""What it costs to seal history, and to verify that no row of it was changed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from unittest.mock import patch

import numpy as np
from PIL import Image

from db import sealing
from db.engine import snapshot
from db.sealing import find_broken_seals
from flows.home.ledger import open_ledger
from flows.scoring.scan import open_scan
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


def write(shop: Workshop) -> Iterator[Measurement]:
    """A scan of many small films, whose batches are sealed, against the same scan without a seal."""
    folder = shop.new_path("small")
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(shop.sizes.small):
        film = rng.integers(0, 256, (64, 64), dtype=np.uint8)
        Image.fromarray(film).save(folder / f"small-{number:06d}.png")

    def scan(_: int) -> float:
        settings = shop.fresh_home(folder)
        started = time.perf_counter()
        with open_scan(settings) as scanning:
            for batch in scanning.find_batches():
                scanning.score(batch)
        return time.perf_counter() - started

    def scan_unsealed(number: int) -> float:
        with _without_seals():
            return scan(number)

    scan(-1)
    ours, plain = alternate(shop.sizes.rounds, scan, scan_unsealed)
    what = f"scan of {shop.sizes.small:,} small films, sealed"
    yield Measurement(what, "the same without seals", "s", ours, plain, at_most(1.2))


@contextmanager
def _without_seals() -> Iterator[None]:
    """Nothing is summed, so that no transaction has anything to put into the chain."""

    def nothing(*_: object) -> dict[int, object]:
        return {}

    with patch.object(sealing, "_sum_keys", nothing), patch.object(sealing, "_sum_rows", nothing):
        yield
