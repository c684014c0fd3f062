"""Keras on TensorFlow, imported in the one place that knows how to keep their start-up chatter off the screen."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Notes that TensorFlow 2.21 writes straight to descriptor 2 while it is imported, whatever
# TF_CPP_MIN_LOG_LEVEL says: absl's preamble and lines of level I.
_CHATTER = re.compile(rb"WARNING: All log messages before absl::InitializeLog|I\d{4} \d\d:\d\d:")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


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


with _without_chatter():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
