"""The anatomy of a synthetic chest, as a radiograph would see it: how dense each place is, and where the lungs are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]  # float32 throughout: half the memory, half the time


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What stays the same in all X-rays of one patient; lengths in half picture widths, densities in 0..1."""

    lung_width: float
    lung_height: float
    heart_size: float
    rib_spacing: float
    rib_strength: float
    rib_slope: float
    shoulder: float
    flesh: float
    lung_density: float
    diaphragm: float
    aorta: float
    vessels: int


@dataclass(frozen=True, slots=True)
class Chest:
    """A chest seen from the front, (size, size) float32 each.

    `density` in 0..1 is what absorbs, `lungs` in 0..1 how much of a place is lung, `outward` in 0..1 how far from the
    middle towards the chest wall, `downward` in 0..1 how far from the apex to the diaphragm.
    """

    density: Plane
    lungs: Plane
    outward: Plane
    downward: Plane


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a patient."""
    return Anatomy(
        lung_width=rng.uniform(0.61, 0.67),
        lung_height=rng.uniform(0.64, 0.71),
        heart_size=rng.uniform(0.85, 1.15),
        rib_spacing=rng.uniform(0.135, 0.165),
        rib_strength=rng.uniform(0.055, 0.095),
        rib_slope=rng.uniform(0.35, 0.65),
        shoulder=rng.uniform(-0.05, 0.05),
        flesh=rng.uniform(0.50, 0.60),
        lung_density=rng.uniform(0.13, 0.20),
        diaphragm=rng.uniform(0.46, 0.54),
        aorta=rng.uniform(0.05, 0.09),
        vessels=int(rng.integers(9, 14)),
    )


def draw_chest(anatomy: Anatomy, x: Plane, y: Plane, clouds: Plane) -> Chest:
    """The chest at places x (patient's right to left) and y (downward), both -1..1 across the picture.

    `clouds` (size, size) is smooth noise around 0 that keeps outlines from being drawn with a ruler.
    """
    side = np.abs(x)
    x_rough, y_rough = x + 0.025 * clouds, y + 0.02 * clouds
    body = _draw_body(anatomy, side, y)
    lungs, outward, downward = _draw_lungs(anatomy, x_rough, y_rough)
    middle = _draw_mediastinum(anatomy, x_rough, y_rough)
    lungs *= 1 - 0.9 * middle
    flesh = anatomy.flesh + 0.05 * clouds + 0.20 * _step(y, 0.40, 0.75) * _step(-side, -0.85, -0.6)
    density = body * flesh + (anatomy.lung_density + 0.08 * outward**3 - flesh) * lungs
    density += body * (0.16 * middle + _draw_spine(side, y) + _draw_ribs(anatomy, side, y) * (1 - 0.7 * middle))
    density += lungs * _draw_vessels(anatomy, x, y, clouds)
    density += body * (_draw_clavicles(anatomy, side, y) - _draw_air(x, y))
    return Chest(density, lungs, outward, downward)


def _step(values: Plane, start: float, end: float) -> Plane:
    """0 before `start`, 1 after `end`, smooth between. In place: new memory is most of what drawing costs."""
    t = values - np.float32(start)
    t *= np.float32(1 / (end - start))
    np.clip(t, 0, 1, out=t)
    smooth = t * np.float32(-2)
    smooth += np.float32(3)
    smooth *= t
    smooth *= t
    return smooth


def _bump(distance: Plane, width: float) -> Plane:
    """1 where the distance is 0, falling off over `width`."""
    bump: Plane = np.exp(-((distance / np.float32(width)) ** 2))
    return bump


def _draw_body(anatomy: Anatomy, side: Plane, y: Plane) -> Plane:
    """Neck, shoulders and trunk; the skin thins the outline."""
    top = anatomy.shoulder
    half = 0.24 + 0.78 * _step(y, -0.98 + top, -0.55 + top) - 0.10 * _step(y, -0.3, 0.5) + 0.06 * _step(y, 0.4, 1.0)
    return _step(half - side, -0.01, 0.09)


def _draw_lungs(anatomy: Anatomy, x: Plane, y: Plane) -> tuple[Plane, Plane, Plane]:
    width, height = np.float32(anatomy.lung_width), np.float32(anatomy.lung_height)
    side, is_left = np.abs(x), x > 0
    lift = (y + 0.02) / height
    # A lung is widest low down: the outline is an ellipse that is stretched below its middle.
    outline = width * np.sqrt((1 - np.where(lift < 0, lift**2, 0.12 * lift**2)).clip(0, 1))
    inner = np.float32(0.10) + 0.05 * _step(-y, 0.45, 0.75)
    dome = anatomy.diaphragm + np.where(is_left, np.float32(0.035), np.float32(0)) + 1.5 * (side - 0.34) ** 2
    lungs = _step(outline - side, 0, 0.05) * _step(side - inner, 0, 0.05) * _step(dome - y, 0, 0.035)
    outward = ((side - inner) / (outline - inner).clip(0.1, None)).clip(0, 1)
    downward = ((y + height) / (dome + height)).clip(0, 1)
    return lungs, outward.astype(np.float32), downward.astype(np.float32)


def _draw_mediastinum(anatomy: Anatomy, x: Plane, y: Plane) -> Plane:
    """Heart, great vessels and hila, 0..1. The heart lies on the patient's left, the viewer's right."""
    size = anatomy.heart_size
    lean = x - 0.10 - 0.38 * (y - 0.25)
    heart = (lean / (0.25 * size)) ** 2 + ((y - 0.27) / (0.36 * size)) ** 2
    right_atrium = ((x + 0.07) / (0.15 * size)) ** 2 + ((y - 0.24) / 0.27) ** 2
    aorta = ((x - 0.09) / anatomy.aorta) ** 2 + ((y + 0.24) / 0.11) ** 2
    hila = ((np.abs(x) - 0.17) / 0.075) ** 2 + ((y - 0.01) / 0.13) ** 2
    column = 0.75 * _step(0.115 + 0.03 * _step(y, -0.3, 0.2) - np.abs(x), -0.03, 0.07)
    parts = np.maximum(_step(-heart, -1.25, -0.55), 0.9 * _step(-right_atrium, -1.3, -0.5))
    parts = np.maximum(parts, 0.8 * _step(-aorta, -1.5, -0.3))
    middle: Plane = np.maximum(np.maximum(parts, column), 0.45 * _step(-hila, -1.8, 0.2))
    return middle


def _draw_spine(side: Plane, y: Plane) -> Plane:
    bodies = 0.5 + 0.5 * np.cos(2 * np.pi * y / np.float32(0.145))
    spine: Plane = (0.045 + 0.04 * bodies) * _step(0.10 - side, -0.02, 0.04)
    return spine


def _draw_ribs(anatomy: Anatomy, side: Plane, y: Plane) -> Plane:
    """Posterior ribs run outward and then steeply down, anterior ribs run inward and down, fainter."""
    spacing, slope = anatomy.rib_spacing, anatomy.rib_slope
    back = y + 0.06 * np.sin(4 * side) - slope * side**2 - 0.35 * side**5
    front = y + 0.45 * side + 0.03
    cage = _step(anatomy.lung_width + 0.06 - side * (1 + 0.12 * _step(-y, 0.35, 0.7)), 0, 0.05) * _step(y, -0.80, -0.7)
    cage *= _step(-y, -0.72, -0.5)
    posterior = _draw_bands(back, spacing, 0.29) * _step(side, 0.04, 0.09)
    anterior = _draw_bands(front, 1.1 * spacing, 0.27) * _step(side, 0.26, 0.42)
    return np.float32(anatomy.rib_strength) * cage * (posterior + 0.55 * anterior)


def _draw_bands(across: Plane, spacing: float, half_width: float) -> Plane:
    """Bands that repeat at `spacing`, brighter at both edges as the cortex of a bone is."""
    place = np.abs((across / np.float32(spacing)) % 1 - np.float32(0.5))
    return _step(half_width - place, 0, 0.09) * (0.8 + 0.6 * _bump(place - (half_width - 0.06), 0.05))


def _draw_clavicles(anatomy: Anatomy, side: Plane, y: Plane) -> Plane:
    line = y + 0.60 + 0.20 * side + 0.035 * np.sin(7 * side - 1) - anatomy.shoulder * 0.5
    bone = _step(0.038 - np.abs(line), 0, 0.015) * (0.6 + 0.6 * _bump(np.abs(line) - 0.026, 0.012))
    scapula = _bump(side - 0.76 - 0.12 * (y + 0.5), 0.045) * _step(y, -0.7, -0.55) * _step(-y, 0.05, 0.25)
    return 0.11 * bone * _step(side, 0.05, 0.09) * _step(-side, -0.82, -0.7) + 0.07 * scapula


def _draw_vessels(anatomy: Anatomy, x: Plane, y: Plane, clouds: Plane) -> Plane:
    """Vessels leave the hila like the branches of a tree, thinner and fainter outward."""
    across, down = np.abs(x) - 0.16, y - 0.02
    far = np.sqrt(across**2 + down**2)
    angle = np.arctan2(down, across) + 0.5 * clouds + 0.25 * np.sin(9 * far + 3 * np.sign(x))
    trunks = np.cos(np.float32(anatomy.vessels) * angle).clip(0, 1) ** 6
    twigs = np.cos(np.float32(2 * anatomy.vessels + 3) * angle + 5 * far).clip(0, 1) ** 5
    tree: Plane = (0.11 * trunks + 0.05 * twigs * _step(far, 0.1, 0.3)) * np.exp(-far / np.float32(0.30))
    return tree


def _draw_air(x: Plane, y: Plane) -> Plane:
    """The windpipe, and the bubble of the stomach below the left half of the diaphragm."""
    windpipe = _step(0.055 - np.abs(x - 0.01), 0, 0.025) * _step(-y, 0.18, 0.3)
    stomach = ((x - 0.37) / 0.14) ** 2 + ((y - 0.68) / 0.06) ** 2
    return 0.15 * windpipe + 0.12 * _step(-stomach, -1.3, -0.4)
