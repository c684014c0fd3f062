"""Cases of a growing archive: rescans of what is known, memory, exports."""

from __future__ import annotations

from collections.abc import Iterator

from flows.settings import Settings
from tests.benchmarks import peers, service
from tests.benchmarks.homes import add_results
from tests.benchmarks.measurement import Measurement, alternate, at_most
from tests.benchmarks.pictures import write_incoming
from tests.benchmarks.processes import environment_of, peak_megabytes, run_cold
from tests.benchmarks.workshop import Workshop


def rescan(shop: Workshop) -> Iterator[Measurement]:
    """A scan of nothing but known files, against the bare listing, and five times as many files against it."""
    known, most_known = shop.known_home(shop.sizes.known), shop.known_home(shop.sizes.most_known)

    def scan(settings: Settings) -> float:
        done = shop.service.submit(service.scan_folder, str(settings.home)).result()
        if done.scored:
            raise RuntimeError(f"{done.scored} known files were scored again")
        return done.seconds

    def list_and_stat(_: int) -> float:
        return shop.peer.submit(peers.list_and_stat, str(known.incoming_dir)).result()

    for settings in (known, most_known):
        scan(settings)
    ours, theirs, more = alternate(shop.sizes.rounds, lambda _: scan(known), list_and_stat, lambda _: scan(most_known))
    what = f"rescan of {shop.sizes.known:,} known files"
    yield Measurement(what, "os.scandir and stat", "s", ours, theirs, at_most(3))
    times = shop.sizes.most_known / shop.sizes.known
    yield Measurement(
        f"rescan of {shop.sizes.most_known:,}, each {times:g}th part", what, "s",
        tuple(seconds / times for seconds in more), ours, at_most(1.2),
    )  # fmt: skip


def memory(shop: Workshop) -> Iterator[Measurement]:
    """What a scan of a few new X-rays takes at most, workers included, beside many known files and beside few."""

    def scan(count: int) -> float:
        settings = shop.known_home(count)
        arrived = shop.new_path("arrived")
        for path in write_incoming(arrived, shop.sizes.few, tiny=shop.sizes.tiny):
            path.rename(settings.incoming_dir / f"{arrived.name}-{path.name}")
        return peak_megabytes(["flows", "scan"], environment_of(settings))

    ours, little = alternate(
        min(3, shop.sizes.rounds), lambda _: scan(shop.sizes.most_known), lambda _: scan(shop.sizes.little_known)
    )
    what = f"memory of a scan, {shop.sizes.most_known:,} known"
    yield Measurement(what, f"{shop.sizes.little_known:,} known", "MB", ours, little, at_most(2))
    yield Measurement(what, "in all, with workers", "MB", ours, (), at_most(600))


def export(shop: Workshop) -> Iterator[Measurement]:
    """The results CSV of a large ledger: time, and memory against a small one."""
    large, small = shop.fresh_home(), shop.fresh_home()
    add_results(large, shop.sizes.exported)
    add_results(small, shop.sizes.exported // 10)

    def command() -> list[str]:
        return ["flows", "export", "--out", str(shop.new_path("results.csv"))]

    (seconds,) = alternate(shop.sizes.rounds, lambda _: run_cold(command(), environment_of(large)))
    yield Measurement(f"export of {shop.sizes.exported:,} results", "", "s", seconds, (), at_most(10))
    much, little = alternate(
        min(3, shop.sizes.rounds),
        lambda _: peak_megabytes(command(), environment_of(large)),
        lambda _: peak_megabytes(command(), environment_of(small)),
    )
    against = f"{shop.sizes.exported // 10:,} results"
    yield Measurement("memory of that export", against, "MB", much, little, at_most(1.1))
