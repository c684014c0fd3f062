"""The one reader of DICOM lookup tables: modality and VOI tables in all the forms that are sent.

PS3.3, C.11.1.1 and C.11.2.1.1. The LUT Descriptor's three numbers are the number of entries (0 means 65,536), the
first value that is mapped, and the bits of an entry: 8, or 10 to 16 in 16. What is sent in practice departs from
that, and is read as viewers read it:

* 12 and other bits of a modality table (pydicom#2317) are held in 16 bits each, like those of a VOI table;
* entries of 8 bits are packed two to a word, the first in the low byte, or stand in a word each;
* the first value has the sign of what is looked up, whatever VR it was written with;
* a table that is longer than announced is cut, one that is shorter ends where it ends;
* a VOI table that never reaches the announced bits is white at its largest entry (dicom-rs#825, cornerstone#106).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xray_core.imaging.dicom.tags import read_items, read_values


@dataclass(frozen=True, slots=True)
class LookupTable:
    """Entries (n,) uint16, and the first value that is mapped in 0..65535: its sign is that of what is looked up."""

    entries: NDArray[np.uint16]
    first: int

    def look_up(self, values: NDArray[np.int64], is_used: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The entry of each value; values before the first are given the first entry, those after the last the last.

        `is_used` says which of the values (same shape) occur: they tell the sign of the first value.
        """
        places = np.clip(values - self._find_first(values[is_used]), 0, self.entries.size - 1)
        return self.entries[places].astype(np.float64)

    def _find_first(self, used: NDArray[np.int64]) -> int:
        """The first value as unsigned or signed: the one whose table meets more of what occurs."""
        negative = self.first - 2**16
        if self.first < 2**15:
            return self.first

        def count(first: int) -> int:
            return int(np.count_nonzero((used >= first) & (used < first + self.entries.size)))

        met, met_negative = count(self.first), count(negative)
        if met == met_negative:
            return negative if used.size and used.min() < 0 else self.first
        return self.first if met > met_negative else negative


def read_lookup_table(dataset: Dataset, keyword: str) -> LookupTable | None:
    """The first table of a sequence that has entries, or None: absent. Raises ValueError on a descriptor of no use."""
    for item in read_items(dataset, keyword):
        descriptor, data = read_values(item, "LUTDescriptor"), read_values(item, "LUTData")
        if descriptor and data:
            length, first, bits = _read_descriptor(descriptor)
            return LookupTable(_read_entries(data, length or 2**16, bits), first)
    return None


def _read_descriptor(values: Sequence[object]) -> tuple[int, int, int]:
    """Three numbers in 0..65535, whatever sign they were written with."""
    if isinstance(values[0], bytes):
        values = np.frombuffer(values[0][:6], "<u2").tolist()
    if len(values) != 3:
        raise ValueError("a LUT Descriptor has three values")
    length, first, bits = (int(value) % 2**16 for value in values)  # type: ignore[call-overload]
    return length, first, bits


def _read_entries(data: Sequence[object], length: int, bits: int) -> NDArray[np.uint16]:
    """At most `length` entries from words or bytes; two to a word where there are too few words for one each."""
    if isinstance(data[0], bytes):
        stored = data[0]
    else:
        stored = (np.array(data, dtype=np.int64) % 2**16).astype("<u2").tobytes()
    is_packed = length <= len(stored) <= length + length % 2 and (bits <= 8 or length > 2)
    entries = np.frombuffer(stored[: len(stored) // 2 * 2], "u1" if is_packed else "<u2")[:length]
    if entries.size == 0:
        raise ValueError("a lookup table without entries")
    return entries.astype(np.uint16)
