"""Near-duplicates: the hash proposes, the pixels decide."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tests.films import FILMS
from xray_core.training.duplicates import near_duplicates
from xray_core.training.duplicates.near_duplicates import MOST_BITS, Film, Searched, search_new

pytestmark = pytest.mark.lengthy

Grey = NDArray[np.uint8]
NOTHING = Searched()


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


def search(films: Sequence[Grey], hashes: Sequence[str], known: Searched = NOTHING) -> Searched:
    """Search films whose contents are their numbers."""
    return search_new(
        known, [Film(str(place), dhash) for place, dhash in enumerate(hashes)], lambda content: films[int(content)]
    )


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

    found = search([fit(film) for film in films], [hash_film(film) for film in films])

    assert found.pairs == ((2, 6),)


def test_unrelated_films_with_the_same_hash_are_no_duplicates() -> None:
    films = [fit(draw_film(seed)) for seed in range(8)]

    found = search(films, ["00ff00ff00ff00ff"] * 8)

    assert found.pairs == ()


def test_copies_whose_hashes_are_far_apart_are_none() -> None:
    film = fit(draw_film(1))

    assert search([film, film], ["0" * 16, "f" * 16]).pairs == ()
    assert search([film, film], ["0" * 16, "0" * 15 + "1"]).pairs == ((0, 1),)


@pytest.mark.parametrize("first", range(8))
def test_whatever_was_searched_before_the_pairs_are_those_of_one_search(first: int) -> None:
    drawn = [draw_film(seed) for seed in range(5)]
    films = [fit(film) for film in (*drawn, *(change(drawn[2]) for change in COPIES.values()))]
    hashes = [hash_film(Image.fromarray(film)) for film in films]
    whole = search(films, hashes)

    known = search(films[:first], hashes[:first])
    grown = search(films, hashes, known)

    assert grown.pairs == whole.pairs
    assert len(whole.pairs) >= 15
    assert np.array_equal(grown.sketches, whole.sketches)


def test_what_is_known_is_not_drawn_again_but_where_a_new_film_may_be_like_it() -> None:
    films = [fit(draw_film(seed)) for seed in range(6)]
    hashes = ["0" * 16] * 7
    known = search(films, hashes[:6])
    loaded: list[str] = []

    def load(content: str) -> Grey:
        loaded.append(content)
        return [*films, films[3]][int(content)]

    found = search_new(known, [Film(str(place), dhash) for place, dhash in enumerate(hashes)], load)

    assert found.pairs == ((3, 6),)
    assert sorted(loaded) == ["3", "6"]


def test_a_search_that_has_nothing_new_is_the_one_that_is_known() -> None:
    films = [fit(draw_film(seed)) for seed in range(3)]
    known = search(films, ["0" * 16] * 3)

    assert search(films[:2], ["0" * 16] * 2, known) is known
    assert known.list_pairs([Film("1", "0" * 16)]) == []


def test_the_sketch_rules_out_no_pair_that_the_thumbnails_confirm() -> None:
    drawn = [draw_film(seed) for seed in range(12)]
    films = [fit(film) for film in (*drawn, *(change(film) for film in drawn for change in COPIES.values()))]
    thumbnails = [near_duplicates._draw_thumbnails(film) for film in films]

    by_all = [
        (i, j)
        for i, j in combinations(range(len(films)), 2)
        if near_duplicates._are_alike(thumbnails[i], thumbnails[j])
    ]

    assert search(films, ["0" * 16] * len(films)).pairs == tuple(by_all)


def test_blank_pictures_and_empty_sets_are_no_trouble() -> None:
    blank = np.zeros((150, 150), dtype=np.uint8)

    assert search([], []).pairs == ()
    assert search([blank] * 2, ["0" * 16] * 2).pairs == ()


def test_a_hash_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        search([fit(draw_film(0))], ["abc"])


@pytest.mark.films
def test_among_real_x_rays_the_hash_pairs_hundreds_of_films_and_the_pixels_no_strangers() -> None:
    paths = [path for folder in ("covid", "normal") for path in sorted((FILMS / "dataset" / folder).iterdir())[::2]]
    films = [Image.open(path).convert("L").resize((300, 300), reducing_gap=2.0) for path in paths]

    hashes = [hash_film(film) for film in films]

    found = search([fit(film) for film in films], hashes)

    apart = [(int(one, 16) ^ int(other, 16)).bit_count() for one, other in combinations(hashes, 2)]
    assert sum(bits <= MOST_BITS for bits in apart) > 300
    assert found.pairs == ()
