"""The server of decoders may be forked from the program itself, in its first lines: then Python starts once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.hostile_files import png
from tests.patience import here

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="the server is forked on Linux"),
]

PROGRAM = """
import sys
from pathlib import Path
from xray_core.processes.fork_server import fork_server_from_here

fork_server_from_here()
fork_server_from_here()
sys.modules['sqlalchemy'] = sys  # as if it had been imported by now
import psutil
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.processes.decoding import DecodeRequest, open_decoder
from tests.faulty_readers import read_or_fail, report_process

def ask(name, read):
    path = Path(sys.argv[1], name)
    request = DecodeRequest(path.name.encode(), path.stat().st_size, path.stat().st_mtime_ns)
    preprocessing = Preprocessing(48, 40, 3, Scaling.UNIT)
    with open_decoder(preprocessing, directory=path.parent, workers=2, read=read) as decoder:
        (_, answer), = decoder.decode([("film", request)])
        return answer

print(ask("told.png", report_process).refusal.detail)
print(type(ask("film.png", read_or_fail)).__name__)
print(sum(child.pid != own.pid for own in [psutil.Process()] for child in own.children()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def program(tmp_path: Path) -> subprocess.Popen[str]:
    (tmp_path / "film.png").write_bytes(png())
    (tmp_path / "told.png").write_bytes(os.fsencode(tmp_path / "written"))
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_its_decoders_know_nothing_that_the_program_did_since(program: subprocess.Popen[str]) -> None:
    with program:
        output, errors = program.communicate("", timeout=here(60))

    told, decoded, children = output.splitlines()
    assert "heavy=[] main=none" in told, errors
    assert told.endswith("cannot write")
    # The server alone: multiprocessing would have a tracker of semaphores beside it.
    assert (decoded, children, errors) == ("Decoded", "1", "")


def test_it_ends_with_the_program_however_that_ends(program: subprocess.Popen[str]) -> None:
    with program:
        assert program.stdout is not None
        for _ in range(3):
            program.stdout.readline()
        started = psutil.Process(program.pid).children(recursive=True)
        assert started

        program.kill()

        _, alive = psutil.wait_procs(started, timeout=here(10))
    assert alive == []
