"""`python -m tests.benchmarks.capacity`: what one scanning process costs, and from that what 1, 2 and 4 of them do.

Two short scans by one process give the parts: what a process costs to start, and what a film costs in all and in the
ledger. The prediction is then held against real scans by 1, 2 and 4 processes: processor time always, wall time where
no other program took a twentieth of the cores.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from dataclasses import dataclass

from flows.settings import Settings
from tests.benchmarks.stand import Cost, open_stand
from tests.benchmarks.workshop import TINY, Sizes

PROCESSES = (1, 2, 4)
WITHIN = 0.15
QUIET = 0.05
# The process itself and its decoders, as XRAY_WORKERS has them by default.
CORES_OF_A_PROCESS = 1 + Settings().workers
PER_DAY = (10_000, 1_000_000, 40_000_000)


@dataclass(frozen=True, slots=True)
class Parts:
    """Processor seconds that a process costs to start and a film costs in all, of these in the ledger, where one
    process writes at a time; seconds of wall of a start; bytes of rows."""

    start: float
    film: float
    film_in_ledger: float
    start_wall: float
    bytes_a_film: float


def find_parts(few: Cost, many: Cost, ledger_in_scanner: float) -> Parts:
    """What a process and what a film costs, by two scans of one process that differ in their films alone; pure."""
    more = many.films - few.films
    film = (many.processor - few.processor) / more
    return Parts(
        start=few.processor - film * few.films,
        film=film,
        film_in_ledger=ledger_in_scanner + (many.database - few.database) / more,
        start_wall=max(0.0, few.seconds - few.films * (many.seconds - few.seconds) / more),
        bytes_a_film=(many.grown - few.grown) / more,
    )


def predict_processor(parts: Parts, films: int, processes: int) -> float:
    """Processor seconds: every process starts, every film is done once; pure."""
    return processes * parts.start + films * parts.film


def predict_wall(parts: Parts, films: int, processes: int, cores: float) -> float:
    """Seconds until all is done: bounded by the cores or by the ledger's one writer, whichever is later; pure.

    One process keeps two cores busy, with its decoders four and more: where there are no more, further processes
    add only their start.
    """
    starting = max(parts.start_wall, processes * parts.start / cores)
    return starting + films * max(parts.film / min(cores, processes * CORES_OF_A_PROCESS), parts.film_in_ledger)


def show(parts: Parts, measured: dict[int, Cost]) -> bool:
    """The parts, the predictions beside what was measured, and what follows for a day; whether all were near enough."""
    cores, near = os.cpu_count() or 1, True
    print(f"{cores} cores, Python {platform.python_version()}")
    print(f"a process: {parts.start:.2f} s of processor time to start, {parts.start_wall:.2f} s of wall")
    print(
        f"a film: {parts.film * 1e3:.2f} ms of processor time, {parts.film_in_ledger * 1e3:.2f} ms of it in the ledger"
    )
    print("processes  films  processor s: predicted  measured  off     s: predicted  measured  off    films/s  others")
    for processes, cost in measured.items():
        work, wall = (
            predict_processor(parts, cost.films, processes),
            predict_wall(parts, cost.films, processes, cores),
        )
        taken = cost.others / cost.seconds / cores
        off = (work / cost.processor - 1, wall / cost.seconds - 1)
        near = near and abs(off[0]) <= WITHIN and (abs(off[1]) <= WITHIN or taken > QUIET)
        print(
            f"{processes:9d} {cost.films:6d} {work:23.2f} {cost.processor:9.2f} {off[0]:+5.0%} {wall:16.2f} "
            f"{cost.seconds:9.2f} {off[1]:+5.0%} {cost.films / cost.seconds:9.1f} {taken:7.0%}"
        )
    print(f"the ledger's one writer: at most {1 / parts.film_in_ledger:,.0f} films/s")
    for films in PER_DAY:
        hours, writing = films * parts.film / 3600, films * parts.film_in_ledger / 864
        print(
            f"{films:11,d} films a day: {hours:8.2f} core-hours, the writer busy for {writing:.2g} % "
            f"of it, {films * 365 * parts.bytes_a_film / 1e9:,.0f} GB of rows a year"
        )
    return near


def main() -> int:
    """Measure, predict, compare; 1 where a prediction was off by more than 15 %."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.capacity", description=__doc__)
    parser.add_argument("--films", type=int, default=1_600, help="films of each scan that is predicted (1,600)")
    parser.add_argument("--sqlite", action="store_true", help="on SQLite although a PostgreSQL server is installed")
    parser.add_argument(
        "--tiny", action="store_true", help="small pictures: shows that it runs, the figures mean nothing"
    )
    options = parser.parse_args()
    with open_stand(TINY if options.tiny else Sizes(), sqlite=options.sqlite) as stand:
        stand.measure(8, 1)  # the first one reads everything from the disk
        few, many = stand.measure(options.films // 8, 1), stand.measure(options.films // 2, 1)
        parts = find_parts(few, many, stand.measure_ledger(options.films // 8))
        near = show(parts, {processes: stand.measure(options.films, processes) for processes in PROCESSES})
    return 0 if near else 1


if __name__ == "__main__":
    sys.exit(main())
