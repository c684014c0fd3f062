"""The whole loop on synthetic X-rays: a real server, the real deployments, a real worker, a reviewer played by us."""

from __future__ import annotations

import csv
import io
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.home.ledger import prepare_ledger
from flows.operations.status import read_status
from flows.service.child import Address, child_environment
from flows.service.service import running_service
from flows.settings import CHECKOUT, Settings
from xray_core.errors import PersonNeeded
from xray_core.records import RESEARCH_USE, Label
from xray_core.synthetic.xrays import write_sample_set

_TRAINING_PER_CLASS = 110
_INCOMING_PER_CLASS = 90
_RETRAIN_AFTER = 20
_TARGET = 0.9  # about 22 patients of a class choose the thresholds; chance might leave under 19, too few for 0.95
_Say = Callable[[str], None]


def run_demo(keep: Path | None, *, say: _Say) -> None:
    """Walk the loop once and say at each step what happened; raises PersonNeeded when a step does not come."""
    started = time.monotonic()
    folder = _open_folder(keep)
    settings = Settings(
        home=folder / "home",
        retrain_after=_RETRAIN_AFTER,
        settle_seconds=1,
        target_sensitivity=_TARGET,
        target_specificity=_TARGET,
    )
    prepare_ledger(settings)
    address = Address("127.0.0.1", _free_port())
    clock = _Clock(started, say)
    dataset = folder / "dataset"
    write_sample_set(dataset, per_class=_TRAINING_PER_CLASS, patients=_TRAINING_PER_CLASS, seed=1)
    clock.step(f"drew {2 * _TRAINING_PER_CLASS} synthetic X-rays to train on in {dataset}")
    service = running_service(settings, address, say=clock.note, stop=threading.Event())
    with _first_training(dataset, settings, address) as training, service:
        _report_first_model(training, settings, clock)
        _walk_the_loop(settings, address, _deliver(settings, clock), clock)
    clock.step(f"done in {time.monotonic() - started:.0f} s; throw {folder} away when you have seen enough")
    say(RESEARCH_USE)


@contextmanager
def _first_training(dataset: Path, settings: Settings, address: Address) -> Iterator[subprocess.Popen[str]]:
    """`xray train` in a process of its own, while the server starts beside it."""
    command = [sys.executable, "-m", "flows", "train", str(dataset), "--patients", str(dataset / "patients.csv")]
    training = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=child_environment(settings, address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield training
    finally:
        training.kill()
        training.wait()


def _report_first_model(training: subprocess.Popen[str], settings: Settings, clock: _Clock) -> None:
    with clock.waiting("the first model"):
        told, problem = training.communicate()
    if training.returncode:
        raise PersonNeeded(f"the first training failed: {problem.strip()}")
    for line in told.strip().splitlines():
        clock.note(line)
    clock.step(f"the first champion stands in {settings.models_dir}")


def _deliver(settings: Settings, clock: _Clock) -> dict[str, Label]:
    """New X-rays arrive; what they truly are stays with us until the reviewer looks."""
    truth = write_sample_set(
        settings.incoming_dir, per_class=_INCOMING_PER_CLASS, patients=_INCOMING_PER_CLASS, seed=2, layout="flat"
    )
    clock.step(f"{len(truth)} new X-rays arrived in {settings.incoming_dir}")
    return truth


def _walk_the_loop(settings: Settings, address: Address, truth: dict[str, Label], clock: _Clock) -> None:
    with clock.waiting("the schedule to score what arrived"):
        _wait_for(lambda: read_status(settings).files.get("scored", 0) == len(truth), seconds=120)
    clock.step(f"a scheduled run of score-incoming scored {len(truth)} X-rays")

    with clock.waiting("export-results, started by hand"):
        _run_deployment("export-results/export-results", settings, address)
        _wait_for(lambda: any(settings.exports_dir.glob("*.csv")), seconds=60)
    exported = max(settings.exports_dir.glob("*.csv"))
    clock.step(f"the results CSV is {exported}")

    _review(exported, settings.labels_dir / "reviewed.csv", truth)
    with clock.waiting("the schedule to import the reviewer's labels"):
        _wait_for(lambda: read_status(settings).labels_imported > 0, seconds=120)
    clock.step(f"a scheduled run of import-labels took in {read_status(settings).labels_imported} labels")

    with clock.waiting("the retraining that the labels triggered"):
        _wait_for(lambda: read_status(settings).trainings_finished > 1, seconds=180)
    last = read_status(settings).last_training
    assert last is not None
    assert last.candidate_version is not None
    clock.step(f"verdict on {last.candidate_version}: {last.verdict}: {last.reason}")
    for plot in sorted((settings.models_dir / last.candidate_version).glob("*.png")):
        clock.note(str(plot))
    clock.note(str(settings.models_dir / last.candidate_version / "MODEL_CARD.md"))
    time.sleep(3)  # the run that wrote the verdict has yet to end
    clock.step("the flow runs, as they stand in the Prefect UI:")
    for line in _list_runs(settings, address):
        clock.note(line)


def _review(exported: Path, reviewed: Path, truth: dict[str, Label]) -> None:
    """Fill in the results CSV as a reviewer would, and drop it under its final name."""
    rows = list(csv.DictReader(io.StringIO(exported.read_text())))
    for row in rows:
        row["label"] = truth[row["file"]].value
        row["labelled_by"] = "demo reviewer"
    aside = reviewed.with_suffix(".part")
    with aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    aside.rename(reviewed)


def _run_deployment(name: str, settings: Settings, address: Address) -> None:
    prefect = Path(sys.executable).with_name("prefect")
    subprocess.run(
        [str(prefect), "deployment", "run", name],
        cwd=CHECKOUT,
        env=child_environment(settings, address),
        capture_output=True,
        check=True,
    )


def _list_runs(settings: Settings, address: Address) -> list[str]:
    listed = subprocess.run(
        [sys.executable, "-m", "flows.service.run_history"],
        cwd=CHECKOUT,
        env=child_environment(settings, address),
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.splitlines()


def _wait_for(happened: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise PersonNeeded(f"it did not happen within {seconds:.0f} s; the logs are in the home's run/ folder")
        time.sleep(1)


class _Clock:
    """Says what happens, with the seconds since the start; never silent for long."""

    def __init__(self, started: float, say: _Say) -> None:
        self._started = started
        self._say = say

    def step(self, sentence: str) -> None:
        self._say(f"[{time.monotonic() - self._started:4.0f} s] {sentence}")

    def note(self, sentence: str) -> None:
        self._say(f"         {sentence}")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say every ten seconds that it still waits, and for what."""
        done = threading.Event()
        self.step(f"waiting for {what} ...")

        def remind() -> None:
            while not done.wait(10):
                self.step(f"  still waiting for {what} ...")

        reminder = threading.Thread(target=remind, daemon=True)
        reminder.start()
        try:
            yield
        finally:
            done.set()
            reminder.join()


def _open_folder(keep: Path | None) -> Path:
    """The folder to work in. The throw-away one stays until its owner or the system tidies up: it holds the plots."""
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="xray-demo-"))
    keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    return keep.absolute()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
