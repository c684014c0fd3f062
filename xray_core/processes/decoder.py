"""What runs inside a decoder process: its limits, and one chunk of files from path to fitted pixels."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from xray_core.errors import UnreadableXray
from xray_core.imaging.content import FileContent, check_sidecar, read_content, take_content
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.network_input import fit_picture
from xray_core.imaging.radiograph import Radiograph, read_radiograph
from xray_core.imaging.records import UNIDENTIFIED, Identifiers, ImageFacts, Preprocessing
from xray_core.processes.lifeline import die_with_parent
from xray_core.records import ReasonCode, Refusal

_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_KEPT_ENVIRONMENT = frozenset({"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"})

# What a process says once it is prepared.
READY = b"ready"

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Reader = Callable[..., Radiograph]


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """One file to decode: its raw name, and the size and mtime with which it was seen.

    A decoder has no credentials and, where the system allows it, no network: of a film in a bucket `content` holds its
    bytes, or why they could not be fetched.
    """

    name: bytes
    size: int
    mtime_ns: int
    content: bytes | Refusal | None = field(default=None, repr=False)

    @property
    def carried(self) -> int:
        """How many bytes travel with it."""
        return len(self.content) if isinstance(self.content, bytes) else 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """A whole X-ray: its content's SHA-256 and its grey levels (height, width) uint8, fitted to the network.

    `identifiers` are raw: make pseudonyms of them at once and log them never.
    """

    sha256: str
    grey: NDArray[np.uint8]
    facts: ImageFacts
    dhash: str
    seconds: float
    identifiers: Identifiers = UNIDENTIFIED


@dataclass(frozen=True, slots=True)
class Undecoded:
    """A file that could not be read, and why; its SHA-256 where its bytes could be read at all."""

    sha256: str | None
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """What all files of a decoder have in common."""

    preprocessing: Preprocessing
    directory: Path | None
    timeout_seconds: float
    read: Reader = read_radiograph
    limits: ImageLimits = field(default_factory=ImageLimits)
    chest_words: tuple[str, ...] = ()


def decode_chunk(job: DecodeJob, requests: Sequence[DecodeRequest]) -> list[Decoded | Undecoded]:
    """Decode files in turn, an answer each, in order. One that takes more memory than allowed is a RESOURCE_LIMIT."""
    limit_processor_time(job.timeout_seconds)
    try:
        directory_fd = None if job.directory is None else os.open(job.directory, _DIRECTORY_FLAGS)
    except OSError:
        refusal = Refusal(ReasonCode.GONE, "its folder is no longer there")
        return [Undecoded(None, refusal) for _ in requests]
    try:
        return [_decode(job, request, directory_fd) for request in requests]
    finally:
        if directory_fd is not None:
            os.close(directory_fd)


def _decode(job: DecodeJob, request: DecodeRequest, directory_fd: int | None) -> Decoded | Undecoded:
    started = perf_counter()
    digest: str | None = None
    try:
        read = _read(job, request, directory_fd)
        digest = read.sha256
        if request.content is None:
            check_sidecar(request.name, digest, directory_fd=directory_fd)
        radiograph = job.read(
            read.content,
            name_ending=Path(os.fsdecode(request.name)).suffix,
            draft_size=(job.preprocessing.width, job.preprocessing.height),
            limits=job.limits,
            rules=job.preprocessing.rules,
            chest_words=job.chest_words,
        )
        grey = np.ascontiguousarray(fit_picture(radiograph.picture, job.preprocessing))
    except UnreadableXray as error:
        return Undecoded(digest, Refusal(error.reason, error.detail))
    except MemoryError:
        return Undecoded(digest, Refusal(ReasonCode.RESOURCE_LIMIT, "needs more memory than allowed"))
    seconds = perf_counter() - started
    return Decoded(digest, grey, radiograph.facts, radiograph.dhash, seconds, radiograph.identifiers)


def _read(job: DecodeJob, request: DecodeRequest, directory_fd: int | None) -> FileContent:
    match request.content:
        case bytes():
            return take_content(request.content, job.limits)
        case Refusal():
            raise UnreadableXray(request.content.reason, request.content.detail)
    return read_content(
        request.name, directory_fd=directory_fd, size=request.size, mtime_ns=request.mtime_ns, limits=job.limits
    )


def confine_process(memory_bytes: int, niceness: int) -> None:
    """Give up, before the first foreign byte is parsed, everything that decoding does not need.

    Address space (`memory_bytes` above what the process has now), core dumps and written files are limited, most
    of the environment and both output streams are dropped, and the process dies with its parent. Where the system
    lets it, the network goes too.
    """
    _leave_network()  # first: a namespace of users is for processes of one thread
    _die_with_program()
    for name in os.environ.keys() - _KEPT_ENVIRONMENT:
        del os.environ[name]
    sys.dont_write_bytecode = True
    os.nice(niceness)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _limit_address_space(memory_bytes)
    _drop_output()


def _leave_network() -> None:
    """Move to a network of no interfaces, for good; where the system forbids that, everything stays as it is.

    Who has CAP_SYS_ADMIN may do so at once, and keeps its rights on files. Who has no capability at all needs a
    namespace of users, which many containers and some systems forbid. Any other stays: in such a namespace it would
    lose what it may, and root in a container reads the films of other users by CAP_DAC_OVERRIDE.
    """
    if sys.platform == "linux":
        unshare = ctypes.CDLL(None).unshare
        if unshare(_CLONE_NEWNET) != 0 and not _has_capabilities():
            unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _has_capabilities() -> bool:
    """Whether this process may anything that its user alone may not."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return any(int(line.partition(":")[2], 16) != 0 for line in lines if line.startswith("CapEff:"))


def _die_with_program() -> None:
    """Never outlive the program that asked, nor the fork server, whatever a decoder is doing at that time.

    Linux tells us of the fork server. It lives as long as any of us, so the program itself is watched by a thread;
    a decoder that keeps it from running uses processor time, and that is limited.
    """
    die_with_parent()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _limit_address_space(memory_bytes: int) -> None:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_processor_time(seconds: float) -> None:
    """A second guard beside the pool's clock, for a parent that is too busy or stopped to look at it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 5, hard))


def _drop_output() -> None:
    """C libraries write to these what they think of a file; it may hold a name."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def serve_calls(
    orders: Connection, answers: Connection, prepare: Callable[..., object], given: tuple[object, ...]
) -> None:
    """What runs in a process from start to end: `prepare(*given)`, then one call after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for who started us
    prepare(*given)
    answers.send_bytes(READY)
    while True:
        try:
            work = orders.recv_bytes()
        except EOFError:
            return
        answers.send_bytes(_answer(work))


def _answer(work: bytes) -> bytes:
    """Whether the call came to its end, and its result; or the type's name of what it raised, for words quote files."""
    try:
        call, args = ForkingPickler.loads(work)
        return bytes(ForkingPickler.dumps((True, call(*args))))
    except Exception as error:  # noqa: BLE001  # whatever it is, the process goes on and who waits is told
        return bytes(ForkingPickler.dumps((False, type(error).__name__)))
