"""Random changes of training X-rays: the tutorial's shear, zoom and mirror, and far stronger ones.

A network that has seen films at any exposure, size and place has less to go by that tells where a film comes from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xray_core.networks.quiet_keras import tf
from xray_core.networks.records import AugmentationRanges

_Grey = NDArray[np.uint8]
_Random = np.random.Generator


def augment(grey: _Grey, random: _Random, ranges: AugmentationRanges) -> _Grey:
    """Transform each of (n, height, width) uint8 by its own draws from the ranges.

    Shear, zoom and mirroring mean what they mean to Keras's ImageDataGenerator: shear is in *degrees* either way (so
    the tutorial's 0.2 is a fifth of a degree: hardly anything), and mirroring happens to every other X-ray. Pixels from
    beyond the edge repeat the edge. Interpolation is bilinear. The intensity is changed after that, by one table of
    256 grey levels for each X-ray, and regions are inverted last. What is not drawn takes nothing from `random`: the
    tutorial's ranges draw what they always drew.
    """
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=grey[..., np.newaxis].astype(np.float32),
        transforms=_draw_transforms(grey.shape, random, ranges),
        output_shape=grey.shape[1:],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    # Asked for bytes, the operation cuts off the fraction and darkens every X-ray by half a grey level.
    rounded: _Grey = np.rint(moved.numpy()[..., 0]).astype(np.uint8)
    return _invert_regions(_change_intensity(rounded, random, ranges), random, ranges)


def _draw_transforms(shape: tuple[int, ...], random: _Random, ranges: AugmentationRanges) -> NDArray[np.float32]:
    """One row a0..c1 per X-ray: output pixel (x, y) is read from (a0 x + a1 y + a2, b0 x + b1 y + b2)."""
    count, height, width = shape
    angle = np.deg2rad(random.uniform(-ranges.shear, ranges.shear, count))
    zoom_x, zoom_y = random.uniform(1 - ranges.zoom, 1 + ranges.zoom, (2, count))
    mirror = np.where(random.random(count) < 0.5, -1.0, 1.0) if ranges.horizontal_flip else np.ones(count)
    stretch = np.zeros((count, 2, 2))
    stretch[:, 0, 0] = zoom_x * mirror
    stretch[:, 0, 1] = -np.sin(angle) * zoom_y
    stretch[:, 1, 1] = np.cos(angle) * zoom_y
    stretch = _turn_and_scale(stretch, random, ranges)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    off_x, off_y = (_draw(random, (-ranges.shift, ranges.shift), count) for _ in range(2))
    rows = np.zeros((count, 8), dtype=np.float64)
    rows[:, 0:2], rows[:, 3:5] = stretch[:, 0], stretch[:, 1]
    rows[:, 2] = centre_x - rows[:, 0] * centre_x - rows[:, 1] * centre_y + off_x * width
    rows[:, 5] = centre_y - rows[:, 3] * centre_x - rows[:, 4] * centre_y + off_y * height
    return rows.astype(np.float32)


def _turn_and_scale(stretch: NDArray[np.float64], random: _Random, ranges: AugmentationRanges) -> NDArray[np.float64]:
    """The maps (n, 2, 2) turned and scaled about the middle."""
    turn = np.deg2rad(_draw(random, (-ranges.rotation, ranges.rotation), len(stretch)))
    scale = _draw(random, ranges.scale, len(stretch))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
    both: NDArray[np.float64] = np.einsum("ijn,njk->nik", turned, stretch)
    return both


def _change_intensity(grey: _Grey, random: _Random, ranges: AugmentationRanges) -> _Grey:
    """Gamma, then contrast about the middle grey, then brightness; every X-ray by a table of its own."""
    count = len(grey)
    gamma = np.exp(_draw(random, (np.log(ranges.gamma[0]), np.log(ranges.gamma[1])), count))
    contrast = _draw(random, ranges.contrast, count)
    brightness = _draw(random, (-ranges.brightness, ranges.brightness), count)
    if (gamma == 1).all() and (contrast == 1).all() and (brightness == 0).all():
        return grey
    levels = (np.arange(256) / 255) ** gamma[:, np.newaxis]
    levels = (levels - 0.5) * contrast[:, np.newaxis] + 0.5 + brightness[:, np.newaxis]
    table = np.rint(levels.clip(0, 1) * 255).astype(np.uint8)
    return np.stack([row[film] for row, film in zip(table, grey, strict=True)])


def _invert_regions(grey: _Grey, random: _Random, ranges: AugmentationRanges) -> _Grey:
    """Turn bright and dark round in none to so many rectangles of each X-ray, in place."""
    if not ranges.inverted_regions:
        return grey
    count, *sides = grey.shape
    wanted = random.integers(0, ranges.inverted_regions + 1, (count, 1))
    shares = random.uniform(*ranges.inverted_side, (count, ranges.inverted_regions, 2))
    places = random.random((count, ranges.inverted_regions, 2))
    lengths = np.maximum(1, np.rint(shares * sides)).astype(np.intp)
    starts = (places * (np.array(sides) - lengths + 1)).astype(np.intp)
    boxes = np.concatenate([starts, starts + lengths], axis=2)
    for film, region in np.argwhere(np.arange(ranges.inverted_regions) < wanted).tolist():
        top, left, bottom, right = boxes[film, region].tolist()
        grey[film, top:bottom, left:right] ^= 255
    return grey


def _draw(random: _Random, between: tuple[float, float], count: int) -> NDArray[np.float64]:
    """(n,) drawn evenly; where there is nothing to choose, nothing is drawn."""
    return random.uniform(*between, count) if between[0] < between[1] else np.full(count, between[0])
