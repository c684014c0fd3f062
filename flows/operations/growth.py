"""What grows in a home, and how fast: no fault, and known before the disk is full."""

from __future__ import annotations

from sqlalchemy import Engine

from db.engine import snapshot
from db.growth import measure_growth

_DAYS = 365
_SHOWN = 4


def say_growth(engine: Engine) -> str:
    """The size of the ledger by what takes it, and by how much it grows in a day and a year, at the pace of late."""
    with snapshot(engine) as session:
        growth = measure_growth(session)
    largest = [f"{name} {_say_size(size)}" for name, size in list(growth.by_table.items())[:_SHOWN]]
    told = f"the ledger takes {_say_size(growth.size)}" + (f" ({', '.join(largest)})" if largest else "")
    if growth.is_sparse:
        told += (
            f", {_say_size(growth.free)} of that free: `xray doctor --migrate` gives it back where the disk has room"
        )
    if growth.bytes_a_result is None:
        return told
    told += f", {growth.bytes_a_result / 1000:.2f} kB a result"
    if growth.a_day is None:
        return told
    a_day = growth.a_day * growth.bytes_a_result
    return (
        f"{told}; at {growth.a_day:,.0f} results a day it grows by {_say_size(a_day)} a day, "
        f"{_say_size(a_day * _DAYS)} a year"
    )


def _say_size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
