"""Remedies: each does what it says, leaves the rest, and none changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.markers import paint_marker
from xray_core.imaging.network_input import fit_pixels
from xray_core.imaging.records import Preprocessing, Remedy, Scaling
from xray_core.imaging.remedies import (
    crop_to_lungs,
    equalize,
    equalize_in_tiles,
    erase_border,
    find_lung_box,
    mask_markers,
)
from xray_core.records import Label
from xray_core.synthetic.xrays import draw_xray

Grey = NDArray[np.uint8]


def draw_chest(seed: int = 0, size: int = 150) -> Grey:
    return draw_xray(np.random.default_rng(seed), Label.NORMAL, size)


def test_without_remedies_fitting_is_resizing_and_nothing_else() -> None:
    pixels = draw_chest(size=300)

    fitted = fit_pixels(pixels, Preprocessing(150, 150, 3, Scaling.UNIT))

    plain = Image.fromarray(pixels).resize((150, 150), Image.Resampling.BILINEAR, reducing_gap=2.0)
    assert (fitted == np.asarray(plain)).all()


@pytest.mark.parametrize("remedy", list(Remedy))
def test_every_remedy_changes_the_fitted_x_ray_and_keeps_its_shape(remedy: Remedy) -> None:
    pixels = paint_marker(np.pad(draw_chest(size=300), 60, constant_values=10))
    plain, mended = (
        fit_pixels(pixels, Preprocessing(120, 100, 3, Scaling.UNIT, remedies)) for remedies in ((), (remedy,))
    )

    assert mended.shape == (120, 100)
    assert mended.dtype == np.uint8
    assert (mended != plain).mean() > 0.001


def test_remedies_are_part_of_the_preprocessing_version() -> None:
    plain, cropped = (Preprocessing(150, 150, 3, Scaling.UNIT, r).version for r in ((), (Remedy.LUNG_CROP,)))

    assert cropped == f"{plain}-lung-crop"


def test_an_unknown_remedy_is_refused() -> None:
    with pytest.raises(ValueError, match="snake-oil"):
        fit_pixels(draw_chest(), Preprocessing(150, 150, 3, Scaling.UNIT, ("snake-oil",)))


def test_the_crop_finds_most_chests_in_a_wide_frame_and_cuts_no_lung_away() -> None:
    tight = 0
    for seed in range(10):
        framed = np.full((300, 300), 60, dtype=np.uint8)
        framed[50:250, 50:250] = draw_chest(seed, 200)

        top, left, bottom, right = find_lung_box(framed)

        tight += top > 20 and left > 20 and right < 280
        assert top < 120
        assert left < 110
        assert bottom > 170
        assert right > 190
    assert tight >= 8


@pytest.mark.parametrize("pixels", [np.zeros((80, 90), dtype=np.uint8), np.full((80, 90), 255, dtype=np.uint8)])
def test_a_picture_without_lungs_is_not_cropped(pixels: Grey) -> None:
    assert crop_to_lungs(pixels).shape == pixels.shape


def test_equalising_makes_two_exposures_of_one_film_alike() -> None:
    film = draw_chest()
    darker = (film * 0.6).astype(np.uint8)

    difference = np.abs(equalize(film).astype(int) - equalize(darker).astype(int)).mean()

    assert difference < 4 < np.abs(film.astype(int) - darker.astype(int)).mean()


def test_tiles_raise_the_contrast_of_a_flat_film_within_each_tile() -> None:
    flat = (draw_chest() // 8 + 110).astype(np.uint8)

    mended = equalize_in_tiles(flat)

    assert mended.std() > 1.5 * flat.std()
    assert (equalize_in_tiles(np.full((150, 150), 90, dtype=np.uint8)).std()) == 0


def test_a_burnt_in_letter_is_painted_over_and_the_lungs_are_left_alone() -> None:
    film = draw_chest()
    marked = paint_marker(film)

    mended = mask_markers(marked)

    is_letter = marked != film
    assert (marked[is_letter] > 200).mean() > 0.9
    assert (mended[is_letter] < 200).mean() > 0.9
    assert (mended[40:110, 40:110] == film[40:110, 40:110]).all()


def test_border_erasing_leaves_the_middle_and_half_of_the_x_rays_alone() -> None:
    images = np.stack([draw_chest(seed) for seed in range(20)])

    erased = erase_border(images, np.random.default_rng(0))

    assert (erased[:, 23:127, 23:127] == images[:, 23:127, 23:127]).all()
    assert 4 <= (erased != images).any(axis=(1, 2)).sum() <= 16
    assert (images == np.stack([draw_chest(seed) for seed in range(20)])).all()
