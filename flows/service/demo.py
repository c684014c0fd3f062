"""The whole loop on synthetic X-rays: a real server, the real deployments, a real worker, a reviewer played by us."""

from __future__ import annotations

import csv
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flows.home.api_login import read_api_login
from flows.home.ledger import prepare_ledger
from flows.operations.server_api import ServerApi
from flows.operations.status import read_status
from flows.service.arrival_runs import RunStanding, read_standing, start_run
from flows.service.child import Address, child_environment
from flows.service.service import POOL, running_service
from flows.settings import CHECKOUT, Settings
from xray_core.errors import PersonNeeded
from xray_core.records import RESEARCH_USE, Label
from xray_core.synthetic.xrays import write_sample_set

_TRAINING_PER_CLASS = 60
_INCOMING_PER_CLASS = 40
_RETRAIN_AFTER = 20
_TARGET = 0.8  # some 12 patients of a class choose the thresholds, by chance a few less: too few for a higher one
_POLL_SECONDS = "1"  # the worker's; a service that runs for years looks every five
# Looks, not seconds: on a busy machine a look takes longer, and so does what it waits for.
_LOOKS_WITHOUT_A_RUN = 120
_Say = Callable[[str], None]


def run_demo(keep: Path | None, *, say: _Say) -> None:
    """Walk the loop once and say at each step what happened; raises PersonNeeded when a step does not come."""
    clock = _Clock(time.monotonic(), say)
    folder = _open_folder(keep)
    settings = Settings(
        home=folder / "home",
        retrain_after=_RETRAIN_AFTER,
        settle_seconds=1,
        target_sensitivity=_TARGET,
        target_specificity=_TARGET,
    )
    prepare_ledger(settings)
    os.environ["PREFECT_WORKER_QUERY_SECONDS"] = _POLL_SECONDS
    address = Address("127.0.0.1", _free_port())
    dataset = folder / "dataset"
    write_sample_set(dataset, per_class=_TRAINING_PER_CLASS, patients=_TRAINING_PER_CLASS, seed=1)
    clock.step(f"drew {2 * _TRAINING_PER_CLASS} synthetic X-rays to train on in {dataset}")
    service = running_service(settings, address, say=clock.note, stop=threading.Event())
    with _first_training(dataset, settings, address) as training, service:
        truth = _draw_arrivals(folder / "arriving")
        _report_first_model(training, settings, clock)
        _deliver(folder / "arriving", settings, clock)
        _walk_the_loop(settings, ServerApi(address.api, read_api_login(settings)), truth, clock)
        clock.step("the flow runs, as they stand in the Prefect UI:")
        for line in _list_runs(settings, address):
            clock.note(line)
    clock.step(f"done; throw {folder} away when you have seen enough")
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


def _draw_arrivals(folder: Path) -> dict[str, Label]:
    """X-rays that have yet to arrive; what they truly are stays with us until the reviewer looks."""
    return write_sample_set(folder, per_class=_INCOMING_PER_CLASS, patients=_INCOMING_PER_CLASS, seed=2, layout="flat")


def _deliver(arriving: Path, settings: Settings, clock: _Clock) -> None:
    films = list(arriving.iterdir())
    for film in films:
        film.rename(settings.incoming_dir / film.name)
    clock.step(f"{len(films)} new X-rays arrived in {settings.incoming_dir}")


def _walk_the_loop(settings: Settings, api: ServerApi, truth: dict[str, Label], clock: _Clock) -> None:
    with clock.waiting("the watcher to have them scored"):
        _wait_for(lambda: read_status(settings).files.get("scored", 0) == len(truth), api, "score-incoming")
    clock.step(f"a run of score-incoming that the watcher started has scored {len(truth)} X-rays")

    _start(api, "export-results")
    with clock.waiting("export-results, started by hand"):
        _wait_for(lambda: any(settings.exports_dir.glob("*.csv")), api, "export-results")
    exported = max(settings.exports_dir.glob("*.csv"))
    clock.step(f"the results CSV is {exported}")

    _review(exported, settings.labels_dir / "reviewed.csv", truth)
    with clock.waiting("the watcher to have the reviewer's labels imported"):
        _wait_for(lambda: read_status(settings).labels_imported > 0, api, "import-labels")
    clock.step(f"a run of import-labels took in {read_status(settings).labels_imported} labels")

    with clock.waiting("the retraining that the labels triggered"):
        _wait_for(lambda: read_status(settings).trainings_finished > 1, api, "retrain")
        while read_standing(api, "retrain", POOL) is RunStanding.UNDER_WAY:
            time.sleep(0.5)  # it has its verdict, and has yet to end
    _report_verdict(settings, clock)


def _report_verdict(settings: Settings, clock: _Clock) -> None:
    last = read_status(settings).last_training
    assert last is not None
    assert last.candidate_version is not None
    clock.step(f"verdict on {last.candidate_version}: {last.verdict}: {last.reason}")
    for plot in sorted((settings.models_dir / last.candidate_version).glob("*.png")):
        clock.note(str(plot))
    clock.note(str(settings.models_dir / last.candidate_version / "MODEL_CARD.md"))


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


def _wait_for(happened: Callable[[], bool], api: ServerApi, deployment: str) -> None:
    """Wait for as long as a run of the deployment is under way, or may still come."""
    looks = 0
    while not happened():
        standing = _ask(api, deployment)
        if standing is RunStanding.FAILED:
            raise PersonNeeded(f"a run of {deployment} failed; the logs are in the home's run/ folder")
        looks = 0 if standing is RunStanding.UNDER_WAY else looks + 1
        if looks > _LOOKS_WITHOUT_A_RUN:
            raise PersonNeeded(f"no run of {deployment} came; the logs are in the home's run/ folder")
        time.sleep(1)


def _start(api: ServerApi, deployment: str) -> None:
    """Ask for a run until the server, which may have much to do, takes it; two are as good as one."""
    for _ in range(_LOOKS_WITHOUT_A_RUN):
        with suppress(OSError, ValueError):
            return start_run(api, deployment, origin="by-hand")
        time.sleep(1)
    raise PersonNeeded(f"no run of {deployment} could be asked for; the logs are in the home's run/ folder")


def _ask(api: ServerApi, deployment: str) -> RunStanding | None:
    """None where the server has too much to do to answer."""
    try:
        return read_standing(api, deployment, POOL)
    except (OSError, ValueError):
        return None


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
