"""Reading the X-rays of a dataset: one per content, and a reason for every file that is kept out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray_core.exchange.dataset_folder import read_dataset_folder
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.processes.reading import DatasetFilms, read_dataset_films
from xray_core.processes.records import DecoderLimits
from xray_core.records import Label
from xray_core.synthetic.xrays import draw_xray


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two films a class."""
    rng = np.random.default_rng(0)
    for label in (Label.COVID, Label.NORMAL):
        (tmp_path / label.value).mkdir()
        for place in range(2):
            Image.fromarray(draw_xray(rng, label, 96)).save(tmp_path / label.value / f"film-{place}.png")
    return tmp_path


def read(folder: Path) -> tuple[DatasetFilms, int]:
    dataset = read_dataset_folder(folder, {"covid": Label.COVID, "normal": Label.NORMAL})
    seen = 0

    def advance(count: int) -> None:
        nonlocal seen
        seen += count

    limits = DecoderLimits(workers=2, seconds=20, mib=1024)
    preprocessing = Preprocessing(24, 24, 1, Scaling.NONE)
    return read_dataset_films(dataset, limits, preprocessing, on_progress=advance), seen


def test_the_films_come_in_the_folders_order_each_with_what_the_folder_says_of_it(folder: Path) -> None:
    films, seen = read(folder)

    assert [f"{item.path.parent.name}/{item.path.name}" for item, _ in films.films] == [
        "covid/film-0.png",
        "covid/film-1.png",
        "normal/film-0.png",
        "normal/film-1.png",
    ]
    assert all(film.grey.shape == (24, 24) for _, film in films.films)
    assert (dict(films.kept_out), films.repeated, seen) == ({}, 0, 4)


def test_the_first_of_equal_files_stands_for_its_content(folder: Path) -> None:
    (folder / "covid/copy.png").write_bytes((folder / "covid/film-0.png").read_bytes())

    films, _ = read(folder)

    assert [item.path.name for item, _ in films.films] == ["copy.png", "film-1.png", "film-0.png", "film-1.png"]
    assert (dict(films.kept_out), films.repeated) == ({}, 1)


def test_the_same_content_under_two_labels_is_kept_out_under_both(folder: Path) -> None:
    (folder / "normal/copy.png").write_bytes((folder / "covid/film-0.png").read_bytes())
    (folder / "normal/again.png").write_bytes((folder / "covid/film-0.png").read_bytes())

    films, _ = read(folder)

    assert [item.path.name for item, _ in films.films] == ["film-1.png", "film-0.png", "film-1.png"]
    assert (dict(films.kept_out), films.repeated) == ({"the same content under two labels": 1}, 0)


def test_an_unreadable_file_is_kept_out_by_its_reason(folder: Path) -> None:
    (folder / "covid/broken.png").write_bytes(b"no picture")
    (folder / "covid/empty.png").write_bytes(b"")

    films, seen = read(folder)

    assert len(films.films) == 4
    assert dict(films.kept_out) == {"UNSUPPORTED_FORMAT": 1, "EMPTY": 1}
    assert seen == 6
