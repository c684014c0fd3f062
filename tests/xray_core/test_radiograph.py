from __future__ import annotations

import io
import os
import struct
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.hostile_files import encode, film, jpeg, png, raw_png
from xray_core.errors import UnreadableXray
from xray_core.file_content import check_sidecar, read_content
from xray_core.image_limits import ImageLimits
from xray_core.radiograph import read_radiograph
from xray_core.records import FileFormat, Flag, ReasonCode, ScaleRule

XRAYS = (Path(__file__).parents[2] / "../shared/xrays").resolve()
REAL = sorted(path for path in XRAYS.rglob("*") if path.suffix in (".png", ".jpg", ".jpeg"))
LIMITS = ImageLimits()


@pytest.mark.skipif(not REAL, reason="the real X-rays are not on this machine")
def test_every_real_film_is_read_and_none_looks_cut() -> None:
    refused = []
    flagged = set()
    for path in REAL:
        try:
            radiograph = read_radiograph(path.read_bytes(), name_ending=path.suffix, draft_size=(150, 150))
        except UnreadableXray as error:
            refused.append(f"{path.name}: {error}")
        else:
            flagged |= set(radiograph.facts.flags)

    assert len(REAL) == 240
    assert refused == []
    assert flagged <= {Flag.SIXTEEN_BIT}


def test_a_grey_png_keeps_its_very_pixels() -> None:
    radiograph = read_radiograph(png(), name_ending=".png")

    assert np.array_equal(radiograph.pixels, film())
    assert radiograph.facts.file_format is FileFormat.PNG
    assert (radiograph.facts.width, radiograph.facts.height) == (256, 256)
    assert (radiograph.facts.mode, radiograph.facts.scale_rule) == ("L", ScaleRule.EIGHT_BIT)
    assert radiograph.patient_id is None


@pytest.mark.parametrize("factor", [1, 16, 257])
def test_sixteen_bits_are_stretched_from_darkest_to_brightest_whatever_they_hold(factor: int) -> None:
    content = encode(film().astype(np.uint16) * factor, "PNG")

    radiograph = read_radiograph(content)

    low, high = int(film().min()), int(film().max())
    expected = np.rint((film().astype(float) - low) * 255 / (high - low))
    assert np.abs(radiograph.pixels - expected).max() <= 1
    assert radiograph.facts.scale_rule is ScaleRule.FULL_RANGE


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_picture_is_turned_upright_as_pillow_turns_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(film(192, 256), "JPEG", exif=exif, quality=95)

    radiograph = read_radiograph(content)

    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    assert np.array_equal(radiograph.pixels, upright)
    assert (radiograph.facts.height, radiograph.facts.width) == upright.shape


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_draft_is_at_least_twice_the_size_that_was_asked_for_and_the_facts_stay_true(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(film(1600, 1200), "JPEG", exif=exif)

    whole = read_radiograph(content)
    draft = read_radiograph(content, draft_size=(150, 150))

    assert whole.pixels.size == 1600 * 1200
    assert 300 <= min(draft.pixels.shape) < 600
    assert draft.facts == whole.facts
    assert draft.pixels.shape[0] * 4 == whole.pixels.shape[0]


def test_a_draft_of_a_small_picture_is_the_picture() -> None:
    draft = read_radiograph(jpeg(), draft_size=(150, 150))

    assert draft.pixels.shape == (256, 256)


def test_the_hash_of_a_resized_or_recompressed_copy_differs_in_few_bits() -> None:
    original = read_radiograph(encode(film(900, 900), "PNG"))
    copy = read_radiograph(encode(Image.fromarray(film(900, 900)).resize((700, 700)), "JPEG", quality=60))
    other = read_radiograph(encode(255 - film(900, 900), "PNG"))

    assert _distance(original.dhash, copy.dhash) <= 4
    assert _distance(original.dhash, other.dhash) >= 12


def _distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (64, 64, None),
        (63, 64, ReasonCode.TOO_SMALL),
        (64, 256, None),
        (64, 257, ReasonCode.BAD_ASPECT),
        (8_000, 5_000, None),
        (8_000, 5_001, ReasonCode.TOO_MANY_PIXELS),
    ],
)
def test_the_limits_hold_to_the_pixel(width: int, height: int, reason: ReasonCode | None) -> None:
    try:
        LIMITS.check_shape(width, height)
        received = None
    except UnreadableXray as error:
        received = error.reason

    assert received is reason


def test_a_few_coloured_arrows_are_tolerated_and_a_tinted_tenth_is_not() -> None:
    arrows = np.stack([film()] * 3, axis=-1)
    arrows[:24, :200] = (255, 0, 0)
    tinted = arrows.copy()
    tinted[:30] = (255, 0, 0)

    read_radiograph(encode(arrows, "PNG"))
    with pytest.raises(UnreadableXray) as refused:
        read_radiograph(encode(tinted, "PNG"))

    assert refused.value.reason is ReasonCode.NOT_GREYSCALE


def test_no_warning_of_a_library_escapes() -> None:
    noisy = Image.fromarray(film()).quantize(64)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\0\0"
    content = jpeg()[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg()[2:]

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        read_radiograph(content)
        with pytest.raises(UnreadableXray):
            read_radiograph(encode(noisy, "PNG", transparency=bytes(range(64))))

    assert heard == []


def test_a_refusal_quotes_nothing_of_the_file() -> None:
    content = raw_png(256, 256, data=b"ZZCANARY" * 9)

    with pytest.raises(UnreadableXray) as refused:
        read_radiograph(content, name_ending=".ZZCANARY")

    assert "ZZCANARY" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_file_is_read_as_it_was_seen_and_hashed_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(png())
    seen = path.stat()

    found = read_content(
        os.fsencode(path), directory_fd=None, size=seen.st_size, mtime_ns=seen.st_mtime_ns, limits=LIMITS
    )

    assert found.content == png()
    assert len(found.sha256) == 64


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_bytes(png() + b"x"), ReasonCode.CHANGED_DURING_READ),
        (lambda path: os.utime(path, ns=(1, 1)), ReasonCode.CHANGED_DURING_READ),
        (lambda path: path.unlink(), ReasonCode.GONE),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), ReasonCode.SYMLINK),
        (lambda path: (path.unlink(), os.mkfifo(path)), ReasonCode.NOT_REGULAR_FILE),
        (lambda path: (path.unlink(), path.mkdir()), ReasonCode.NOT_REGULAR_FILE),
    ],
)
def test_what_is_no_longer_what_was_listed_is_not_read(change: object, reason: ReasonCode, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(png())
    seen = path.stat()
    change(path)  # type: ignore[operator]

    with pytest.raises(UnreadableXray) as refused:
        read_content(os.fsencode(path), directory_fd=None, size=seen.st_size, mtime_ns=seen.st_mtime_ns, limits=LIMITS)

    assert refused.value.reason is reason


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png())
    inside = tmp_path / "incoming"
    inside.mkdir()
    descriptor = os.open(inside, os.O_RDONLY)

    try:
        with pytest.raises(UnreadableXray) as refused:
            read_content(b"../secret.png", directory_fd=descriptor, size=1, mtime_ns=1, limits=LIMITS)
    finally:
        os.close(descriptor)

    assert refused.value.reason is ReasonCode.BAD_NAME


def test_a_file_that_is_replaced_all_the_time_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    versions = [png(), encode(255 - film(), "PNG")]
    path = tmp_path / "film.png"
    path.write_bytes(versions[0])
    stop = threading.Event()

    def replace() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            (tmp_path / "film.part").write_bytes(versions[turn % 2])
            (tmp_path / "film.part").replace(path)

    writer = threading.Thread(target=replace)
    writer.start()
    read = 0
    try:
        for _ in range(1000):
            seen = path.stat()
            try:
                found = read_content(
                    os.fsencode(path), directory_fd=None, size=seen.st_size, mtime_ns=seen.st_mtime_ns, limits=LIMITS
                )
            except UnreadableXray as error:
                assert error.reason is ReasonCode.CHANGED_DURING_READ  # noqa: PT017
            else:
                read += 1
                assert found.content in versions
    finally:
        stop.set()
        writer.join()

    assert read > 0


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        (b"%s  film.png\n", False),
        (b"%s\n", False),
        (b"", True),
        (b"0" * 64, True),
        (b"no digest at all", True),
    ],
)
def test_a_producers_own_checksum_is_checked_where_there_is_one(text: bytes, is_refused: bool, tmp_path: Path) -> None:
    digest = "ab" * 32
    name = os.fsencode(tmp_path / "film.png")
    Path(os.fsdecode(name) + ".sha256").write_bytes(text.replace(b"%s", digest.upper().encode()))

    try:
        check_sidecar(name, digest, directory_fd=None)
        reason = None
    except UnreadableXray as error:
        reason = error.reason

    assert reason is (ReasonCode.TRUNCATED if is_refused else None)


def test_without_a_checksum_file_nothing_is_checked(tmp_path: Path) -> None:
    check_sidecar(os.fsencode(tmp_path / "film.png"), "ab" * 32, directory_fd=None)

    assert list(tmp_path.iterdir()) == []
