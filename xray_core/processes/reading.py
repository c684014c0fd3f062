"""Reading known X-rays from their files, in isolated decoder processes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from xray_core.imaging.records import Preprocessing
from xray_core.processes.decoding import Decoded, DecodeRequest, Undecoded, open_decoder
from xray_core.processes.records import DecoderLimits
from xray_core.records import FilmPath, LabelledXray

Advance = Callable[[int], None]
Locate = Callable[[FilmPath], bytes]

_NICE = 5  # Keras is imported, or films are scored, beside what is decoded here


def read_xrays(
    limits: DecoderLimits,
    xrays: Sequence[LabelledXray],
    preprocessing: Preprocessing,
    *,
    locate: Locate,
    on_progress: Advance = lambda _: None,
) -> tuple[dict[str, Decoded], dict[str, int]]:
    """Decode X-rays from where `locate` says that they lie, by SHA-256; and how many are not there, by reason.

    A file whose bytes have changed since is `CHANGED`: it is another X-ray now.
    """
    decoded: dict[str, Decoded] = {}
    unreadable: Counter[str] = Counter()
    for item in decode_paths(limits, [locate(xray.path) for xray in xrays], preprocessing):
        on_progress(1)
        if not isinstance(item, Decoded):
            unreadable[item.refusal.reason.value] += 1
        elif item.sha256 != xrays[item.key].sha256:
            unreadable["CHANGED"] += 1
        else:
            decoded[item.sha256] = item
    return decoded, dict(unreadable)


def decode_paths(
    limits: DecoderLimits, paths: Iterable[bytes], preprocessing: Preprocessing
) -> Iterator[Decoded | Undecoded]:
    """Decode files in isolated processes; each answer's key is the file's place in `paths`."""
    requests = (DecodeRequest(place, path, *_size_and_time(path)) for place, path in enumerate(paths))
    with open_decoder(
        preprocessing,
        workers=limits.workers,
        timeout_seconds=limits.seconds,
        memory_bytes=limits.mib * 2**20,
        niceness=_NICE,
        chest_words=limits.chest_words,
    ) as decoder:
        yield from decoder.decode(requests)


def _size_and_time(path: bytes) -> tuple[int, int]:
    """What the decoder compares with what it opens; zeros for a file that is not there: it will say GONE."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns
