"""The frozen values of processes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """How many decoder processes there are, what each may take (seconds for one file, MiB of memory) and may accept.

    `chest_words` are a site's own names of the chest as a DICOM body part.
    """

    workers: int
    seconds: float
    mib: int
    chest_words: tuple[str, ...] = ()
