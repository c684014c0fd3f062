from __future__ import annotations

import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.dicom_files import dicom, eight_bit, j2k_frame, jpeg_frame, rle_file
from tests.hostile_files import HostileFile, encode, film, hostile_files
from xray_core.errors import UnreadableXray
from xray_core.imaging.radiograph import Radiograph, read_radiograph
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.processes.decoding import Decoded, DecodeRequest, Undecoded, open_decoder
from xray_core.records import ReasonCode

pytestmark = pytest.mark.processes

CORPUS = hostile_files()
# The others are refused by kind or size, and never read.
READABLE = [
    file
    for file in CORPUS
    if file.outcome not in (ReasonCode.SYMLINK, ReasonCode.NOT_REGULAR_FILE, ReasonCode.FILE_TOO_LARGE)
]
SMALL = Preprocessing(32, 32, 3, Scaling.UNIT)


@pytest.mark.parametrize("hostile", READABLE, ids=[file.id for file in READABLE])
def test_each_file_gets_its_outcome_and_its_flags(hostile: HostileFile, tmp_path: Path) -> None:
    path = tmp_path / hostile.id
    hostile.build(path)
    started = time.process_time()

    try:
        radiograph = read_radiograph(path.read_bytes(), name_ending=path.suffix)
        received = (None, frozenset(radiograph.facts.flags))
    except UnreadableXray as error:
        received = (error.reason, frozenset())

    assert received == (hostile.outcome, hostile.flags)
    assert time.process_time() - started < 1


def test_a_folder_of_all_of_them_is_decided_in_one_run(tmp_path: Path) -> None:
    for file in CORPUS:
        file.build(tmp_path / file.id)
    requests = [_request(key, tmp_path, file.name) for key, file in enumerate(CORPUS)]

    with open_decoder(SMALL, directory=tmp_path, workers=2) as decoder:
        answers = dict(decoder.decode(requests))

    outcomes = {CORPUS[key].id: _outcome(answer) for key, answer in answers.items()}
    assert outcomes == {file.id: file.outcome for file in CORPUS}
    assert not any("ZZCANARY" in answer.refusal.detail for answer in answers.values() if isinstance(answer, Undecoded))


def test_every_row_of_the_list_is_in_the_corpus() -> None:
    outcomes = {file.outcome for file in CORPUS}

    never_of_a_file_alone = {
        ReasonCode.UNSETTLED,
        ReasonCode.CHANGED_DURING_READ,
        ReasonCode.GONE,
        ReasonCode.UNREADABLE,
        ReasonCode.BAD_NAME,
        ReasonCode.DECODE_TIMEOUT,
        ReasonCode.DECODER_CRASHED,
        ReasonCode.RESOURCE_LIMIT,
        ReasonCode.NON_FINITE_SCORE,
    }
    assert outcomes == set(ReasonCode) - never_of_a_file_alone | {None}


def _request(key: int, folder: Path, name: bytes) -> tuple[int, DecodeRequest]:
    found = (folder / name.decode()).lstat()
    return key, DecodeRequest(name, found.st_size, found.st_mtime_ns)


def _outcome(answer: Decoded | Undecoded) -> ReasonCode | None:
    return answer.refusal.reason if isinstance(answer, Undecoded) else None


_TINY = film(96, 96)
_BASES = (
    encode(_TINY, "PNG"),
    encode(_TINY, "JPEG"),
    encode(_TINY, "JPEG", progressive=True),
    encode(np.stack([_TINY] * 3, axis=-1), "PNG"),
    encode(np.stack([_TINY] * 3, axis=-1), "JPEG"),
    encode(_TINY.astype(np.uint16) * 257, "PNG"),
    dicom(eight_bit(), WindowCenter=120, WindowWidth=200, RescaleSlope=1, RescaleIntercept=0),
    dicom(jpeg_frame(), syntax="1.2.840.10008.1.2.4.50"),
    dicom(j2k_frame(), syntax="1.2.840.10008.1.2.4.90"),
    rle_file(),
)
# Half of the edits hit the first kilobyte, where the structure is.
_PLACES = st.one_of(st.integers(0, 1024), st.integers(0, 2**20))
_EDITS = st.lists(
    st.tuples(_PLACES, st.sampled_from(("set", "cut", "insert", "zero")), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=6,
)


def _mutate(content: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    for place, kind, value in edits:
        at = place % (len(content) or 1)
        match kind:
            case "set":
                content = content[:at] + value + content[at + len(value) :]
            case "insert":
                content = content[:at] + value + content[at:]
            case "zero":
                content = content[:at] + bytes(32) + content[at + 32 :]
            case "cut":
                content = content[:at] if value[0] < 64 else content[:at] + content[at + value[0] :]
    return content


def _with_right_checksums(content: bytes) -> bytes:
    """A damaged PNG whose chunks claim to be whole: what gets past the checksums must not hurt either."""
    position = 8
    while content[:4] == b"\x89PNG" and position + 12 <= len(content):
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        if end > len(content):
            break
        checksum = zlib.crc32(content[position + 4 : end - 4]).to_bytes(4, "big")
        content = content[: end - 4] + checksum + content[end:]
        position = end
    return content


def _check_mutation(base: int, edits: list[tuple[int, str, bytes]], draft: bool) -> None:
    content = _mutate(_BASES[base], edits)
    content = _with_right_checksums(content) if draft else content
    started = time.process_time()

    try:
        radiograph: Radiograph | None = read_radiograph(content, draft_size=(32, 32) if draft else None)
    except UnreadableXray:
        radiograph = None

    assert time.process_time() - started < 5
    if radiograph is not None:
        assert radiograph.pixels.dtype == np.uint8
        assert radiograph.pixels.ndim == 2
        assert len(radiograph.dhash) == 16


_mutations = given(base=st.integers(0, len(_BASES) - 1), edits=_EDITS, draft=st.booleans())
_RUN = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "phases": (Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}


@_mutations
@settings(max_examples=500, **_RUN)
def test_a_mutated_file_is_read_or_refused_and_nothing_else(
    base: int, edits: list[tuple[int, str, bytes]], draft: bool
) -> None:
    _check_mutation(base, edits, draft)


@pytest.mark.slow
@pytest.mark.timeout(900)
@_mutations
@settings(max_examples=20_000, **_RUN)
def test_twenty_thousand_mutated_files_are_read_or_refused(
    base: int, edits: list[tuple[int, str, bytes]], draft: bool
) -> None:
    _check_mutation(base, edits, draft)
