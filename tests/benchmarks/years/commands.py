"""Every command that reads history, as a process of its own: its time and the most memory that it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

from flows.settings import CHECKOUT, Settings
from tests.benchmarks.processes import environment_of
from tests.benchmarks.years.rows import END, content_of, name_of, patient_of

_CSV_ROWS = 200
_YESTERDAY = f"{END - timedelta(days=1):%Y-%m-%dT%H:%M:%S}"
_FRESH = count()


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall and of processor (with whatever it started), and the most memory (MB) of a process."""

    seconds: float
    processor: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Command:
    """A command by its name in the table; `arguments` follow `python -m`, for a home and a folder to write to.

    `is_constant` must cost in years what it cost in the first week; `is_bounded` must stay below a figure; the others
    read all that there is, and may take as much longer, in the same memory; one that `is_flat` has that judged alone.
    """

    name: str
    arguments: Callable[[Settings, Path, int], list[str]]
    is_constant: bool = False
    is_bounded: bool = False
    is_flat: bool = False


def run(command: Command, settings: Settings, folder: Path, films: int) -> Cost:
    """Run it once. Raises RuntimeError, with its last words, when it fails."""
    arguments = command.arguments(settings, folder, films)
    said = folder / "said.txt"
    with said.open("wb") as out:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=CHECKOUT, env=environment_of(settings), stdout=out, stderr=out
        )
        ended, peak = 0, 0.0
        while not ended:
            peak = max(peak, _read_peak(process.pid))
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            time.sleep(0 if ended else 0.005)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command.name} failed: {said.read_text()[-2000:]}")
    return Cost(seconds, used.ru_utime + used.ru_stime, peak)


def _read_peak(pid: int) -> float:
    """The most memory (MB) that a process has had so far: getrusage would count what it was forked from as well."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return max((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")), default=0.0)


def _xray(*arguments: str) -> Callable[[Settings, Path, int], list[str]]:
    return lambda *_: ["flows", *arguments]


def _writing(*arguments: str, to: str) -> Callable[[Settings, Path, int], list[str]]:
    return lambda _, folder, __: ["flows", *arguments, str(folder / f"{next(_FRESH)}-{to}")]


def _step(name: str) -> Callable[[Settings, Path, int], list[str]]:
    return lambda *_: ["tests.benchmarks.years.steps", name]


def _why(settings: Settings, folder: Path, films: int) -> list[str]:
    return ["flows", "why", name_of(films // 2)]


def _show(settings: Settings, folder: Path, films: int) -> list[str]:
    return ["flows", "models", "show", max(path.name for path in settings.models_dir.iterdir())]


def _import_labels(settings: Settings, folder: Path, films: int, *, by_name: bool = False) -> list[str]:
    """Two hundred films that nobody has labelled yet, by content or by file name."""
    start = next(_FRESH) * _CSV_ROWS
    numbers = [1 + (start + place) * 7 % films for place in range(_CSV_ROWS)]
    key = "filename" if by_name else "xray_sha256"
    named = {number: name_of(number) if by_name else content_of(number) for number in numbers}
    path = folder / f"labels-{start}.csv"
    lines = "".join(f"{film},covid,R{start}\n" for film in named.values())
    path.write_text(f"{key},label,labelled_by\n{lines}")
    return ["flows", "labels", "import", str(path), "--accept-contradictions"]


def _import_labels_by_name(settings: Settings, folder: Path, films: int) -> list[str]:
    return _import_labels(settings, folder, films, by_name=True)


def _import_patients(settings: Settings, folder: Path, films: int) -> list[str]:
    start = next(_FRESH) * _CSV_ROWS
    path = folder / f"patients-{start}.csv"
    numbers = [1 + (start + place) * 11 % films for place in range(_CSV_ROWS)]
    lines = "".join(f"{name_of(number)},person {patient_of(number)[:8]}\n" for number in numbers)
    path.write_text(f"filename,patient_id\n{lines}")
    return ["flows", "patients", "import", str(path)]


COMMANDS: tuple[Command, ...] = (
    Command("status", _xray("status", "--json"), is_constant=True),
    Command("why", _why, is_constant=True),
    Command("labels status", _xray("labels", "status"), is_constant=True),
    Command("models list", _xray("models", "list"), is_constant=True),
    Command("models history", _xray("models", "history"), is_constant=True),
    Command("labels import, 200 rows", _import_labels, is_constant=True),
    Command("labels import, by name", _import_labels_by_name, is_constant=True),
    Command("scan that finds nothing", _xray("scan"), is_constant=True),
    Command("worklist", _writing("worklist", "--out", to="worklist.csv"), is_bounded=True),
    Command("reading list", _step("make_list"), is_bounded=True),
    Command("models field", _xray("models", "field"), is_bounded=True),
    Command("check-drift", _step("check_drift"), is_bounded=True),
    Command("is a retraining due", _step("take_labels")),
    Command("what a training asks", _step("plan_training")),
    Command("models show", _show),
    Command("labels agreement", _xray("labels", "agreement")),
    Command("labels adjudicate", _writing("labels", "adjudicate", "--reader", "Eli", "--csv", to="disputes.csv")),
    Command("patients status", _xray("patients", "status")),
    Command("patients import, 200 rows", _import_patients),
    Command("readers list", _xray("readers", "list")),
    Command("results page", _step("show_results")),
    Command("doctor", _xray("doctor", "--json")),
    Command("backup", _writing("backup", to="backup")),
    Command("export", _writing("export", "--out", to="results.csv"), is_flat=True),
    Command(
        "export of a day",
        _writing("export", "--since", f"{END - timedelta(days=1):%Y-%m-%dT%H:%M:%S}", "--out", to="day.csv"),
    ),
    Command("verify", _xray("verify"), is_flat=True),
)
