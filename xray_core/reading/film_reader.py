"""Films for readers, decoded one by one in isolated processes: one that crashes its decoder costs itself alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.errors import UnreadableXray
from xray_core.imaging.content import FileContent, read_content, take_content
from xray_core.imaging.grey_range import DeepPicture
from xray_core.imaging.limits import ImageLimits
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.remedies import mask_markers
from xray_core.processes.decoder import limit_processor_time
from xray_core.processes.pool import explain_failure, start_pool
from xray_core.processes.records import DecoderLimits
from xray_core.processes.worker_pool import WorkerPool
from xray_core.reading.deep_film import read_deep_film
from xray_core.reading.film_script import write_film_script
from xray_core.records import ReasonCode, Refusal
from xray_core.stores.film import BucketFilm, FilmPlace

_NICE = 5
_THUMBNAIL_SIDE = 320
_MASK_SIDE = 512  # burnt-in letters are looked for at about this size


@dataclass(frozen=True, slots=True)
class FilmOrder:
    """A film that is wanted: by which name on the page, from which place, of which content; its letters masked?"""

    name: str
    place: FilmPlace
    sha256: str
    masked: bool = False


_Work = Callable[[FilmOrder, DecoderLimits, bytes | None], bytes | Refusal]


class FilmReader:
    """Films to script files, for as long as its processes are open; any thread may ask."""

    def __init__(self, limits: DecoderLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._pool: WorkerPool | None = None

    def read(self, order: FilmOrder) -> bytes | Refusal:
        """The script of a film, or why there is none."""
        return self._ask(read_film, order)

    def shrink(self, order: FilmOrder) -> bytes | Refusal:
        """A film as a small PNG, or why there is none."""
        return self._ask(shrink_film, order)

    def _ask(self, work: _Work, order: FilmOrder) -> bytes | Refusal:
        """A second process tries where the first one was lost. What lies in a bucket is fetched here."""
        content: bytes | None = None
        if isinstance(order.place, BucketFilm):
            try:
                content, order = order.place.read(), replace(order, place=order.place.name)
            except UnreadableXray as error:
                return Refusal(error.reason, error.detail)
        answer: bytes | Refusal = Refusal(ReasonCode.DECODER_CRASHED, "the decoder processes did not start")
        for _ in range(2):
            try:
                future = self._open().schedule(work, (order, self._limits, content), seconds=self._limits.seconds)
                answer = future.result()
                break
            except BrokenProcessPool:
                self.close()
            except (OSError, MemoryError) as failure:  # a lost process and a timeout are an OSError
                answer = explain_failure(failure, self._limits.seconds)
        return answer

    def close(self) -> None:
        """Stop the processes; the next film starts new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _open(self) -> WorkerPool:
        with self._lock:
            if self._pool is None:
                self._pool = start_pool(self._limits.workers, (self._limits.mib * 2**20, _NICE))
            return self._pool


def read_film(order: FilmOrder, limits: DecoderLimits, content: bytes | None = None) -> bytes | Refusal:
    """What runs in the process: the file's bytes, hashed, decoded at full depth, written as a script."""

    def write(content: bytes) -> bytes:
        film = read_deep_film(content, ImageLimits(), chest_words=limits.chest_words)
        return write_film_script(order.name, mask_letters(film) if order.masked else film)

    return _use_content(order, limits, content, write)


def shrink_film(order: FilmOrder, limits: DecoderLimits, content: bytes | None = None) -> bytes | Refusal:
    """The same for a small picture of 8 bits, its longer side 320 pixels at most."""

    def write(content: bytes) -> bytes:
        size = (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE)
        film = read_radiograph(content, draft_size=size, chest_words=limits.chest_words)
        image = Image.fromarray(film.pixels)
        image.thumbnail(size)
        png = BytesIO()
        image.save(png, "PNG")
        return png.getvalue()

    return _use_content(order, limits, content, write)


def _use_content(
    order: FilmOrder, limits: DecoderLimits, content: bytes | None, write: Callable[[bytes], bytes]
) -> bytes | Refusal:
    """What is made of a film's bytes, given or read, while they are those that are wanted; or why nothing is."""
    limit_processor_time(limits.seconds)
    assert isinstance(order.place, bytes), "what lies in a bucket was fetched: a decoder has no network"
    try:
        read = _read_file(order.place) if content is None else take_content(content, ImageLimits())
        is_wanted = read.sha256 == order.sha256
        return write(read.content) if is_wanted else Refusal(ReasonCode.GONE, "its file holds another picture now")
    except OSError:
        return Refusal(ReasonCode.GONE, "no longer there")
    except UnreadableXray as error:
        return Refusal(error.reason, error.detail)
    except MemoryError:
        return Refusal(ReasonCode.RESOURCE_LIMIT, "needs more memory than allowed")


def _read_file(path: bytes) -> FileContent:
    status = os.lstat(path)
    return read_content(path, directory_fd=None, size=status.st_size, mtime_ns=status.st_mtime_ns, limits=ImageLimits())


def mask_letters(film: DeepPicture) -> DeepPicture:
    """The same film with small bright marks of its outer fifth blackened: burnt-in letters, names and dates."""
    shares = np.clip((film.values - float(film.low)) / max(film.high - film.low, 1), 0, 1)
    step = max(1, min(film.values.shape) // _MASK_SIDE)
    small = _brightest(np.rint(shares * 255).astype(np.uint8), step)
    is_mark = np.repeat(np.repeat(mask_markers(small) != small, step, axis=0), step, axis=1)
    height, width = film.values.shape
    values = film.values.copy()
    values[is_mark[:height, :width]] = 0
    return DeepPicture(values, film.low, film.high, film.curve)


def _brightest(grey: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """The brightest level of each cell of `step` by `step` pixels, also of those that the edge cuts: thin letters."""
    height, width = grey.shape
    padded = np.pad(grey, ((0, -height % step), (0, -width % step)), mode="edge")
    cells = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    brightest: NDArray[np.uint8] = cells.max(axis=(1, 3))
    return brightest
