"""One scoring pass: what it scores, what it refuses, and that nothing is lost or written twice."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import func, select

from db.engine import open_engine, snapshot
from db.scoring.results import iter_result_lines
from db.scoring.tables import ResultRow
from flows.home.ledger import find_anchor
from flows.operations.verification import find_breach
from flows.scoring.counts import ScanCounts
from flows.scoring.scan import open_scan
from flows.settings import Settings
from tests.films import FILMS
from tests.patience import here
from xray_core.errors import LowDisk, ModelAltered, NoChampion
from xray_core.exchange.records import ResultLine
from xray_core.records import FileState, Label, ReasonCode
from xray_core.synthetic.xrays import draw_xray


def drop_xrays(folder: Path, count: int, *, seed: int = 0) -> list[Path]:
    rng = np.random.default_rng(seed)
    paths = [folder / f"xray-{seed}-{place:03d}.png" for place in range(count)]
    for path in paths:
        Image.fromarray(draw_xray(rng, Label.NORMAL, 96)).save(path)
    return paths


def scan(settings: Settings) -> ScanCounts:
    with open_scan(settings) as one:
        for files in one.find_batches():
            one.score(files)
    return one.counts


def read_lines(settings: Settings) -> dict[str, ResultLine]:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        lines = {line.file: line for line in iter_result_lines(session)}
    engine.dispose()
    return lines


def count_results(settings: Settings) -> int:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        found = session.scalar(select(func.count()).select_from(ResultRow))
    engine.dispose()
    assert found is not None
    return found


def test_every_new_xray_gets_one_result_and_a_second_scan_writes_none(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 10)

    first, second = scan(settings), scan(settings)

    assert (first.scored, second.files) == (10, 0)
    assert second.sentence() == "nothing new"
    assert count_results(settings) == 10
    assert all(0 <= (line.probability_covid or -1) <= 1 for line in read_lines(settings).values())
    assert find_breach(settings)[0] is None


def test_a_scan_of_an_empty_folder_needs_no_champion(empty_settings: Settings) -> None:
    assert scan(empty_settings).files == 0


def test_without_a_champion_the_scan_stops_and_says_how_to_make_one(empty_settings: Settings) -> None:
    drop_xrays(empty_settings.incoming_dir, 1)

    with pytest.raises(NoChampion, match="xray train"):
        scan(empty_settings)

    assert read_lines(empty_settings) == {}


def test_one_bad_file_does_not_sink_the_batch_and_keeps_its_reason(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 3)
    (settings.incoming_dir / "report.png").write_bytes(b"%PDF-1.7 not an image")
    (settings.incoming_dir / "half.png").write_bytes((settings.incoming_dir / "xray-0-000.png").read_bytes()[:500])
    (settings.incoming_dir / "link.png").symlink_to("/etc/passwd")
    (settings.incoming_dir / "study").mkdir()

    counts = scan(settings)

    assert counts.scored == 3
    assert counts.rejected == Counter(UNSUPPORTED_FORMAT=1, SYMLINK=1, NOT_REGULAR_FILE=1)
    assert counts.deferred == Counter(TRUNCATED=1)
    lines = read_lines(settings)
    assert len(lines) == 7
    assert (lines["half.png"].state, lines["half.png"].reason_code) == (FileState.DEFERRED, ReasonCode.TRUNCATED)


def test_a_deferred_file_is_scored_once_it_is_whole(settings: Settings) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert scan(settings).deferred.total() == 1

    path.write_bytes(whole)

    assert scan(settings).scored == 1
    assert read_lines(settings)[path.name].state is FileState.SCORED


def test_the_same_content_under_two_names_has_one_result_and_two_lines(settings: Settings) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    (settings.incoming_dir / "copy.png").write_bytes(path.read_bytes())

    scan(settings)

    lines = read_lines(settings)
    assert count_results(settings) == 1
    assert lines["copy.png"].xray_sha256 == lines[path.name].xray_sha256
    assert lines["copy.png"].probability_covid == lines[path.name].probability_covid


def test_new_content_under_an_old_name_is_scored_and_the_old_result_stays(settings: Settings) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    before = read_lines(settings)[path.name].xray_sha256

    Image.fromarray(draw_xray(np.random.default_rng(99), Label.COVID, 96)).save(path)
    scan(settings)

    assert count_results(settings) == 2
    assert read_lines(settings)[path.name].xray_sha256 != before


def test_a_file_that_is_still_growing_is_watched_and_scored_when_it_is_quiet(settings: Settings) -> None:
    settings = settings.but({"settle_seconds": here(0.5)})
    (path,) = drop_xrays(settings.incoming_dir, 1)
    whole = path.read_bytes()
    seen = threading.Event()

    def grow() -> None:
        for size in itertools.count(1):
            path.write_bytes(whole[: -40 + size % 40])
            if seen.wait(0.02):
                break
        path.write_bytes(whole)

    writer = threading.Thread(target=grow)
    writer.start()
    first = scan(settings)
    seen.set()
    writer.join()

    assert first.deferred == Counter(UNSETTLED=1)
    assert scan(settings).scored == 1


def test_a_file_that_arrived_just_now_is_scored_by_the_scan_that_sees_it(settings: Settings) -> None:
    settings = settings.but({"settle_seconds": 0.3})
    drop_xrays(settings.incoming_dir, 2)

    assert scan(settings).scored == 2


def alter_champion(settings: Settings) -> None:
    (model,) = settings.models_dir.glob("*/model.onnx")
    model.chmod(0o600)
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)


def test_an_altered_champion_scores_nothing(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)
    alter_champion(settings)

    with pytest.raises(ModelAltered):
        scan(settings)

    assert count_results(settings) == 0
    assert "model.onnx" in (find_breach(settings)[0] or "")


def test_intake_pauses_on_a_disk_that_is_nearly_full_and_loses_nothing(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)

    with pytest.raises(LowDisk):
        scan(settings.but({"min_free_mib": 2**40}))

    assert scan(settings).scored == 1


def test_scored_files_move_to_the_archive_after_the_commit_and_stay_known(settings: Settings) -> None:
    settings = settings.but({"archive_dir": settings.home / "archive"})
    (path,) = drop_xrays(settings.incoming_dir, 1)

    scan(settings)

    assert not path.exists()
    assert (settings.home / "archive" / path.name).exists()
    assert scan(settings).files == 0
    assert read_lines(settings)[path.name].state is FileState.SCORED


def test_two_scanners_on_one_folder_score_each_file_once(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 100)
    command = [sys.executable, "-m", "flows", "scan"]
    scanners = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]

    answers = [scanner.communicate(timeout=here(100)) for scanner in scanners]

    assert [scanner.returncode for scanner in scanners] == [0, 0], answers
    assert count_results(settings) == 100
    assert len(read_lines(settings)) == 100
    assert find_breach(settings)[0] is None


@pytest.mark.processes
def test_the_scoring_path_leaves_the_heavy_libraries_alone() -> None:
    code = (
        "import sys, db.engine, db.scoring.claims, xray_core.models.scoring\n"
        "import flows.deployments.score_incoming, flows.scoring.scan\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'matplotlib', 'scipy', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.processes
def test_a_scan_that_finds_nothing_does_not_even_load_numpy(settings: Settings) -> None:
    code = (
        "import sys, flows.deployments.score_incoming\n"
        "from flows.scoring.scan import open_scan\n"
        "from flows.settings import read_settings\n"
        "with open_scan(read_settings()) as scan:\n"
        "    sys.exit(str([*scan.find_batches(), *({'numpy', 'PIL.Image', 'onnxruntime'} & set(sys.modules))] or 0))"
    )
    scan(settings)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr.strip() in ("", "0"), done.stderr


@pytest.mark.films
def test_the_forty_real_xrays_are_scored_once(settings: Settings) -> None:
    for source in (FILMS / "incoming").iterdir():
        (settings.incoming_dir / source.name).write_bytes(source.read_bytes())

    assert (scan(settings).scored, scan(settings).scored) == (40, 0)


def test_a_deferred_file_that_went_away_stays_in_the_results_as_gone(settings: Settings) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    path.write_bytes(path.read_bytes()[:500])
    scan(settings)
    path.unlink()

    counts = scan(settings.but({"defer_hours": -1.0}))

    assert counts.rejected == Counter(GONE=1)
    line = read_lines(settings)[path.name]
    assert (line.state, line.reason_code) == (FileState.REJECTED, ReasonCode.GONE)


def test_a_deferred_file_that_went_away_is_gone_whatever_keeps_the_others_from_being_scored(settings: Settings) -> None:
    gone, _ = drop_xrays(settings.incoming_dir, 2)
    gone.write_bytes(gone.read_bytes()[:500])
    scan(settings)
    gone.unlink()
    drop_xrays(settings.incoming_dir, 1, seed=1)
    alter_champion(settings)

    with pytest.raises(ModelAltered):
        scan(settings.but({"defer_hours": -1.0}))

    line = read_lines(settings)[gone.name]
    assert (line.state, line.reason_code) == (FileState.REJECTED, ReasonCode.GONE)
