"""Random changes of training X-rays: the tutorial's are as they were, the strong ones keep to their ranges."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from xray_core.networks.augmentation import augment
from xray_core.networks.records import RANGES, Augmentation, AugmentationRanges

pytestmark = pytest.mark.keras

STILL = AugmentationRanges(shear=0, zoom=0, horizontal_flip=False)


def draw_noise(count: int, *, size: tuple[int, int] = (30, 30), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *size), dtype=np.uint8)


def test_the_tutorials_augmentation_gives_what_it_gave_before_there_was_another() -> None:
    random = np.random.default_rng(7)

    moved = augment(draw_noise(40, size=(50, 60), seed=3), random, RANGES[Augmentation.TUTORIAL])

    # From the code as it was then, and the next number of its generator: nothing more was drawn.
    assert hashlib.sha256(moved.tobytes()).hexdigest().startswith("cabc2e12793647ff67d9216f")
    assert random.integers(1 << 60) == 245466436494096013


def test_one_seed_gives_one_strong_augmentation_and_another_seed_another() -> None:
    images = draw_noise(6)

    def strong(seed: int) -> NDArray[np.uint8]:
        return augment(images, np.random.default_rng(seed), RANGES[Augmentation.STRONG])

    np.testing.assert_array_equal(strong(1), strong(1))
    assert (strong(1) != strong(2)).any()


def test_gamma_contrast_and_brightness_change_grey_levels_by_their_formula() -> None:
    images = draw_noise(2)

    moved = augment(images, np.random.default_rng(0), replace(STILL, gamma=(2, 2), contrast=(0.5, 0.5), brightness=0.0))

    expected = ((images / 255) ** 2 - 0.5) * 0.5 + 0.5
    assert np.abs(moved - expected * 255).max() <= 0.5


def test_intensities_stay_within_their_ranges_and_every_xray_has_its_own() -> None:
    images = np.full((400, 2, 2), 128, dtype=np.uint8)
    middle = 128 / 255

    darkened = augment(images, np.random.default_rng(0), replace(STILL, gamma=(0.5, 2)))[:, 0, 0]
    brightened = augment(images, np.random.default_rng(0), replace(STILL, brightness=0.15))[:, 0, 0]

    assert darkened.min() >= round(middle**2 * 255)
    assert darkened.max() <= round(middle**0.5 * 255)
    assert 170 <= (darkened < 128).sum() <= 230  # as often up as down
    assert np.ptp(brightened) > 70
    assert np.abs(brightened - 128.0).max() <= 0.15 * 255 + 1


def test_a_scale_of_half_shows_the_middle_half_of_the_film() -> None:
    images = scipy.ndimage.gaussian_filter(draw_noise(1, size=(41, 41)).astype(float), (0, 2, 2)).astype(np.uint8)

    moved = augment(images, np.random.default_rng(0), replace(STILL, scale=(0.5, 0.5)))[0]

    np.testing.assert_array_equal(moved[::2, ::2], images[0, 10:31, 10:31])


def test_films_are_turned_about_their_middle_by_up_to_ten_degrees_either_way() -> None:
    images = np.zeros((100, 81, 81), dtype=np.uint8)
    images[:, 38:43, 68:73] = 200  # a dot 30 pixels to the right of the middle

    moved = augment(images, np.random.default_rng(0), replace(STILL, rotation=10)).astype(float)

    weight = moved.sum(axis=(1, 2))
    down = (moved.sum(axis=2) * np.arange(-40, 41)).sum(axis=1) / weight
    right = (moved.sum(axis=1) * np.arange(-40, 41)).sum(axis=1) / weight
    angles = np.rad2deg(np.arctan2(down, right))
    np.testing.assert_allclose(np.hypot(down, right), 30, atol=0.3)
    assert -10.5 <= angles.min() <= -8
    assert 8 <= angles.max() <= 10.5


def test_inverted_regions_are_rectangles_of_their_sizes_in_some_of_the_films() -> None:
    images = draw_noise(60, size=(100, 100))

    moved = augment(images, np.random.default_rng(0), replace(STILL, inverted_regions=1))

    changed = moved != images
    np.testing.assert_array_equal(moved[changed], 255 - images[changed])
    touched = changed.any(axis=(1, 2))
    assert 15 <= touched.sum() <= 45
    for film in changed[touched]:
        rows, columns = np.flatnonzero(film.any(axis=1)), np.flatnonzero(film.any(axis=0))
        assert film[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert 5 <= len(rows) <= 20
        assert 5 <= len(columns) <= 20


def test_augmentation_is_the_affine_map_of_keras_image_data_generator() -> None:
    random = np.random.default_rng(3)
    noise = random.uniform(0, 2000, (8, 40, 50))
    images = np.stack([scipy.ndimage.gaussian_filter(each, 2) for each in noise]).clip(0, 255).astype(np.uint8)

    moved = augment(images, np.random.default_rng(5), AugmentationRanges(shear=20, zoom=0.2))

    same_draws = np.random.default_rng(5)
    angles = np.deg2rad(same_draws.uniform(-20, 20, 8))
    zooms = same_draws.uniform(0.8, 1.2, (2, 8)).T
    mirrored = same_draws.random(8) < 0.5
    for image, received, angle, zoom, mirror in zip(images, moved, angles, zooms, mirrored, strict=True):
        expected = transform_as_keras(image, angle, zoom)
        # Half a grey level is rounding; float32 coordinates make the rest.
        assert np.abs(received - (expected[:, ::-1] if mirror else expected)).max() <= 0.51


def transform_as_keras(image: NDArray[np.uint8], angle: float, zoom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keras's apply_affine_transform: shear after zoom, about the middle, in columns and rows."""
    column_row = np.array([[1, -np.sin(angle)], [0, np.cos(angle)]]) @ np.diag(zoom)
    row_column = column_row[::-1, ::-1]
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - row_column @ centre
    return scipy.ndimage.affine_transform(image.astype(np.float64), row_column, offset, order=1, mode="nearest")


def test_augmentation_mirrors_half_of_the_xrays_and_leaves_their_height_alone() -> None:
    images = np.zeros((200, 20, 20), dtype=np.uint8)
    images[:, :5, :10] = 200

    moved = augment(images, np.random.default_rng(0), AugmentationRanges(shear=0, zoom=0))

    mirrored = (moved == images[:, :, ::-1]).all(axis=(1, 2))
    assert 70 < mirrored.sum() < 130
    np.testing.assert_array_equal(moved[~mirrored], images[~mirrored])


def test_augmentation_switched_off_changes_nothing() -> None:
    images = draw_noise(5)

    moved = augment(images, np.random.default_rng(0), STILL)

    np.testing.assert_array_equal(moved, images)
