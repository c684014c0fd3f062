"""What a chest film is: ordinary ones pass, photographs, negatives and other pictures do not."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.films import FILMS
from xray_core.errors import IncompatibleModel
from xray_core.imaging.network_input import fit_pixels
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models import chest_reference
from xray_core.models.chest_reference import ChestReference, dump_reference, learn_reference, read_reference
from xray_core.records import Label
from xray_core.synthetic.xrays import draw_xray

pytestmark = pytest.mark.lengthy

PREPROCESSING = Preprocessing(64, 64, 1, Scaling.UNIT)
Greys = NDArray[np.uint8]


def draw_films(count: int, seed: int) -> Greys:
    rng = np.random.default_rng(seed)
    labels = [Label.COVID, Label.NORMAL] * (count // 2)
    return np.stack([fit_pixels(draw_xray(rng, label, 128), PREPROCESSING) for label in labels])


@pytest.fixture(scope="module")
def reference() -> ChestReference:
    learned = learn_reference(draw_films(120, 1), [str(place // 2) for place in range(120)], draw_films(40, 2))
    assert learned is not None
    return learned


def count_odd(reference: ChestReference, greys: Greys) -> int:
    return sum(oddity.reason is not None for oddity in reference.find_oddities(greys))


def test_ordinary_films_that_it_never_saw_are_hardly_ever_odd(reference: ChestReference) -> None:
    unseen = draw_films(200, 3)

    assert count_odd(reference, unseen) <= 10  # one in twenty


def test_a_negative_is_called_one_with_its_distance_and_the_limit(reference: ChestReference) -> None:
    oddities = reference.find_oddities(255 - draw_films(40, 4))

    assert all(oddity.reason is not None for oddity in oddities)
    told = [oddity.reason or "" for oddity in oddities]
    assert sum(reason.startswith("looks like a negative") for reason in told) >= 36
    assert all(f"limit {float(reference.limit):.2f}" in reason for reason in told)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_film_that_lies_on_its_side_or_its_head_is_called_so(reference: ChestReference, quarters: int) -> None:
    turned = np.rot90(draw_films(100, 14), quarters, axes=(1, 2))

    told = [oddity.reason or "" for oddity in reference.find_oddities(turned)]

    back = {1: "clockwise by 90", 2: "by 180", 3: "anticlockwise by 90"}[quarters]
    assert sum(reason.startswith(f"looks turned: turned {back} degrees it is as near") for reason in told) >= 90
    assert sum(bool(reason) for reason in told) >= 95


def test_other_pictures_are_odd(reference: ChestReference) -> None:
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (64, 64), dtype=np.uint8)
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    rows, columns = np.mgrid[:64, :64]
    tibia = np.where(np.abs(columns - 32) < 8, 200, 20).astype(np.uint8)
    disc = np.where((rows - 32) ** 2 + (columns - 32) ** 2 < 400, 220, 40).astype(np.uint8)

    assert count_odd(reference, np.stack([noise, ramp, tibia, disc])) == 4


def test_brightness_and_contrast_alone_make_no_film_odd(reference: ChestReference) -> None:
    films = draw_films(60, 6).astype(np.float64)
    paler = (films * 0.8 + 25).astype(np.uint8)

    assert count_odd(reference, paler) <= 5


def test_each_film_gets_the_same_distance_alone_and_among_others(reference: ChestReference) -> None:
    films = draw_films(10, 7)

    together = [oddity.distance for oddity in reference.find_oddities(films)]

    alone = [reference.find_oddities(film[np.newaxis])[0].distance for film in films]
    assert together == pytest.approx(alone)


def test_the_limit_comes_from_films_that_the_statistics_have_not_seen() -> None:
    training, groups = draw_films(60, 8), [str(place) for place in range(60)]
    learned = learn_reference(training, groups, draw_films(20, 9))
    assert learned is not None

    seen = max(oddity.distance for oddity in learned.find_oddities(training))

    assert seen < float(learned.limit)


def test_too_few_films_describe_nothing() -> None:
    few = draw_films(38, 12)

    assert learn_reference(few, [str(place) for place in range(38)], few) is None
    assert learn_reference(draw_films(40, 13), ["the same patient"] * 40, few) is None


def test_what_was_written_reads_back_equal_and_the_same_twice(reference: ChestReference) -> None:
    content = dump_reference(reference)

    again = read_reference(content)

    for field in dataclasses.fields(ChestReference):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(reference, field.name))
    assert dump_reference(again) == content


@pytest.mark.parametrize("cut", [0, 10, 400])
def test_damaged_statistics_are_refused(reference: ChestReference, cut: int) -> None:
    with pytest.raises(IncompatibleModel, match=r"chest_reference\.npz"):
        read_reference(dump_reference(reference)[:cut])


def test_statistics_that_are_no_numbers_or_of_another_shape_are_refused(reference: ChestReference) -> None:
    for wrong in (np.full(576, np.nan), np.zeros(9)):
        with pytest.raises(IncompatibleModel, match="other shapes, or no numbers"):
            read_reference(dump_reference(dataclasses.replace(reference, mean=wrong)))


@pytest.fixture(scope="module")
def real() -> tuple[ChestReference, Greys]:
    """The reference of the real dataset, and the real films that came in."""
    patients = {
        row["filename"]: row["patient_id"] for row in csv.DictReader((FILMS / "patients.csv").read_text().splitlines())
    }
    files = sorted((FILMS / "dataset").glob("*/*"))
    films = np.stack([read_film(path) for path in files])
    groups = np.array([patients[path.name] for path in files])
    is_training = np.isin(groups, sorted(set(groups.tolist()))[::2])
    learned = learn_reference(films[is_training], groups[is_training].tolist(), films[~is_training])
    assert learned is not None
    return learned, np.stack([read_film(path) for path in sorted((FILMS / "incoming").iterdir())])


def read_film(path: Path) -> Greys:
    return fit_pixels(
        read_radiograph(path.read_bytes(), draft_size=(150, 150)).pixels, Preprocessing(150, 150, 3, Scaling.UNIT)
    )


@pytest.mark.films
def test_real_chest_films_pass_and_their_negatives_do_not(real: tuple[ChestReference, Greys]) -> None:
    reference, incoming = real

    assert count_odd(reference, incoming) <= 3
    assert count_odd(reference, 255 - incoming) >= len(incoming) - 1


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.films
def test_real_films_that_lie_on_their_side_or_their_head_are_odd(
    real: tuple[ChestReference, Greys], quarters: int
) -> None:
    reference, incoming = real

    assert count_odd(reference, np.rot90(incoming, quarters, axes=(1, 2))) >= 0.95 * len(incoming)


@pytest.mark.films
def test_real_mirrored_films_mostly_pass_as_the_documentation_admits(real: tuple[ChestReference, Greys]) -> None:
    reference, incoming = real

    assert count_odd(reference, incoming[:, :, ::-1]) < 0.25 * len(incoming)


@pytest.mark.films
def test_real_tibias_and_photographs_are_odd(real: tuple[ChestReference, Greys]) -> None:
    pydicom = pytest.importorskip("pydicom")
    reference, _ = real
    takes = Preprocessing(150, 150, 3, Scaling.UNIT)
    stored = pydicom.dcmread(FILMS / "dicom" / "RG3_UNC").pixel_array.astype(np.float64)  # MONOCHROME1: white is air
    tibia = (255 * (1 - (stored - stored.min()) / np.ptp(stored))).astype(np.uint8)
    import matplotlib as mpl

    face = Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("L")

    assert count_odd(reference, np.stack([fit_pixels(tibia, takes), fit_pixels(np.asarray(face), takes)])) == 2


@pytest.mark.films
def test_it_costs_a_fraction_of_what_decoding_costs(real: tuple[ChestReference, Greys]) -> None:
    reference, incoming = real
    reference.find_oddities(incoming)

    started = process_time()
    for path in (FILMS / "incoming").iterdir():
        read_film(path)
    decoding = process_time() - started
    started = process_time()
    reference.find_oddities(incoming)

    assert process_time() - started < decoding / 2  # measured: 0.7 ms a film; decoding takes 9 ms and more


def test_films_are_looked_at_some_at_a_time_and_say_the_same_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    films, groups = draw_films(50, 14), [str(place // 2) for place in range(50)]
    at_once = learn_reference(films[:45], groups[:45], films[45:])
    monkeypatch.setattr(chest_reference, "_AT_A_TIME", 7)

    some_at_a_time = learn_reference(films[:45], groups[:45], films[45:])

    assert at_once is not None
    assert some_at_a_time is not None
    assert dump_reference(some_at_a_time) == dump_reference(at_once)
