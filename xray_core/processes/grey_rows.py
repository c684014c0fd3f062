"""Fitted X-rays as rows that lie where they are until they are asked for: in memory, or in a memory map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Chosen = slice | NDArray[np.bool_] | NDArray[np.integer] | Sequence[int]


@dataclass(frozen=True, slots=True)
class GreyRows:
    """X-rays, each (height, width) uint8; a choice of them is an array of its own (n, height, width)."""

    rows: tuple[NDArray[np.uint8], ...]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Chosen) -> NDArray[np.uint8]:
        rows = [self.rows[place] for place in np.arange(len(self.rows))[chosen].tolist()]
        return np.stack(rows) if rows else np.empty((0, *self.size), dtype=np.uint8)


Greys = NDArray[np.uint8] | GreyRows


def choose_some(count: int, most: int) -> NDArray[np.intp]:
    """The places, in order, of at most so many of `count` films, by a chance that is always the same one."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def join_rows(parts: Sequence[GreyRows]) -> GreyRows:
    """The X-rays of several parts of one size, one part after the other; none of them is read."""
    return GreyRows(tuple(row for part in parts for row in part.rows), parts[0].size)
