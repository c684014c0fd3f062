"""Every damaged and hostile file that we know, dropped into the folder of a real scan beside good ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.operations.verification import find_breach
from flows.settings import Settings
from tests.faults.scanners import ROOT
from tests.flows.scoring.test_scan import drop_xrays, read_lines
from tests.hostile_files import hostile_files
from xray_core.records import FileState, ReasonCode, escape_name

pytestmark = pytest.mark.processes

# Files whose whole point is how large they become when they are opened.
BOMBS = ("bomb", "huge", "largest", "megapixels", "mostly-grey", "200-scans")


def test_a_scan_of_every_hostile_file_scores_the_good_ones_and_gives_each_other_its_code(settings: Settings) -> None:
    corpus = hostile_files()
    good = drop_xrays(settings.incoming_dir, 10)
    os.link(good[0], settings.incoming_dir / "hard-link.png")
    for file in corpus:
        file.build(settings.incoming_dir / file.id)

    command = [sys.executable, "-m", "flows", "scan"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    lines = read_lines(settings)
    expected = {escape_name(file.name): file.outcome for file in corpus}
    expected |= {path.name: None for path in good} | {"hard-link.png": None}
    assert {name: line.reason_code for name, line in lines.items()} == expected
    assert {name: line.state for name, line in lines.items()} == {
        name: state_of(reason) for name, reason in expected.items()
    }
    assert lines["hard-link.png"].xray_sha256 == lines[good[0].name].xray_sha256
    assert find_breach(settings)[0] is None


def state_of(reason: ReasonCode | None) -> FileState:
    if reason is None:
        return FileState.SCORED
    return FileState.DEFERRED if reason.may_become_whole else FileState.REJECTED


def test_no_bomb_takes_more_than_100_megabytes(tmp_path: Path) -> None:
    bombs = [file for file in hostile_files() if any(word in file.id for word in BOMBS)]
    assert len(bombs) >= 8
    for bomb in bombs:
        bomb.build(tmp_path / bomb.id)
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from tests.hostile_files import png\n"
        "from xray_core.errors import UnreadableXray\n"
        "from xray_core.imaging.radiograph import read_radiograph\n"
        "read_radiograph(png())\n"
        "contents = [path.read_bytes() for path in Path(sys.argv[1]).iterdir()]\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for content in contents:\n"
        "    try:\n"
        "        read_radiograph(content)\n"
        "    except UnreadableXray:\n"
        "        pass\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert float(done.stdout) < 100
