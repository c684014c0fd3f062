"""Thousands of damaged files dropped into the folder of one real scan: each gets its row, and nothing escapes."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from flows.operations.verification import find_breach
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, read_lines
from tests.mutations import mutated_files
from xray_core.records import FileState, ReasonCode

# What a decoder process says when a file got the better of it: a gap in what we know of a library's errors.
ESCAPES = {ReasonCode.DECODER_CRASHED, ReasonCode.DECODE_TIMEOUT, ReasonCode.RESOURCE_LIMIT}


def scan_mutations(settings: Settings, count: int, seed: int) -> Counter[ReasonCode | None]:
    """Drop mutated files and twenty whole ones, scan once, check; how many files got which reason."""
    good = {path.name for path in drop_xrays(settings.incoming_dir, 20)}
    names = set()
    for name, content in mutated_files(count, seed):
        (settings.incoming_dir / name).write_bytes(content)
        names.add(name)

    command = [sys.executable, "-m", "flows", "scan"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = read_lines(settings)
    assert set(lines) == names | good
    assert {lines[name].state for name in good} == {FileState.SCORED}
    assert {line.state for line in lines.values()} <= {FileState.SCORED, FileState.REJECTED, FileState.DEFERRED}
    assert find_breach(settings)[0] is None
    return Counter(lines[name].reason_code for name in names)


def test_every_mutated_file_gets_a_row(settings: Settings) -> None:
    outcomes = scan_mutations(settings, 150, seed=3)

    assert not ESCAPES & set(outcomes)
    assert len(outcomes) >= 5, "the mutations are all alike"


@pytest.mark.slow
def test_six_thousand_mutated_files_get_a_row_each(settings: Settings) -> None:
    outcomes = scan_mutations(settings, 6000, seed=11)

    assert not ESCAPES & set(outcomes)
    assert len(outcomes) >= 15
    assert outcomes[None] >= 300, "hardly any mutation can be read: nothing but the first check is tried"
