"""Four ways in which files arrive, each seen half written for a while by whoever looks."""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path

import numpy as np
from PIL import Image

from xray_core.records import Label
from xray_core.synthetic.xrays import draw_xray

_PIECES = 4


def append(path: Path, content: bytes, *, pause: float) -> None:
    """Piece after piece at the end, as a slow network copy does."""
    with path.open("wb", buffering=0) as file:
        for start, end in _cut(content):
            file.write(content[start:end])
            time.sleep(pause)


def preallocate(path: Path, content: bytes, *, pause: float) -> None:
    """The full size from the start, zeros where nothing was written yet."""
    with path.open("wb", buffering=0) as file:
        file.truncate(len(content))
        for start, end in _cut(content):
            time.sleep(pause)
            file.seek(start)
            file.write(content[start:end])


def rename(path: Path, content: bytes, *, pause: float) -> None:
    """Under another name until it is whole."""
    part = path.with_name(f"{path.name}.part")
    append(part, content, pause=pause)
    part.rename(path)


def copy(path: Path, content: bytes, *, pause: float) -> None:
    """In one go from elsewhere, with the time of the original."""
    time.sleep(pause)
    original = path.with_name(f".{path.name}")
    original.write_bytes(content)
    shutil.copy2(original, path)
    original.unlink()


WRITERS = (append, preallocate, rename, copy)


def draw_file(rng: np.random.Generator, ending: str) -> bytes:
    """The bytes of an X-ray that no other call draws."""
    file = io.BytesIO()
    Image.fromarray(draw_xray(rng, Label.NORMAL, 96)).save(file, format="PNG" if ending == ".png" else "JPEG")
    return file.getvalue()


def _cut(content: bytes) -> list[tuple[int, int]]:
    size = -(-len(content) // _PIECES)
    return [(start, min(start + size, len(content))) for start in range(0, len(content), size)]
