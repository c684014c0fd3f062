"""Random shear, zoom and mirroring of training X-rays, as the tutorial's ImageDataGenerator does it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xray_core.networks.quiet_keras import tf


def augment(
    grey: NDArray[np.uint8], random: np.random.Generator, *, shear: float, zoom: float, horizontal_flip: bool
) -> NDArray[np.uint8]:
    """Transform each of (n, height, width) uint8 by its own random shear, zoom and mirroring.

    The ranges mean what they mean to Keras's ImageDataGenerator: `shear` is in *degrees* either way (so the
    tutorial's 0.2 is a fifth of a degree: hardly anything), `zoom` draws a factor in 1-zoom..1+zoom for
    each axis by itself, and mirroring happens to every other X-ray. Pixels from beyond the edge
    repeat the edge. Interpolation is bilinear.
    """
    transforms = _draw_transforms(grey.shape, random, shear=shear, zoom=zoom, horizontal_flip=horizontal_flip)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=grey[..., np.newaxis].astype(np.float32),
        transforms=transforms,
        output_shape=grey.shape[1:],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    # Asked for bytes, the operation cuts off the fraction and darkens every X-ray by half a grey level.
    rounded: NDArray[np.uint8] = np.rint(moved.numpy()[..., 0]).astype(np.uint8)
    return rounded


def _draw_transforms(
    shape: tuple[int, ...], random: np.random.Generator, *, shear: float, zoom: float, horizontal_flip: bool
) -> NDArray[np.float32]:
    """One row a0..c1 per X-ray: output pixel (x, y) is read from (a0 x + a1 y + a2, b0 x + b1 y + b2)."""
    count, height, width = shape
    angle = np.deg2rad(random.uniform(-shear, shear, count))
    zoom_x, zoom_y = random.uniform(1 - zoom, 1 + zoom, (2, count))
    mirror = np.where(random.random(count) < 0.5, -1.0, 1.0) if horizontal_flip else np.ones(count)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    rows = np.zeros((count, 8), dtype=np.float64)
    rows[:, 0] = zoom_x * mirror
    rows[:, 1] = -np.sin(angle) * zoom_y
    rows[:, 2] = centre_x - rows[:, 0] * centre_x - rows[:, 1] * centre_y
    rows[:, 4] = np.cos(angle) * zoom_y
    rows[:, 5] = centre_y - rows[:, 4] * centre_y
    return rows.astype(np.float32)
