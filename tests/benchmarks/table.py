"""The measurements as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measurement import Measurement


def show_table(measurements: Sequence[Measurement]) -> None:
    """Medians, ratios and what each must reach, on standard output."""
    table = Table(title=f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}, Python {platform.python_version()}")
    for heading in ("what", "against"):
        table.add_column(heading, overflow="fold")
    for heading in ("service", "peer", "ratio", "must reach", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in measurements:
        table.add_row(*_cells(one))
    Console(width=None if os.isatty(1) else 150).print(table)


def to_json(measurements: Sequence[Measurement]) -> str:
    """Everything that was measured, and on what kind of machine."""
    machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "python": platform.python_version()}
    return json.dumps({"machine": machine, "measurements": [one.as_json() for one in measurements]}, indent=2)


def _cells(one: Measurement) -> list[str]:
    peer = f"{_figure(median(one.peer))} {one.unit}" if one.peer else ""
    ratio = f"{one.ratio:.2f}" if one.peer else ""
    return [
        one.what,
        one.against,
        f"{_figure(median(one.service))} {one.unit}",
        peer,
        ratio,
        f"{one.bound}{'' if one.peer else ' ' + one.unit}",
        "yes" if one.is_reached else "NO",
    ]


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"
