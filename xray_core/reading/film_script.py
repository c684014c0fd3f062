"""A film as a script file: what a page can load from a folder as well as from a server, at full depth.

From a folder (`file://`) a browser neither fetches nor lets a script read a picture's pixels; a script it runs.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray_core.imaging.grey_range import DeepPicture
from xray_core.records import Refusal

_LEVEL = 1  # of zlib: the next ones take three times as long for a tenth less


def write_film_script(name: str, film: DeepPicture) -> bytes:
    """`Xray.film(name, width, height, low, high, top, "...", "...")`: a call that a page of ours answers.

    The first text is base64 of the deflated (RFC 1951) differences of each row to the one above, modulo 65,536, as two
    planes: all low bytes, then all high bytes. `low` and `high` are the window, `top` the largest value.
    The second is the curve in the same way, undivided, and empty where there is none.
    """
    values = film.values
    differences = np.diff(values, axis=0, prepend=np.zeros((1, values.shape[1]), np.uint16))  # wraps around
    planes = np.ascontiguousarray(differences, dtype="<u2").view(np.uint8).reshape(-1, 2).T
    curve = "" if film.curve is None else _pack(film.curve)
    height, width = values.shape
    return write_call("film", name, width, height, film.low, film.high, int(values.max()), _pack(planes), curve)


def _pack(array: NDArray[np.unsignedinteger]) -> str:
    deflater = zlib.compressobj(_LEVEL, wbits=-15)
    return base64.b64encode(deflater.compress(array.tobytes()) + deflater.flush()).decode("ascii")


def write_missing_script(name: str, refusal: Refusal) -> bytes:
    """The script of a film that cannot be shown: `Xray.missing(name, code, words)`; neither names a file or person."""
    return write_call("missing", name, refusal.reason.value, refusal.detail)


def write_call(function: str, *values: Any) -> bytes:
    """A script of one call of a function of the page; whatever the values hold, they stay values."""
    given = ", ".join(json.dumps(value, ensure_ascii=True).replace("<", "\\u003c") for value in values)
    return f"Xray.{function}({given});\n".encode("ascii")
