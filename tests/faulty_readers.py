"""Readers that do to a decoder process what a broken decoder does; which, stands in the file's first word."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from pathlib import Path

from xray_core.errors import UnreadableXray
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.radiograph import Radiograph, read_radiograph
from xray_core.records import ReasonCode


def read_or_fail(
    content: bytes, *, name_ending: str, draft_size: tuple[int, int] | None, limits: ImageLimits, **_: object
) -> Radiograph:
    """Read an X-ray, or crash, hang, eat memory, or raise what nobody expects."""
    match content[:6]:
        case b"SEGV  ":
            ctypes.string_at(0)
        case b"ABORT ":
            os.abort()
        case b"KILL  ":
            os.kill(os.getpid(), signal.SIGKILL)
        case (b"KILL1 " | b"STOP1 ") as word:
            marker, content = content[6:].split(b"\n", 1)
            if not Path(os.fsdecode(marker)).exists():
                Path(os.fsdecode(marker)).mkdir()  # a folder: these processes cannot write files
                os.kill(os.getpid(), signal.SIGKILL if word == b"KILL1 " else signal.SIGSTOP)
        case b"HANG  ":
            time.sleep(600)
        case b"LOOP  ":
            ctypes.CDLL(None).pause()  # in C: no Python signal handler runs
        case b"SPIN  ":
            while True:
                pass
        case b"MEMORY":
            return Radiograph(bytearray(8 << 30), None, "")  # type: ignore[arg-type]
        case b"RAISE ":
            raise KeyError("ZZCANARY")
    return read_radiograph(content, name_ending=name_ending, draft_size=draft_size, limits=limits)


def report_process(content: bytes, **_: object) -> Radiograph:
    """Refuse every file, with what the process is in the words."""
    heavy = {"pandas", "scipy", "keras", "tensorflow", "sqlalchemy", "prefect", "matplotlib", "onnxruntime"}
    words = f"env={sorted(os.environ)} heavy={sorted(heavy & set(sys.modules))} main={_main_file()} nice={os.nice(0)}"
    try:
        Path(os.fsdecode(content)).write_bytes(b"x")
        words += " wrote"
    except OSError:
        words += " cannot write"
    raise UnreadableXray(ReasonCode.CORRUPT_IMAGE, words)


def report_network(content: bytes, **_: object) -> Radiograph:
    """Refuse every file, with what came of a datagram to the address that stands in it."""
    host, port = content.decode().split()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(b"pixels", (host, int(port)))
            words = "sent"
        except OSError as error:
            words = f"not sent: {os.strerror(error.errno or 0)}"
    raise UnreadableXray(ReasonCode.CORRUPT_IMAGE, words)


def _main_file() -> str:
    return Path(getattr(sys.modules["__main__"], "__file__", None) or "none").name
