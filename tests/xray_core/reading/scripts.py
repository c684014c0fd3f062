"""What a page makes of a film's script, in Python: the oracle of its decoder."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_call(script: bytes) -> tuple[str, list[Any]]:
    """The function that a script calls, and with what."""
    function, _, values = script.decode("ascii").strip().removeprefix("Xray.").removesuffix(");").partition("(")
    return function, json.loads(f"[{values}]")


def unpack_film(script: bytes) -> NDArray[np.uint16]:
    """The values (height, width) of a film's script."""
    function, (_, width, height, _, _, _, text, _) = read_call(script)
    assert function == "film"
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text), wbits=-15), np.uint8).astype(np.uint16)
    low, high = planes.reshape(2, height, width)
    return np.cumsum(low + 256 * high, axis=0, dtype=np.uint16)
