"""The frozen values and the errors of processes."""

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


class ProcessLost(OSError):
    """The process that worked on a call died; a negative `exitcode` is the signal that killed it."""

    def __init__(self, exitcode: int | None) -> None:
        super().__init__(f"the process died with exit code {exitcode}")
        self.exitcode = exitcode


class CallFailed(OSError):
    """The call raised something; only the type's name is told, for its words can quote a file."""

    def __init__(self, error: str) -> None:
        super().__init__(f"the call raised {error}")
        self.error = error
