"""On what a training ran: one seed trains one model only where none of this is another."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from xray_core.networks.quiet_keras import keras, tf

# What turns a film's bytes into grey levels, and grey levels into weights; other libraries change no number.
_LIBRARIES: Final = ("numpy", "scipy", "scikit-learn", "pillow", "kornia-rs", "pydicom", "python-gdcm")
# What makes TensorFlow add up in another order.
_SWITCHES: Final = ("TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The processor and how many cores of it, versions by library, switches by environment variable, the commit.

    `code_revision` ends in `+changes` where files differed from the commit.
    """

    processor: str
    cores: int
    versions: Mapping[str, str]
    switches: Mapping[str, str]
    code_revision: str


def read_circumstances(code_revision: str) -> Circumstances:
    """Those of this process."""
    return Circumstances(
        processor=_name_processor(),
        cores=_count_cores(),
        versions={
            "Python": platform.python_version(),
            "TensorFlow": tf.__version__,
            "Keras": keras.__version__,
            **dict(_find_versions()),
        },
        switches={name: os.environ[name] for name in _SWITCHES if name in os.environ},
        code_revision=code_revision,
    )


def find_differences(then: Circumstances, now: Circumstances) -> tuple[str, ...]:
    """What was other then than it is now, a few words each; empty where a training must give the same model."""
    return tuple(_find_differences(then, now))


def _find_differences(then: Circumstances, now: Circumstances) -> Iterator[str]:
    yield from _say("processor", then.processor, now.processor)
    yield from _say("processor cores", f"{then.cores}", f"{now.cores}")
    for before, after in ((then.versions, now.versions), (then.switches, now.switches)):
        for name in dict.fromkeys((*before, *after)):
            yield from _say(name, before.get(name, "none"), after.get(name, "none"))
    if any(one.code_revision.endswith("+changes") for one in (then, now)):
        yield f"code: it had changes that no commit holds ({then.code_revision} then, {now.code_revision} now)"
    else:
        yield from _say("code", then.code_revision, now.code_revision)


def _say(name: str, then: str, now: str) -> Iterator[str]:
    if then != now:
        yield f"{name}: {then} then, {now} now"


def _name_processor() -> str:
    """The model's name where the system tells it, else the kind of machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _count_cores() -> int:
    """How many this process may run on: TensorFlow takes as many threads."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _find_versions() -> Iterator[tuple[str, str]]:
    for name in _LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
