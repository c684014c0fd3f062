"""The server that decoder processes are forked from: it has imported what they need, and nothing of the program."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType

_NEEDED = ["xray_core.processes.decoder", "xray_core.processes.worker_pool", "xray_core.processes.silence"]
_HIDING = threading.Lock()


def start_fork_server() -> None:
    """Start it where it does not run yet, and do not wait for it.

    It imports for a quarter of a second: called early, while the caller has imports and models of its own to load.
    Every decoder process, and every one after a crash, then starts in milliseconds.
    """
    DecoderContext().set_forkserver_preload(_NEEDED)
    with _hidden_main_module():
        forkserver.ensure_running()


class DecoderProcess(ForkServerProcess):
    """A process that does not import the program which started it.

    multiprocessing would import the parent's main module into every worker: Prefect, say, for seconds and 100 MB.
    What runs here is found by its own module's name, so the main module is hidden while a process starts.
    """

    def start(self) -> None:
        """Start without a main module."""
        with _hidden_main_module():
            super().start()


class DecoderContext(ForkServerContext):
    """What the pools start their processes with."""

    Process = DecoderProcess


@contextmanager
def _hidden_main_module() -> Iterator[None]:
    with _HIDING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
