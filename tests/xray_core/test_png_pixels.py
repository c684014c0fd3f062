"""Pixels stored for Pillow are the pixels that the file holds."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from xray_core.png_layout import read_png_layout
from xray_core.png_pixels import store_pixels


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_with_stored_pixels_shows_the_same_picture(mode: str) -> None:
    content = draw_png(mode)

    stored = store_pixels(content, read_png_layout(content))

    assert stored is not content
    assert show(stored) == show(content)


def test_a_palette_of_few_colours_with_packed_pixels_shows_the_same_picture() -> None:
    few = Image.fromarray(np.arange(77 * 50, dtype=np.uint8).reshape(50, 77) % 3, "P")
    few.putpalette([0, 0, 0, 90, 90, 90, 255, 255, 255])
    content = to_png(few)

    stored = store_pixels(content, read_png_layout(content))

    assert read_png_layout(content).bit_depth == 2
    assert show(stored) == show(content)


def test_pixels_that_cannot_be_inflated_are_left_to_pillow() -> None:
    content = draw_png("L")
    layout = read_png_layout(content)
    damaged = content[: layout.pixels_start + 20] + b"\xff" * 30 + content[layout.pixels_start + 50 :]
    parts = (memoryview(damaged)[layout.pixels_start + 8 : layout.pixels_start + 8 + len(layout.pixel_parts[0])],)

    assert store_pixels(damaged, replace(layout, pixel_parts=parts)) is damaged


def test_a_stream_that_ends_before_the_last_row_is_left_to_pillow() -> None:
    short, tall = draw_png("L", height=40), draw_png("L", height=50)
    layout = replace(read_png_layout(tall), pixel_parts=read_png_layout(short).pixel_parts)

    assert store_pixels(tall, layout) is tall


def test_a_very_large_picture_is_left_to_pillow() -> None:
    content = draw_png("L")
    layout = read_png_layout(content)
    large = replace(layout, width=2**26)

    assert store_pixels(content, large) is content


def draw_png(mode: str, height: int = 50) -> bytes:
    levels = np.random.default_rng(3).integers(0, 256, (height, 77), dtype=np.uint8)
    if mode == "I;16":
        return to_png(Image.fromarray(levels.astype(np.uint16) * 200))
    return to_png(Image.fromarray(levels).convert(mode))


def to_png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def show(content: bytes) -> tuple[str, bytes]:
    with Image.open(BytesIO(content)) as image:
        return image.mode, image.tobytes()
