"""Near-duplicates: the hash proposes, the pixels decide."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tests.films import FILMS
from xray_core.training.near_duplicates import find_near_duplicates

pytestmark = pytest.mark.lengthy

Grey = NDArray[np.uint8]


def draw_film(seed: int) -> Image.Image:
    """Two lungs of a random shape on a random bed of soft noise: alike at 8 x 8, different in detail."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:300j, -1:1:300j]
    lungs = sum(np.exp(-(((x - s * 0.45) / 0.3) ** 2) - (y / rng.uniform(0.5, 0.8)) ** 2) for s in (-1, 1))
    soft = np.asarray(Image.fromarray(rng.normal(size=(30, 30)).astype(np.float32)).resize((300, 300)))
    return Image.fromarray(np.clip(170 - 110 * lungs + 18 * soft, 0, 255).astype(np.uint8))


def fit(image: Image.Image) -> Grey:
    return np.asarray(image.resize((150, 150), Image.Resampling.BILINEAR), dtype=np.uint8)


def hash_film(image: Image.Image) -> str:
    small = np.asarray(image.resize((9, 8), Image.Resampling.BILINEAR, reducing_gap=2.0), dtype=np.int16)
    return np.packbits((small[:, 1:] > small[:, :-1]).ravel()).tobytes().hex()


def save_as_jpeg(image: Image.Image) -> Image.Image:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=30)
    return Image.open(io.BytesIO(written.getvalue())).convert("L")


COPIES = {
    "saved as JPEG": save_as_jpeg,
    "shrunk": lambda image: image.resize((100, 100)),
    "brightened": lambda image: image.point([min(255, int(255 * (v / 255) ** 0.7)) for v in range(256)]),
    "equalised": ImageOps.equalize,
    "cropped by 4 %": lambda image: image.crop((12, 12, 288, 288)),
}


@pytest.mark.parametrize("change", COPIES)
def test_a_changed_copy_is_found_among_other_films(change: str) -> None:
    films = [draw_film(seed) for seed in range(6)]
    films.append(COPIES[change](films[2]))

    found = find_near_duplicates([hash_film(film) for film in films], lambda place: fit(films[place]))

    assert found.pairs == ((2, 6),)


def test_unrelated_films_with_the_same_hash_are_no_duplicates() -> None:
    films = [fit(draw_film(seed)) for seed in range(8)]

    found = find_near_duplicates(["00ff00ff00ff00ff"] * 8, lambda place: films[place])

    assert found.proposed == 28
    assert found.pairs == ()


def test_only_x_rays_that_the_hash_proposes_are_loaded() -> None:
    loaded: list[int] = []

    def load(place: int) -> Grey:
        loaded.append(place)
        return fit(draw_film(place))

    find_near_duplicates(["0000000000000000", "ffffffffffffffff", "0000000000000001"], load)

    assert loaded == [0, 2]


def test_blank_pictures_and_empty_sets_are_no_trouble() -> None:
    blank = np.zeros((150, 150), dtype=np.uint8)

    assert find_near_duplicates([], lambda _: blank).pairs == ()
    assert find_near_duplicates(["0" * 16] * 2, lambda _: blank).pairs == ()


def test_a_hash_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        find_near_duplicates(["abc"], lambda place: fit(draw_film(place)))


@pytest.mark.films
def test_among_real_x_rays_the_hash_pairs_hundreds_of_films_and_the_pixels_no_strangers() -> None:
    paths = [path for folder in ("covid", "normal") for path in sorted((FILMS / "dataset" / folder).iterdir())[::2]]
    films = [Image.open(path).convert("L").resize((300, 300), reducing_gap=2.0) for path in paths]

    found = find_near_duplicates([hash_film(film) for film in films], lambda place: fit(films[place]))

    assert found.proposed > 300
    assert found.pairs == ()
