"""Stored DICOM values to grey levels: rescale, window or table, invert (PS3.3, C.7.5, C.7.6.3, C.11.1, C.11.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xray_core.errors import UnreadableXray
from xray_core.imaging.dicom import first_rules
from xray_core.imaging.dicom.tags import DAMAGE, is_given, read_integer, read_number, read_text, read_values
from xray_core.imaging.grey_range import DeepPicture, find_range, to_levels
from xray_core.imaging.lookup_tables import read_lookup_table
from xray_core.imaging.records import Flag, GreyRules, ScaleRule
from xray_core.records import ReasonCode

_FLAT = "all pixels are alike"
# A window shows nothing of a film where its levels span less than this, or fewer pixels are neither black nor white.
_LEAST_SPAN = 16
_LEAST_SHOWN = 0.15
# So many pixels are enough to know percentiles.
_SAMPLE = 2**20
# A display whose levels are no further from a straight line is one.
_STRAIGHT = 2
_DISPLAY_TAGS = ("VOILUTSequence", "WindowCenter", "WindowWidth")


@dataclass(frozen=True, slots=True)
class GreyPicture:
    """Grey levels (height, width) uint8, white is dense; the rule that made them, and what is worth knowing of it."""

    levels: NDArray[np.uint8]
    rule: ScaleRule
    flags: frozenset[Flag] = frozenset()


@dataclass(frozen=True, slots=True)
class _Codes:
    """Every possible stored value of this many bits, in the order of its bit pattern (n,): what it means and whether
    and how often (in a sample of the pixels) it occurs as part of the film."""

    values: NDArray[np.integer]
    is_used: NDArray[np.bool_]
    counts: NDArray[np.int64]


def show_pixels(stored: NDArray[np.integer], dataset: Dataset, rules: GreyRules) -> GreyPicture:
    """One table from every possible stored value to its grey level, looked up for all pixels at once.

    Padding is black and never measured; MONOCHROME1 is inverted last (PS3.3, C.7.6.3.1.2). What the first rules
    cannot show they never scored: then today's are used. Raises UnreadableXray, or one of DAMAGE.
    """
    codes, values = _list_codes(stored)
    table, rule, flags, is_padding = _build(codes, values, dataset, rules)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        table = 255 - table
    table[is_padding] = 0
    return GreyPicture(table[codes], rule, flags | _contradictions(dataset))


def deepen_pixels(stored: NDArray[np.integer], dataset: Dataset) -> DeepPicture:
    """The modality's values of all pixels as 16 bits, and the window in which the file's own display is linear.

    Whole numbers keep their distances; others, and spans beyond 16 bits, are spread over all 16. A display that falls
    where values rise (MONOCHROME1, a falling table) is turned over, so that larger is brighter. Padding is 0.
    Raises UnreadableXray, or one of DAMAGE.
    """
    codes, values = _list_codes(stored)
    levels, _, _, is_padding = _build(codes, values, dataset, GreyRules.V2)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        levels = 255 - levels
    is_used = np.zeros(values.shape, dtype=bool)
    is_used[codes] = True
    is_used &= ~is_padding
    rescaled = _rescale(_Codes(values, is_used, is_used.astype(np.int64)), dataset)
    deep = _spread(rescaled, rescaled[is_used])
    used, shown = deep[is_used], levels[is_used]
    if shown[used.argmin()] > shown[used.argmax()]:
        deep = used.max() - np.minimum(deep, used.max())
        used = deep[is_used]
    deep[is_padding] = 0
    low, high = int(used[shown == 0].max(initial=0)), int(used[shown == 255].min(initial=used.max()))
    return DeepPicture(deep[codes], min(low, high - 1), high, _bend(used, shown, low, high))


def _bend(values: NDArray[np.uint16], levels: NDArray[np.uint8], low: int, high: int) -> NDArray[np.uint8] | None:
    """The levels of all values from 0, or None where a straight line from `low` to `high` says the same."""
    straight = to_levels((values - float(low)) / max(high - low, 1))
    if int(np.abs(straight.astype(np.int16) - levels).max()) <= _STRAIGHT:
        return None
    order = np.argsort(values, kind="stable")
    bent = np.interp(np.arange(int(values.max()) + 1), values[order], levels[order])
    return np.rint(bent).astype(np.uint8)


def _spread(values: NDArray[np.float64], used: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Values as 16 bits, the least that occurs as 0."""
    low, span = float(used.min()), float(used.max() - used.min())
    is_whole = span < 2**16 and bool((used == np.rint(used)).all())
    scale = 1.0 if is_whole else (2**16 - 1) / span
    shares = np.nan_to_num(values - low) * scale
    return np.rint(np.clip(shares, 0, 2**16 - 1)).astype(np.uint16)


def _list_codes(stored: NDArray[np.integer]) -> tuple[NDArray[np.unsignedinteger], NDArray[np.integer]]:
    """The pixels' bit patterns, and every possible stored value in the order of its bit pattern."""
    codes = stored.view(f"u{stored.dtype.itemsize}")
    return codes, np.arange(2 ** (8 * stored.dtype.itemsize), dtype=codes.dtype).view(stored.dtype)


def _build(
    codes: NDArray[np.unsignedinteger], values: NDArray[np.integer], dataset: Dataset, rules: GreyRules
) -> tuple[NDArray[np.uint8], ScaleRule, frozenset[Flag], NDArray[np.bool_]]:
    """The table before it is inverted, its rule and flags, and which values are padding."""
    is_used = np.zeros(values.shape, dtype=bool)
    is_used[codes] = True
    if rules is GreyRules.V1:
        with suppress(UnreadableXray, *DAMAGE):
            is_padding = first_rules.find_padding(values, dataset)
            return *first_rules.build_table(values, is_used & ~is_padding, dataset), frozenset(), is_padding
    is_padding = _find_padding(values, dataset)
    step = max(1, round((codes.size / _SAMPLE) ** 0.5))
    counts = np.bincount(codes[::step, ::step].ravel(), minlength=values.size)
    return *_build_table(_Codes(values, is_used & ~is_padding, counts), dataset), is_padding


def _contradictions(dataset: Dataset) -> frozenset[Flag]:
    """The photometric interpretation decides; a Presentation LUT Shape can only say the same (PS3.3, C.8.11.3.1.2)."""
    shape = read_text(dataset, "PresentationLUTShape").upper()
    expected = "INVERSE" if dataset.PhotometricInterpretation == "MONOCHROME1" else "IDENTITY"
    return frozenset({Flag.PRESENTATION_IGNORED} if shape in {"INVERSE", "IDENTITY"} - {expected} else ())


def _find_padding(values: NDArray[np.integer], dataset: Dataset) -> NDArray[np.bool_]:
    """Which stored values mean "no pixel here" (PS3.3, C.7.5.1.1.2).

    Padding value and limit have the type of the pixels, whatever VR they were written with: their bit patterns
    count (dicom-rs#460, dcm4che#1368).
    """
    padding = read_integer(dataset, "PixelPaddingValue")
    if padding is None:
        return np.zeros(values.shape, dtype=bool)
    limit = read_integer(dataset, "PixelPaddingRangeLimit")
    ends = (_as_stored(end, values, dataset) for end in (padding, padding if limit is None else limit))
    low, high = sorted(ends)
    return np.asarray((values >= low) & (values <= high))


def _as_stored(value: int, values: NDArray[np.integer], dataset: Dataset) -> int:
    """What a tag's value is as a pixel: the same bits, or the same Bits Stored where the pixels are signed."""
    as_pixel = int(values[value % values.size])
    bits = int(dataset.BitsStored)
    is_unsigned_pattern = dataset.PixelRepresentation == 1 and 2 ** (bits - 1) <= as_pixel < 2**bits
    return as_pixel - 2**bits if is_unsigned_pattern else as_pixel


def _build_table(codes: _Codes, dataset: Dataset) -> tuple[NDArray[np.uint8], ScaleRule, frozenset[Flag]]:
    """Grey levels of all stored values: by the file's own table or window, else by the film's own range.

    A table or window that cannot be used (no number, not finite, nothing of the film in it) damages no film: the
    range is used and a flag says so, as viewers do (fo-dicom#1757).
    """
    if not codes.is_used.any():
        raise UnreadableXray(ReasonCode.NO_CONTRAST, _FLAT)
    rescaled = _rescale(codes, dataset)
    used = rescaled[codes.is_used]
    if not np.isfinite(used).all():
        raise UnreadableXray(ReasonCode.NON_FINITE_PIXELS, "rescaled pixels that are no numbers")
    low, high = find_range(used, codes.counts[codes.is_used])
    if low == high:
        raise UnreadableXray(ReasonCode.NO_CONTRAST, _FLAT)
    is_film = codes.is_used & (rescaled >= low) & (rescaled <= high)
    for shares in _read_displays(rescaled, codes.is_used, dataset):
        levels = to_levels(shares)
        if _shows(levels[is_film], codes.counts[is_film]):
            return levels, ScaleRule.VOI, frozenset()
    is_ignored = any(is_given(dataset, keyword) for keyword in _DISPLAY_TAGS)
    flags = frozenset({Flag.WINDOW_IGNORED} if is_ignored else ())
    return to_levels((rescaled - low) / (high - low)), ScaleRule.FULL_RANGE, flags


def _rescale(codes: _Codes, dataset: Dataset) -> NDArray[np.float64]:
    """Stored values to the modality's values: by its table, else by slope and intercept (PS3.3, C.11.1)."""
    table = read_lookup_table(dataset, "ModalityLUTSequence")
    if table is not None:
        return table.look_up(codes.values.astype(np.int64), codes.is_used)
    slope, intercept = read_number(dataset, "RescaleSlope", 1), read_number(dataset, "RescaleIntercept", 0)
    return codes.values.astype(np.float64) * slope + intercept


def _read_displays(
    rescaled: NDArray[np.float64], is_used: NDArray[np.bool_], dataset: Dataset
) -> Iterator[NDArray[np.float64]]:
    """What the file's own table and windows make of the values, in 0..1, as far as they can be read.

    The table goes first, then the first window that serves; one view is enough (PS3.3, C.11.2.1).
    """
    with suppress(*DAMAGE):
        table = read_lookup_table(dataset, "VOILUTSequence")
        if table is not None and table.entries.any():
            values = np.rint(np.clip(np.nan_to_num(rescaled), -(2**40), 2**40)).astype(np.int64)
            yield table.look_up(values, is_used) / float(table.entries.max())
    with suppress(*DAMAGE):
        function = read_text(dataset, "VOILUTFunction").upper() or "LINEAR"
        centers, widths = read_values(dataset, "WindowCenter"), read_values(dataset, "WindowWidth")
        for center, width in zip(centers, widths, strict=False):
            shares = _apply_window(rescaled, float(center), float(width), function)  # type: ignore[arg-type]
            if shares is not None:
                yield shares


def _apply_window(
    values: NDArray[np.float64], center: float, width: float, function: str
) -> NDArray[np.float64] | None:
    """One window, to 0..1 (PS3.3, C.11.2.1.2 and C.11.2.1.3); None where it is no window."""
    if not (np.isfinite(center) and np.isfinite(width) and width > 0):
        return None
    match function:
        case "SIGMOID":
            return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
        case "LINEAR" if width >= 1:
            return (values - (center - 0.5)) / max(width - 1, 1e-9) + 0.5
        case "LINEAR_EXACT":
            return (values - center) / width + 0.5
    return None


def _shows(levels: NDArray[np.uint8], counts: NDArray[np.int64]) -> bool:
    is_grey = (levels > 0) & (levels < 255)
    has_span = int(levels.max()) - int(levels.min()) >= _LEAST_SPAN
    return has_span and int(counts[is_grey].sum()) >= _LEAST_SHOWN * int(counts.sum())
