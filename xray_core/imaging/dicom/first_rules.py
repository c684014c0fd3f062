"""The first rules by which stored DICOM values became grey levels. Frozen: models of then keep their very pixels.

What they got wrong stays as it was; `display.py` has today's rules.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from xray_core.errors import UnreadableXray
from xray_core.imaging.grey_range import to_levels
from xray_core.imaging.records import ScaleRule
from xray_core.records import ReasonCode

_FLAT = "all pixels are alike"


def find_padding(values: NDArray[np.integer], dataset: Dataset) -> NDArray[np.bool_]:
    """Which stored values mean "no pixel here" (PS3.3, C.7.5.1.1.2): they are shown black and never measured."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return np.zeros(values.shape, dtype=bool)
    low, high = sorted((int(padding), int(dataset.get("PixelPaddingRangeLimit", padding))))
    return np.asarray((values >= low) & (values <= high))


def build_table(
    values: NDArray[np.integer], is_used: NDArray[np.bool_], dataset: Dataset
) -> tuple[NDArray[np.uint8], ScaleRule]:
    """Grey levels of all stored values: the file's own window or table, else darkest to 0 and brightest to 255."""
    if not is_used.any():
        raise UnreadableXray(ReasonCode.NO_CONTRAST, _FLAT)
    rescaled = np.asarray(apply_modality_lut(values, dataset), dtype=np.float64)
    used = rescaled[is_used]
    if not np.isfinite(used).all():
        raise UnreadableXray(ReasonCode.NON_FINITE_PIXELS, "rescaled pixels that are no numbers")
    low, high = float(used.min()), float(used.max())
    if low == high:
        raise UnreadableXray(ReasonCode.NO_CONTRAST, _FLAT)
    if dataset.get("VOILUTSequence"):
        depth = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        looked_up = apply_voi(np.rint(rescaled).astype(np.int64), dataset)
        return to_levels(looked_up / (2**depth - 1)), ScaleRule.VOI
    if dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        return to_levels(_window(rescaled, dataset)), ScaleRule.VOI
    return to_levels((rescaled - low) / (high - low)), ScaleRule.FULL_RANGE


def _window(values: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    """The first window, to 0..1 (PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    center, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if width < 1 and not (width > 0 and function != "LINEAR"):
        raise UnreadableXray(ReasonCode.CORRUPT_DICOM, "DICOM: WindowWidth is too small to show anything")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if function == "LINEAR":
        center, width = center - 0.5, max(width - 1, 1e-9)
    elif function != "LINEAR_EXACT":
        raise UnreadableXray(ReasonCode.CORRUPT_DICOM, "DICOM: an unknown VOILUTFunction")
    return (values - center) / width + 0.5


def _first(value: object) -> float:
    """The first of a multi-valued window: the one that viewers show."""
    return float(value if isinstance(value, (int, float, str)) else value[0])  # type: ignore[index]
