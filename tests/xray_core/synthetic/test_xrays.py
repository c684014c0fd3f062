from __future__ import annotations

import csv
import io
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.markers import paint_marker
from xray_core.imaging.network_input import fit_pixels
from xray_core.networks.fitting import train_network
from xray_core.networks.options import TrainingOptions
from xray_core.records import Label
from xray_core.synthetic.chest import draw_anatomy
from xray_core.synthetic.xrays import draw_xray, write_sample_set

pytestmark = pytest.mark.lengthy

N = 400
BORDER = 0.15


@cache
def cohort() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """N X-rays (n, 128, 128) uint8, every other one covid, and the truth (n,)."""
    is_covid = np.arange(N) % 2 == 1
    labels = [Label.COVID if covid else Label.NORMAL for covid in is_covid]
    images = [draw_xray(np.random.default_rng([7, place]), label, 128) for place, label in enumerate(labels)]
    return np.stack(images), is_covid


def inner(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    edge = round(BORDER * images.shape[1])
    mask = np.zeros(images.shape[1:], dtype=bool)
    mask[edge:-edge, edge:-edge] = True
    return mask


def file_size(pixels: NDArray[np.uint8], file_format: str) -> int:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=file_format)
    return len(file.getvalue())


def ranks(values: NDArray[np.floating] | list[int], is_covid: NDArray[np.bool_]) -> float:
    return float(roc_auc_score(is_covid, values))


def cross_validated_auc(images: NDArray[np.uint8], mask: NDArray[np.bool_], is_covid: NDArray[np.bool_]) -> float:
    small = images.reshape(len(images), 32, 4, 32, 4).mean(axis=(2, 4))[:, mask[::4, ::4]]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    return ranks(cross_val_predict(model, small, is_covid, cv=5, method="predict_proba")[:, 1], is_covid)


def test_an_xray_is_grey_square_and_the_same_for_the_same_seed() -> None:
    one, again, other = (draw_xray(np.random.default_rng(seed), Label.COVID, 100) for seed in (1, 1, 2))

    assert one.shape == (100, 100)
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_nothing_but_lung_content_says_the_class() -> None:
    images, is_covid = cohort()
    outside = ~inner(images)

    aucs = {
        "mean": ranks(images.mean(axis=(1, 2)), is_covid),
        "border mean": ranks(images[:, outside].mean(axis=1), is_covid),
        "darkest": ranks(images.min(axis=(1, 2)).astype(float), is_covid),
        "brightest": ranks(images.max(axis=(1, 2)).astype(float), is_covid),
        "PNG size": ranks([file_size(image, "PNG") for image in images], is_covid),
        "JPEG size": ranks([file_size(image, "JPEG") for image in images], is_covid),
        "border pixels": cross_validated_auc(images, outside, is_covid),
    }

    assert {name: auc for name, auc in aucs.items() if abs(auc - 0.5) >= 0.1} == {}


def test_the_lungs_say_the_class() -> None:
    images, is_covid = cohort()

    assert cross_validated_auc(images, inner(images), is_covid) > 0.9


def test_a_marker_in_one_class_is_a_shortcut() -> None:
    images, is_covid = cohort()
    marked = np.stack([paint_marker(image) if covid else image for image, covid in zip(images, is_covid, strict=True)])

    assert cross_validated_auc(marked, ~inner(images), is_covid) > 0.95
    assert images[1].max() < 255 or not np.array_equal(images[1], marked[1])


def test_the_opacities_lie_in_both_lungs_and_low() -> None:
    covid, normal = (
        np.mean([draw_xray(np.random.default_rng([3, place]), label, 128) for place in range(60)], axis=0)
        for label in (Label.COVID, Label.NORMAL)
    )
    brighter = covid - normal

    right, left = brighter[50:90, 20:45], brighter[50:90, 83:108]
    assert right.mean() > 5
    assert left.mean() > 5
    assert brighter[15:45, 30:100].mean() < 0
    assert np.abs(brighter[:, :15]).mean() < 2


def test_two_exams_of_a_patient_differ_but_share_the_anatomy() -> None:
    anatomies = [draw_anatomy(np.random.default_rng(seed)) for seed in range(2)]

    first, second = (draw_xray(np.random.default_rng(seed), Label.NORMAL, 64, anatomy=anatomies[0]) for seed in (1, 2))

    assert not np.array_equal(first, second)
    assert anatomies[0] != anatomies[1]


def test_a_sample_set_is_a_folder_per_class_with_its_patients(tmp_path: Path) -> None:
    truth = write_sample_set(tmp_path, per_class=6, patients=3, seed=1)

    with (tmp_path / "patients.csv").open(newline="") as file:
        patients = {row["filename"]: row["patient_id"] for row in csv.DictReader(file)}
    files = {path.name: path for folder in ("covid", "normal") for path in (tmp_path / folder).iterdir()}
    assert set(files) == set(truth) == set(patients)
    assert all(path.parent.name == truth[name] for name, path in files.items())
    for label in (Label.COVID, Label.NORMAL):
        assert len({patients[name] for name in truth if truth[name] is label}) == 3
    assert len(set(patients.values())) == 6


def test_incoming_files_say_nothing_of_their_class(tmp_path: Path) -> None:
    truth = write_sample_set(tmp_path, per_class=30, patients=30, seed=2, layout="flat")

    names = sorted(truth)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    is_covid = np.array([truth[name] is Label.COVID for name in names])
    is_jpeg = np.array([name.endswith("jpeg") for name in names])
    sizes = []
    for name in names:
        with Image.open(tmp_path / name) as image:
            assert image.format == ("JPEG" if name.endswith("jpeg") else "PNG")
            assert image.mode == "L"
            assert not image.info.keys() & {"exif", "comment", "date:create"}
            sizes.append(image.width)
    assert abs(is_jpeg[is_covid].mean() - is_jpeg[~is_covid].mean()) < 0.25
    assert abs(ranks(sizes, is_covid) - 0.5) < 0.2
    assert abs(ranks(list(range(len(names))), is_covid) - 0.5) < 0.2


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_sample_set(tmp_path / folder, per_class=2, patients=2, seed=5)

    one, two = (
        {path.relative_to(tmp_path / folder): path.read_bytes() for path in (tmp_path / folder).rglob("*.*")}
        for folder in ("one", "two")
    )
    assert one == two


def test_drawing_is_fast_enough_to_wait_for() -> None:
    started = time.process_time()
    for seed in range(20):
        draw_xray(np.random.default_rng(seed), Label.COVID, 256)

    assert time.process_time() - started < 2  # measured: 0.25


@pytest.mark.slow
def test_the_small_network_learns_it_from_a_hundred_xrays() -> None:
    images, is_covid = cohort()
    options = TrainingOptions(seed=1)
    fitted = np.stack([fit_pixels(image, options.preprocessing) for image in images])
    train, held_out = slice(0, 120), slice(120, 400)

    trained = train_network(
        fitted[train],
        is_covid[train],
        fitted[held_out],
        is_covid[held_out],
        preprocessing=options.preprocessing,
        options=options,
        on_epoch=print,
    )

    classifier = trained.classifier
    assert ranks(classifier.predict(fitted[held_out]), is_covid[held_out]) > 0.9
