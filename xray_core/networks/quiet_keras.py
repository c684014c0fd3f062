"""Keras on TensorFlow, imported in the one place that knows how to keep their start-up chatter off the screen.

They take two seconds: they are imported when something of them is first used, or earlier, beside other work.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

# Lines of level I and W stay away. Nothing else is done about what TensorFlow writes: descriptor 2 belongs to the whole
# process, and whoever swaps it while another thread speaks loses that thread's last words.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

_LOADING = threading.RLock()
_LOADED: dict[str, ModuleType] = {}


def load_beside() -> None:
    """Begin to import both in a thread; whoever needs them first waits for it."""
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
            _LOADED[name] = import_module(name)
        return _LOADED[name]


if TYPE_CHECKING:
    import keras
    import tensorflow as tf
else:
    keras, tf = _Deferred("keras"), _Deferred("tensorflow")

__all__ = ["keras", "load_beside", "tf"]
