"""From where a film lies to what a decoder takes: a path, or bytes that this process has fetched for it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from xray_core.processes.decoder import DecodeRequest
from xray_core.records import Refusal
from xray_core.stores.film import FilmPlace

# Fetched at a time: a store answers one request in tens of milliseconds, and many as fast as one.
_AT_ONCE = 8

Ticket = TypeVar("Ticket")


def fetch_ahead(films: Iterable[tuple[Ticket, FilmPlace]]) -> Iterator[tuple[Ticket, DecodeRequest]]:
    """What a decoder takes for each film, with its ticket: paths as they come, bytes as they have arrived.

    A few films at a time are in memory, however many are asked for.
    """
    under_way: deque[tuple[Ticket, bytes, Future[bytes | Refusal]]] = deque()
    with ExitStack() as stack:
        threads: ThreadPoolExecutor | None = None
        for ticket, place in films:
            if isinstance(place, bytes):
                yield ticket, DecodeRequest(place, *_size_and_time(place))
                continue
            if threads is None:
                threads = stack.enter_context(ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch"))
            under_way.append((ticket, place.name, threads.submit(place.fetch)))
            if len(under_way) >= _AT_ONCE:
                yield _hand_over(*under_way.popleft())
        while under_way:
            yield _hand_over(*under_way.popleft())


def _hand_over(ticket: Ticket, name: bytes, coming: Future[bytes | Refusal]) -> tuple[Ticket, DecodeRequest]:
    return ticket, DecodeRequest(name, 0, 0, coming.result())


def _size_and_time(path: bytes) -> tuple[int, int]:
    """What the decoder compares with what it opens; zeros for a file that is not there: it will say GONE."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
