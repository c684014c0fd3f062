"""Keras on TensorFlow, imported in the one place that knows how to keep their start-up chatter off the screen.

They take two seconds: they are imported when something of them is first used, or earlier, beside other work.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

# Notes that TensorFlow 2.21 writes straight to descriptor 2 while it is imported, whatever
# TF_CPP_MIN_LOG_LEVEL says: absl's preamble and lines of level I.
_CHATTER = re.compile(rb"WARNING: All log messages before absl::InitializeLog|I\d{4} \d\d:\d\d:")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

_LOADING = threading.RLock()
_LOADED: dict[str, ModuleType] = {}


def load_beside() -> None:
    """Begin to import both in a thread; whoever needs them first waits for it.

    A process that is started meanwhile would inherit the muted descriptor: start it before.
    """
    threading.Thread(target=_load, args=("keras",), daemon=True).start()


def finish_loading() -> None:
    """Wait until both are imported, so that what comes next is no longer than it seems."""
    _load("keras")
    _load("tensorflow")


class _Deferred:
    """A module that is imported with the first look at one of its attributes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(_load(self._name), attribute)


def _load(name: str) -> Any:
    with _LOADING:
        if name not in _LOADED:
            with _without_chatter():
                _LOADED[name] = import_module(name)
        return _LOADED[name]


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hold back what is written to descriptor 2, and afterwards pass on every line that is not chatter."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held:
                if not _CHATTER.match(line):
                    os.write(2, line)


if TYPE_CHECKING:
    import keras
    import tensorflow as tf
else:
    keras, tf = _Deferred("keras"), _Deferred("tensorflow")

__all__ = ["keras", "load_beside", "tf"]
