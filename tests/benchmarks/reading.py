"""The case of a reader: from the key to the next film on the screen of a real browser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flows.scoring.scan import open_scan
from tests.benchmarks.measurement import Measurement, at_most
from tests.benchmarks.pictures import write_incoming
from tests.benchmarks.workshop import Workshop
from tests.browser import open_browser
from tests.flows.reading.robot import read_list
from tests.flows.reading.served import serve

_FILMS = 50
_TIMES = "performance.getEntriesByName('key to next film').map((entry) => entry.duration)"


def read_films(shop: Workshop) -> Iterator[Measurement]:
    """The 95th percentile of a list: the verdict is in the ledger and the next film is painted, two films ahead."""
    settings = shop.fresh_home(shop.folder / "read")
    write_incoming(settings.incoming_dir, 8 if shop.sizes.tiny else _FILMS, tiny=shop.sizes.tiny)
    with open_scan(settings) as scan:
        for files in scan.find_batches():
            scan.score(files)
    with (
        serve(settings, "review", "--reader", "robot", "--reveal", "0") as page,
        tempfile.TemporaryDirectory() as profile,
        open_browser(Path(profile)) as browser,
    ):
        browser.resize(1600, 1000)
        browser.open(page.address)
        read_list(browser, lambda _: "n")
        seconds = np.array(browser.evaluate(_TIMES)) / 1000
    slowest = float(np.percentile(seconds, 95))
    yield Measurement("key to next film painted, 95th percentile", "", "s", (slowest,), (), at_most(0.15))
