"""The frozen values of processes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """How many decoder processes there are, and what each may take: seconds for one file, MiB of memory."""

    workers: int
    seconds: float
    mib: int
