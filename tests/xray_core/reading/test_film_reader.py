"""Films are decoded for readers in processes that may be lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tests.dicom_files import dicom, stored_film
from tests.xray_core.reading.scripts import unpack_film
from xray_core.imaging.limits import ImageLimits
from xray_core.processes.records import DecoderLimits
from xray_core.reading.deep_film import read_deep_film
from xray_core.reading.film_reader import FilmOrder, FilmReader, mask_letters
from xray_core.records import ReasonCode, Refusal

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def reader() -> Iterator[FilmReader]:
    reader = FilmReader(DecoderLimits(workers=1, seconds=20, mib=512))
    yield reader
    reader.close()


def _order(path: Path, content: bytes) -> FilmOrder:
    return FilmOrder("1", os.fsencode(path), sha256(content).hexdigest())


def test_a_film_comes_as_a_script(reader: FilmReader, tmp_path: Path) -> None:
    content = dicom()
    (tmp_path / "film.dcm").write_bytes(content)
    script = reader.read(_order(tmp_path / "film.dcm", content))
    assert isinstance(script, bytes)
    assert np.array_equal(unpack_film(script), stored_film() - stored_film().min())


def test_a_film_that_is_gone_or_another_one_now_says_so(reader: FilmReader, tmp_path: Path) -> None:
    assert reader.read(_order(tmp_path / "gone.dcm", b"")) == Refusal(ReasonCode.GONE, "no longer there")
    (tmp_path / "other.dcm").write_bytes(dicom())
    answer = reader.read(_order(tmp_path / "other.dcm", b"what it was"))
    assert answer == Refusal(ReasonCode.GONE, "its file holds another picture now")


def test_a_film_that_cannot_be_read_says_why(reader: FilmReader, tmp_path: Path) -> None:
    (tmp_path / "cut.dcm").write_bytes(dicom()[:-5000])
    answer = reader.read(_order(tmp_path / "cut.dcm", dicom()[:-5000]))
    assert isinstance(answer, Refusal)
    assert answer.reason is ReasonCode.TRUNCATED


def test_a_film_that_takes_too_long_is_given_up_and_the_next_is_read(tmp_path: Path) -> None:
    content = dicom()
    (tmp_path / "film.dcm").write_bytes(content)
    hurried = FilmReader(DecoderLimits(workers=1, seconds=0.001, mib=512))
    try:
        answer = hurried.read(_order(tmp_path / "film.dcm", content))
        assert isinstance(answer, Refusal)
        assert answer.reason is ReasonCode.DECODE_TIMEOUT
    finally:
        hurried.close()


def test_letters_at_the_edge_are_blackened_and_the_chest_is_left_alone() -> None:
    stored = stored_film(512).copy()
    stored[20:36, 30:34] = stored[20:24, 30:44] = 4095
    film = read_deep_film(dicom(stored), ImageLimits())
    masked = mask_letters(film).values
    assert not masked[20:36, 30:34].any()
    middle = slice(110, 400)
    assert np.array_equal(masked[middle, middle], film.values[middle, middle])
