"""The one reader of optional DICOM tags: a tag that is there but empty says nothing, so it counts as absent.

PS3.5, 7.4.3 and 7.4.5: an optional element may be of zero length, and anonymisers leave many such (pydicom#1237,
highdicom#418). A tag that holds something else than it may raises one of `DAMAGE`.
"""

from __future__ import annotations

import struct

from pydicom import Dataset, Sequence
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue

from xray_core.errors import UnreadableXray
from xray_core.records import ReasonCode

# What pydicom and its decoders raise on damaged data: seen in practice, several for each kind of damage
# (RecursionError and NotImplementedError are RuntimeErrors, numpy's UFuncTypeError a TypeError).
DAMAGE = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def read_values(dataset: Dataset, keyword: str) -> list[object]:
    """All values of a tag that are not empty, in their order."""
    value = dataset.get(keyword)
    values = list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]
    return [value for value in values if value is not None and value != b"" and str(value).strip()]


def is_given(dataset: Dataset, keyword: str) -> bool:
    """Whether a tag holds anything, even what cannot be read."""
    try:
        value = dataset.get(keyword)
    except DAMAGE:
        return True
    return bool(len(value)) if isinstance(value, Sequence) else bool(read_values(dataset, keyword))


def read_text(dataset: Dataset, keyword: str) -> str:
    """A tag as text, several values as pydicom writes a list; empty where it is absent."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def read_number(dataset: Dataset, keyword: str, default: float) -> float:
    """The first number of a tag, or the default where it is absent; it may be infinite or no number."""
    values = read_values(dataset, keyword)
    return float(values[0]) if values else default  # type: ignore[arg-type]


def read_integer(dataset: Dataset, keyword: str) -> int | None:
    """The first whole number of a tag that has the type of the pixels or of none (US, SS, IS); None where absent."""
    values = read_values(dataset, keyword)
    if not values:
        return None
    value = values[0]
    return int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)  # type: ignore[call-overload]


def read_items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence that hold anything; none where it is absent."""
    return [item for item in dataset.get(keyword) or () if len(item)]


def corrupt(detail: str) -> UnreadableXray:
    """A refusal for good; only words of ours, for pydicom's can quote a tag."""
    return UnreadableXray(ReasonCode.CORRUPT_DICOM, f"DICOM: {detail}")
