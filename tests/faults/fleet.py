"""Several scanners of one ledger, as processes that may be killed or put to sleep, and what each of them did."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from flows.settings import Settings
from tests.faults.scanners import ROOT, read_states, wait_until
from tests.patience import here
from xray_core.records import FileState


@dataclass(frozen=True, slots=True)
class Berth:
    """Where one scanner of the fleet works: its home, and under which host name; None is this machine's own."""

    home: Path
    host: str | None = None


@dataclass(slots=True)
class Fleet:
    """Scanners on one ledger and one folder; each notes what it claims and what it infers before it does so."""

    settings: Settings
    notes: Path
    berths: list[Berth]
    variables: dict[str, str] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    _sailing: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """One scanner a berth."""
        self.notes.touch()
        self._sailing = [self._launch(berth) for berth in self.berths]

    def kill_one(self) -> None:
        """SIGKILL to any of those at work; another one starts in its place."""
        berth = self._find_working()
        self._sailing[berth].kill()
        self._sailing[berth].wait()
        self._sailing[berth] = self._launch(self.berths[berth])

    def put_one_to_sleep(self, seconds: float) -> None:
        """SIGSTOP to one, and SIGCONT after a while."""
        sleeper = self._sailing[self._find_working()]
        sleeper.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        sleeper.send_signal(signal.SIGCONT)

    def wait_for(self, films: int) -> None:
        """Until so many contents were inferred; who ended meanwhile, for others held the rest, starts again."""

        def is_there() -> bool:
            self._start_the_ended()
            return len(self.inferred()) >= films

        wait_until(is_there, seconds=600)

    def finish(self) -> None:
        """Until every film is scored and every scanner has ended well."""

        def is_done() -> bool:
            self._start_the_ended()
            return set(read_states(self.settings).values()) == {FileState.SCORED}

        wait_until(is_done, seconds=600)
        assert {scanner.wait(here(60)) for scanner in self._sailing} == {0}

    def sink(self) -> None:
        """Whoever still works is killed."""
        for scanner in self._sailing:
            scanner.kill()
            scanner.wait()

    def inferred(self) -> Counter[str]:
        """How often each content was inferred, or was about to be."""
        return self._read("inferred")

    def claimed(self) -> Counter[str]:
        """How often each file was claimed."""
        return self._read("claimed")

    def empty_claims(self) -> int:
        """How many of them brought none."""
        return self._read("asked")["nothing"]

    def claims(self) -> int:
        """How often the ledger's one writer was asked for files."""
        return self._read("asked").total()

    def _read(self, kind: str) -> Counter[str]:
        lines = self.notes.read_text().splitlines()
        return Counter(what for line in lines for word, _, what in [line.partition(" ")] if word == kind)

    def _find_working(self) -> int:
        working = [place for place, scanner in enumerate(self._sailing) if scanner.poll() is None]
        return self.chance.choice(working)

    def _start_the_ended(self) -> None:
        for place, scanner in enumerate(self._sailing):
            if scanner.poll() is not None:
                assert scanner.returncode == 0, (self.notes.with_suffix(".log")).read_text()[-2000:]
                self._sailing[place] = self._launch(self.berths[place])

    def _launch(self, berth: Berth) -> subprocess.Popen[bytes]:
        named = ["unshare", "--uts", "sh", "-c", f'hostname {berth.host} && exec "$@"', "sh"] if berth.host else []
        bound = [sys.executable, "-m", "xray_core.processes.lifeline", str(os.getpid()), sys.executable]
        program = ["-m", "tests.faults.programs", "scan_and_note", str(self.notes)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "XRAY_HOME": str(berth.home)} | self.variables
        with self.notes.with_suffix(".log").open("ab") as log:
            return subprocess.Popen([*named, *bound, *program], env=environment, stdout=log, stderr=log)


def twice(counted: Counter[str]) -> int:
    """What was done once more than needed, summed."""
    return counted.total() - len(counted)


def make_second_home(settings: Settings, name: str) -> Path:
    """A home of its own, with the key and the models of another one and no ledger: for the same database and folder."""
    home = settings.home.with_name(name)
    shutil.copytree(settings.home, home, ignore=shutil.ignore_patterns("run", "incoming", "xray.db*"))
    return home
