"""A batch is a value: whatever process it is sent to claims, scores and records its files."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

from db.records import ClaimedFile
from flows.operations.verification import find_breach
from flows.scoring.folder_store import FolderStore
from flows.scoring.scan import FILES_PER_BATCH, open_scan
from flows.scoring.scanner import open_scanner
from flows.scoring.score_files import Batch, score_files
from flows.settings import Settings
from tests.flows.scoring.test_scan import count_results, drop_xrays, read_lines
from xray_core.errors import NoChampion, WrongSiteKey
from xray_core.imaging.records import FileSeen
from xray_core.processes.decoding import DecodeRequest, Decoding
from xray_core.records import FileState


def open_another_process() -> ProcessPoolExecutor:
    """A process that shares nothing with this one but the environment."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def list_batch(settings: Settings) -> Batch:
    with open_scan(settings, flow_run_id="00000000-0000-0000-0000-000000000007") as scan:
        (batch,) = scan.find_batches()
    return batch


def test_a_batch_that_is_sent_to_another_process_is_in_the_ledger(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 5)
    (settings.incoming_dir / "link.png").symlink_to("/etc/passwd")
    batch = list_batch(settings)
    assert read_lines(settings) == {}

    with open_another_process() as elsewhere:
        counts = elsewhere.submit(score_files, batch).result(timeout=90)

    assert (counts.scored, dict(counts.rejected)) == (5, {"SYMLINK": 1})
    assert count_results(settings) == 5
    states = {line.state for name, line in read_lines(settings).items() if name != "link.png"}
    assert states == {FileState.SCORED}
    assert list((settings.home / "run").glob("*.lock")) == []
    assert find_breach(settings)[0] is None


def test_a_process_opens_one_scan_for_all_batches_that_it_is_sent(settings: Settings) -> None:
    first, second = drop_xrays(settings.incoming_dir, 2)
    both = list_batch(settings)
    ours = [
        replace(both, files=tuple(file for file in both.files if file.name == path.name.encode()))
        for path in (first, second)
    ]

    with open_another_process() as elsewhere:
        scored = [elsewhere.submit(score_files, batch).result(timeout=90).scored for batch in (*ours, both)]
        held = len(list((settings.home / "run").glob("*.lock")))

    assert scored == [1, 1, 0]
    assert held == 1
    assert count_results(settings) == 2


def test_a_batch_is_names_and_numbers() -> None:
    files = tuple(
        FileSeen(b"xray-%06d.png" % place, 400_000, place, place, True, False) for place in range(FILES_PER_BATCH)
    )
    batch = Batch(files, model_id=3, flow_run_id="0" * 36, key_fingerprint="0" * 64, batch_size=64)

    sent = pickle.dumps(batch)

    assert len(sent) < 100 * FILES_PER_BATCH
    assert pickle.loads(sent) == batch  # noqa: S301 (our own)


def test_a_home_with_another_key_claims_nothing(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)
    batch = replace(list_batch(settings), key_fingerprint="f" * 64)

    with open_scanner(settings) as scanner, pytest.raises(WrongSiteKey, match=r"copy the site\.key"):
        score_files(batch, scanner)

    assert read_lines(settings) == {}


def test_a_batch_of_another_ledger_claims_nothing(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)
    batch = replace(list_batch(settings), model_id=99)

    with open_scanner(settings) as scanner, pytest.raises(NoChampion, match="model 99 is not in this ledger"):
        score_files(batch, scanner)

    assert read_lines(settings) == {}


def test_no_more_films_are_read_ahead_than_the_decoders_have_room_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The films of a bucket are fetched here: the first answer waits for all that are read ahead."""
    settings = settings.but({"workers": 1})
    drop_xrays(settings.incoming_dir, 40)
    batch = list_batch(settings)
    read: list[bytes] = []
    read_ahead: list[tuple[int, int]] = []  # each time: how many, and how much room there was
    read_all, add = FolderStore.read, Decoding.add

    def read_one_by_one(
        store: FolderStore, files: Iterable[ClaimedFile]
    ) -> Iterator[tuple[ClaimedFile, DecodeRequest]]:
        for file, request in read_all(store, files):
            read.append(request.name)
            yield file, request

    def add_and_count(decoding: Decoding[ClaimedFile], files: Iterable[tuple[ClaimedFile, DecodeRequest]]) -> None:
        room = decoding.room
        already = max(0, len(read) - 1)  # but for the one that is handed over
        add(decoding, files)
        read_ahead.append((len(read) - already, room))

    monkeypatch.setattr(FolderStore, "read", read_one_by_one)
    monkeypatch.setattr(Decoding, "add", add_and_count)
    with open_scanner(settings) as scanner:
        counts = score_files(batch, scanner)

    assert counts.scored == 40
    assert read_ahead
    assert all(taken <= room for taken, room in read_ahead), read_ahead
