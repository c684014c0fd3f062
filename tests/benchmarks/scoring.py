"""Cases of scoring: many X-rays in a warm process, a few in a cold one, and two processes on one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sqlalchemy import func, select

from db.engine import open_engine, snapshot
from db.scoring.tables import ResultRow
from flows.home.ledger import find_anchor
from flows.settings import Settings
from tests.benchmarks import peers, service
from tests.benchmarks.measurement import Measurement, alternate, at_least, at_most
from tests.benchmarks.pictures import write_incoming
from tests.benchmarks.processes import environment_of, run_cold, run_together
from tests.benchmarks.workshop import Workshop


def score_many(shop: Workshop) -> Iterator[Measurement]:
    """Many mixed PNG and JPEG files, everything warm, every row committed."""
    count, folder = shop.sizes.many, str(shop.many)
    free_cores: list[float] = []

    def scan(_: int) -> float:
        done = shop.service.submit(service.scan_folder, str(shop.fresh_home().home), folder).result()
        _check(done.scored, count)
        free_cores.append(done.free_cores)
        return count / done.seconds

    def processor_rate(_: int) -> float:
        return shop.peer.submit(peers.measure_processor_rate, folder, shop.onnx_file, draft=False).result()

    def drafted_rate(_: int) -> float:
        return shop.peer.submit(peers.measure_processor_rate, folder, shop.onnx_file, draft=True).result()

    def quickest_rate(_: int) -> float:
        rate = shop.peer.submit(peers.measure_processor_rate, folder, shop.onnx_file, draft=True, rust=True)
        return rate.result()

    def own_rate(_: int) -> float:
        tricks = {"draft": True, "rust": True, "colour_in_rust": True}
        return shop.peer.submit(peers.measure_processor_rate, folder, shop.twin_file, **tricks).result()

    def tf_data(_: int) -> float:
        return count / shop.peer.submit(peers.score_with_tf_data, folder, shop.keras_file).result()

    def one_by_one(_: int) -> float:
        return count / shop.peer.submit(peers.score_one_by_one, folder, shop.keras_file).result()

    for warm_up in (scan, processor_rate, tf_data):
        warm_up(-1)
    free_cores.clear()
    ours, rates, drafted, quickest, own, batched, single = alternate(
        shop.sizes.rounds, scan, processor_rate, drafted_rate, quickest_rate, own_rate, tf_data, one_by_one
    )
    limits = tuple(rate * (os.cpu_count() or 1) for rate in rates)

    def left(rates: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(rate * cores for rate, cores in zip(rates, free_cores, strict=True))

    what = f"scoring {count}, warm"
    for against, peer, least in (
        ("the limit: decode, resize, infer on all cores", limits, 0.9),
        ("the limit on what other programs left of the cores", left(rates), 0.9),
        ("the same with JPEGs scaled while decoding", left(drafted), 0.9),
        ("the same, and PNGs decoded in Rust", left(quickest), 0.88),
        ("the same, PNGs in colour too, and the service's own twin", left(own), 0.88),
        ("tf.data and predict in batches", batched, 1.35),
        ("load_img and predict for each", single, 11),
    ):
        yield Measurement(what, against, "images/s", ours, peer, at_least(least), is_rate=True)


def score_few_cold(shop: Workshop) -> Iterator[Measurement]:
    """The X-rays that arrived since the last run, by `xray scan` in a cold process."""
    folder = shop.new_path("few")
    write_incoming(folder, shop.sizes.few, tiny=shop.sizes.tiny)

    def scan(_: int) -> float:
        settings = shop.fresh_home(folder)
        seconds = run_cold(["flows", "scan"], environment_of(settings))
        _check(_count_results(settings), shop.sizes.few)
        return seconds

    def tf_data(_: int) -> float:
        return run_cold(["tests.benchmarks.peers", str(folder), shop.keras_file], environment_of(Settings()))

    ours, theirs = alternate(shop.sizes.rounds, scan, tf_data)
    yield Measurement(
        f"scoring {shop.sizes.few}, cold", "tf.data and predict in a cold process", "s", ours, theirs, at_least(4)
    )


def score_together(shop: Workshop) -> Iterator[Measurement]:
    """Two scanning processes on one folder against one; no X-ray may be computed twice.

    So many that the half second of processor time which a second process takes to start is no great part of it.
    """
    folder = shop.new_path("together")
    write_incoming(folder, shop.sizes.together, tiny=shop.sizes.tiny)

    def scan(processes: int) -> float:
        settings = shop.fresh_home(folder)
        seconds = run_together(["flows", "scan"], environment_of(settings), processes)
        _check(_count_results(settings), shop.sizes.together)
        return seconds

    two, one = alternate(shop.sizes.rounds, lambda _: scan(2), lambda _: scan(1))
    yield Measurement(f"scoring {shop.sizes.together:,}, two processes", "one process", "s", two, one, at_most(1.05))


def _count_results(settings: Settings) -> int:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        found = session.scalar(select(func.count()).select_from(ResultRow)) or 0
    engine.dispose()
    return found


def _check(scored: int, expected: int) -> None:
    if scored != expected:
        raise RuntimeError(f"{scored} X-rays were scored; expected {expected}: the figures would mean nothing")
