"""The case of a home after years: every command beside the same one in a home that began lately."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple
from functools import partial
from pathlib import Path
from statistics import median

from db.engine import snapshot
from db.growth import measure_growth
from db.schema import HEAD
from db.sealing import find_broken_seals
from flows.home.ledger import open_ledger
from flows.settings import CHECKOUT, Settings
from tests.benchmarks.measurement import Measurement, alternate, at_most
from tests.benchmarks.seals import read_plainly
from tests.benchmarks.workshop import Workshop
from tests.benchmarks.years.commands import COMMANDS, Command, Cost, run
from tests.benchmarks.years.home import MADE_AS, YEARS, make_home_of_years, scale_down

# What git ignores; a home of years takes a gigabyte and minutes to make.
_KEPT = CHECKOUT / "build" / "years"
_ROUNDS = 3
_SECONDS, _MEGABYTES = 3, 300
_SAME = 1.5
_FLAT = 1.2  # a thousand films hardly fill the pieces in which a million are read


def grow(shop: Workshop) -> Iterator[Measurement]:
    """A row for each command that must not grow, and one for the worst of the others; all are told as they come."""
    many, few = shop.sizes.years, shop.sizes.years_small
    homes = tuple((_open(shop, films), films) for films in (many, few))
    costs: dict[Command, list[tuple[Cost, ...]]] = {}
    for command in COMMANDS:
        for home, films in homes:
            run(command, home, shop.folder, films)  # the first of a quarter of an hour looks through every page
        costs[command] = _measure(shop, command, homes)
        large, small = costs[command]
        _tell(command, large, small)
        times = tuple(cost.processor for cost in large), tuple(cost.processor for cost in small)
        if command.is_constant:
            yield Measurement(f"{command.name}, {many:,} films", f"{few:,} films", "s", *times, at_most(_SAME))
        elif command.is_bounded:
            yield Measurement(f"{command.name}, {many:,} films", "in all", "s", times[0], (), at_most(_SECONDS))
        elif command.is_flat:
            peaks = tuple(cost.megabytes for cost in large), tuple(cost.megabytes for cost in small)
            yield Measurement(
                f"memory of {command.name}, {many:,} films", f"{few:,} films", "MB", *peaks, at_most(_FLAT)
            )
    bounded = [cost.megabytes for command in costs if command.is_bounded for cost in costs[command][0]]
    yield Measurement("the same four, memory", "in all", "MB", (max(bounded),), (), at_most(_MEGABYTES))
    yield from _compare_the_rest(costs, many / few)
    yield from _verify(shop, homes[0][0])
    with open_ledger(homes[0][0]) as engine, snapshot(engine) as session:
        growth = measure_growth(session)
    yield Measurement(f"ledger of {many:,} films, each", "", "kB", (growth.size / many / 1000,), (), at_most(0.6))


def _measure(shop: Workshop, command: Command, homes: tuple[tuple[Settings, int], ...]) -> list[tuple[Cost, ...]]:
    contenders = [partial(_run_once, shop, command, home, films) for home, films in homes]
    return alternate(min(_ROUNDS, shop.sizes.rounds), *contenders)


def _run_once(shop: Workshop, command: Command, home: Settings, films: int, _round: int) -> Cost:
    return run(command, home, shop.folder, films)


def _compare_the_rest(costs: dict[Command, list[tuple[Cost, ...]]], share: float) -> Iterator[Measurement]:
    """What reads all that there is may take as much longer as there is more, in the same memory."""
    rest = {command: both for command, both in costs.items() if not (command.is_constant or command.is_bounded)}

    def grows(command: Command) -> float:
        large, small = rest[command]
        return median(cost.processor for cost in large) / median(cost.processor for cost in small)

    def swells(command: Command) -> float:
        large, small = rest[command]
        return median(cost.megabytes for cost in large) / median(cost.megabytes for cost in small)

    slowest, widest = max(rest, key=grows), max(rest, key=swells)
    large, small = rest[slowest]
    times = tuple(cost.processor for cost in large), tuple(cost.processor for cost in small)
    yield Measurement(f"{slowest.name}, the worst of {len(rest)} others", "few films", "s", *times, at_most(share))
    large, small = rest[widest]
    peaks = tuple(cost.megabytes for cost in large), tuple(cost.megabytes for cost in small)
    yield Measurement(f"memory of {widest.name}, the worst of them", "few films", "MB", *peaks, at_most(_SAME))


def _tell(command: Command, large: tuple[Cost, ...], small: tuple[Cost, ...]) -> None:
    told = [f"{command.name:28}"]
    for costs in (large, small):
        seconds, processor, megabytes = (median(values) for values in zip(*map(astuple, costs), strict=True))
        told.append(f"{seconds:8.2f} s ({processor:.2f} of processor) {megabytes:5.0f} MB")
    print("    " + " | ".join(told), file=sys.stderr, flush=True)


def _verify(shop: Workshop, settings: Settings) -> Iterator[Measurement]:
    """The seals of every table, against a plain read of the same rows."""

    def check(_: int) -> float:
        started = time.perf_counter()
        with open_ledger(settings) as engine, snapshot(engine) as session:
            broken = next(find_broken_seals(session), None)
        if broken is not None:
            raise RuntimeError(broken)
        return time.perf_counter() - started

    ours, plain = alternate(min(_ROUNDS, shop.sizes.rounds), check, lambda _: read_plainly(settings))
    yield Measurement("seals of every row of it", "a plain read of them", "s", ours, plain, at_most(3))


def _open(shop: Workshop, films: int) -> Settings:
    """A copy of a kept home: what is measured writes into it."""
    kept = _KEPT / f"{films}-{MADE_AS}"
    if not _is_current(kept):
        shutil.rmtree(kept, ignore_errors=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        make_home_of_years(shop.template, kept, YEARS if films == YEARS.films else scale_down(films))
    home = shop.new_path("years")
    shutil.copytree(kept, home)
    return Settings(home=home, settle_seconds=0)


def _is_current(home: Path) -> bool:
    """Whether it is of this version's schema."""
    if not home.exists():
        return False
    with closing(sqlite3.connect(home / "xray.db")) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return bool(found == HEAD)
