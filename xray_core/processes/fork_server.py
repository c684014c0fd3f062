"""The server that decoder processes are forked from: it has imported what they need, and nothing of the program."""

from __future__ import annotations

import gc
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType
from typing import Any, NoReturn

_IMPORTED = ("xray_core.processes.decoder", "xray_core.processes.worker_pool")
_SILENCE = "xray_core.processes.silence"
_HIDING = threading.Lock()


def start_fork_server() -> None:
    """Start it where it does not run yet, and do not wait for it.

    It imports for a quarter of a second: called early, while the caller has imports and models of its own to load.
    Every decoder process, and every one after a crash, then starts in milliseconds.
    """
    DecoderContext().set_forkserver_preload([*_IMPORTED, _SILENCE])
    with _hidden_main_module():
        forkserver.ensure_running()


def fork_server_from_here() -> None:
    """Import what decoders need, and fork the server from this process rather than start Python once more for it.

    Both have then imported NumPy and Pillow, and it was done once: nearly a fifth of what a scan of one film takes. For
    the first lines of a program that will decode: it has no thread yet, has opened nothing, and has read neither key
    nor ledger, which decoders would inherit. Elsewhere than on Linux nothing happens; the server starts later, as ever.
    """
    server: Any = forkserver._forkserver
    if sys.platform != "linux" or server._forkserver_pid is not None:
        return
    # Before NumPy is imported: it would start threads, which no fork takes along, and nothing here has work for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in _IMPORTED:
        import_module(name)
    gc.freeze()  # else every decoder would soon have copied these pages, to write into them that they were looked at
    with socket.socket(socket.AF_UNIX) as listener:
        address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
        listener.bind(address)
        listener.listen()
        alive, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            _serve(lambda: forkserver.main(listener.fileno(), alive, []))
        os.close(alive)
    server._forkserver_address, server._forkserver_alive_fd, server._forkserver_pid = address, ours, pid
    _need_no_tracker()


def _need_no_tracker() -> None:
    """Have what multiprocessing tells its tracker of semaphores told to nobody: decoders have none.

    It would start one beside every server. A tracker without a process of one's own is what its children have too.
    """
    tracker: Any = resource_tracker._resource_tracker
    if tracker._fd is None:
        tracker._fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def _serve(main: Callable[[], None]) -> NoReturn:
    """Be what that does until nobody can ask it any more, and end without tidying up what is the program's."""
    try:
        sys.modules["__main__"] = ModuleType("__main__")
        gc.enable()
        import_module(_SILENCE)
        main()
    finally:
        os._exit(0)


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
