"""Reading X-rays from where they lie, in isolated decoder processes: known ones, and those of a dataset."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xray_core.exchange.dataset_folder import DatasetFolder
from xray_core.exchange.records import DatasetItem
from xray_core.imaging.records import Preprocessing
from xray_core.processes.decoding import Decoded, Ticket, Undecoded, open_decoder
from xray_core.processes.fetching import fetch_ahead
from xray_core.processes.records import DecoderLimits
from xray_core.records import FilmPath, LabelledXray
from xray_core.stores.film import FilmPlace

if TYPE_CHECKING:  # a scan keeps nothing, and need not import what does
    from xray_core.processes.grey_store import GreyStore

Advance = Callable[[int], None]
Locate = Callable[[FilmPath], FilmPlace]

_NICE = 5  # Keras is imported, or films are scored, beside what is decoded here


@dataclass(frozen=True, slots=True)
class DatasetFilms:
    """The readable X-rays of a dataset in the folder's order, one per content, and what was kept out, by reason.

    `repeated` is how many further files show a content that is there already, under the same label.
    """

    films: tuple[tuple[DatasetItem, Decoded], ...]
    kept_out: Counter[str]
    repeated: int


def read_dataset_films(
    dataset: DatasetFolder,
    limits: DecoderLimits,
    preprocessing: Preprocessing,
    *,
    on_progress: Advance = lambda _: None,
) -> DatasetFilms:
    """Decode every file of a dataset once; the first file of a content in the folder's order stands for it.

    The same content under two labels is kept out under both: nobody can know which one is right.
    """
    kept_out = Counter(dataset.kept_out)
    decoded: list[tuple[int, Decoded]] = []
    paths = ((place, os.fsencode(item.path)) for place, item in enumerate(dataset.items))
    for place, answer in decode_paths(limits, paths, preprocessing):
        on_progress(1)
        if isinstance(answer, Decoded):
            decoded.append((place, answer))
        else:
            kept_out[answer.refusal.reason.value] += 1
    decoded.sort(key=lambda pair: pair[0])
    by_content: dict[str, list[tuple[DatasetItem, Decoded]]] = {}
    for place, film in decoded:
        by_content.setdefault(film.sha256, []).append((dataset.items[place], film))
    agreed = [files for files in by_content.values() if len({item.label for item, _ in files}) == 1]
    if contradictory := len(by_content) - len(agreed):
        kept_out["the same content under two labels"] += contradictory
    return DatasetFilms(tuple(files[0] for files in agreed), kept_out, sum(len(files) - 1 for files in agreed))


def read_xrays(
    limits: DecoderLimits,
    xrays: Sequence[LabelledXray],
    preprocessing: Preprocessing,
    *,
    locate: Locate,
    store: GreyStore | None = None,
    on_progress: Advance = lambda _: None,
) -> tuple[dict[str, Decoded], dict[str, int]]:
    """Decode X-rays from where `locate` says that they lie, by SHA-256; and how many are not there, by reason.

    A file whose bytes have changed since is `CHANGED`: it is another X-ray now. With a `store` those alone are decoded
    that it does not hold, and kept there.
    """
    decoded: dict[str, Decoded] = {}
    unreadable: Counter[str] = Counter()
    films = ((xray, xray.sha256, locate(xray.path)) for xray in xrays)
    for xray, answer in decode_known(limits, films, preprocessing, store):
        on_progress(1)
        if not isinstance(answer, Decoded):
            unreadable[answer.refusal.reason.value] += 1
        elif answer.sha256 != xray.sha256:
            unreadable["CHANGED"] += 1
        else:
            decoded[answer.sha256] = answer
    return decoded, dict(unreadable)


def decode_known(
    limits: DecoderLimits,
    films: Iterable[tuple[Ticket, str, FilmPlace]],
    preprocessing: Preprocessing,
    store: GreyStore | None = None,
) -> Iterator[tuple[Ticket, Decoded | Undecoded]]:
    """Decode files, each with a ticket and the content (SHA-256) that is expected in it; first come those of a `store`.

    It answers for a film whose file has not changed since it was decoded; what is decoded now is kept there. A film in
    a bucket is fetched and decoded each time: to ask for its ETag takes as long.
    """
    if store is None:
        yield from decode_paths(limits, ((ticket, place) for ticket, _, place in films), preprocessing)
        return
    from xray_core.processes.grey_store import open_shelf, stamp_file

    with open_shelf(store, preprocessing, limits.chest_words) as shelf:
        unknown = []
        for ticket, sha256, place in films:
            stamp = stamp_file(place, store.settled_seconds) if isinstance(place, bytes) else ""
            kept = shelf.take(sha256, stamp)
            if kept is None:
                unknown.append(((ticket, sha256, stamp), place))
            else:
                yield ticket, kept
        for (ticket, sha256, stamp), answer in decode_paths(limits, unknown, preprocessing) if unknown else ():
            if isinstance(answer, Decoded) and answer.sha256 == sha256:
                shelf.put(answer, stamp)
            yield ticket, answer


def decode_paths(
    limits: DecoderLimits, films: Iterable[tuple[Ticket, FilmPlace]], preprocessing: Preprocessing
) -> Iterator[tuple[Ticket, Decoded | Undecoded]]:
    """Decode films in isolated processes; each place comes with a ticket, and so does its answer."""
    with open_decoder(
        preprocessing,
        workers=limits.workers,
        timeout_seconds=limits.seconds,
        memory_bytes=limits.mib * 2**20,
        niceness=_NICE,
        chest_words=limits.chest_words,
    ) as decoder:
        yield from decoder.decode(fetch_ahead(films))
