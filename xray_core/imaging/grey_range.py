"""From which stored value to which the grey levels of a film reach, where the file does not say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A burnt-in letter or a plate covers a few percent of a film; a dead pixel next to nothing.
_TAIL = 0.1
_REACH = 1.0


@dataclass(frozen=True, slots=True)
class DeepPicture:
    """A film at its full depth: values (height, width) uint16, the larger the brighter.

    What is `low` or less is black and what is `high` or more is white, until a reader chooses another window. Where the
    file's own display is no straight line between them, `curve` (n,) uint8 gives the grey level of each value from 0.
    """

    values: NDArray[np.uint16]
    low: int
    high: int
    curve: NDArray[np.uint8] | None = None


def find_range(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    """The darkest and the brightest value of the film itself; `counts` says how often each of the values occurs.

    They are the least and the largest value that lie no further outside the 10th and the 90th percentile than those
    lie apart: a fence as Tukey's (Exploratory Data Analysis, 1977, 2D), wider, for a film's levels are skewed. The
    commonest value has no say in the percentiles: it is the border, or a plate. So an ordinary film keeps its full
    range, and hot or dead pixels and a marker at full scale decide nothing (ilastik#436, invesalius3#745). Where all
    others are alike the range is that of all. Raises ValueError when there is no value.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    of_others = counts[order]
    of_others[of_others.argmax()] = 0
    shares = np.cumsum(of_others) / max(int(of_others.sum()), 1)
    low, high = ordered[np.minimum(np.searchsorted(shares, (_TAIL, 1 - _TAIL)), ordered.size - 1)]
    if low < high:
        reach = _REACH * (high - low)
        ordered = ordered[(ordered >= low - reach) & (ordered <= high + reach)]
    return float(ordered[0]), float(ordered[-1])


def to_levels(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Shares 0..1 as grey levels 0..255; what lies outside is black or white."""
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def stretch(stored: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """16-bit grey levels to 8 bits: the film's darkest value to 0, its brightest to 255, one table for all pixels."""
    counts = np.bincount(stored.ravel(), minlength=2**16)
    values = np.arange(2**16, dtype=np.float64)
    low, high = find_range(values[counts > 0], counts[counts > 0])
    return to_levels((values - low) / max(high - low, 1))[stored]
