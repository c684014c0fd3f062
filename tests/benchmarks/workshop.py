"""What the cases share: sizes, a temporary folder, warm processes, and homes that are made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.home.ledger import prepare_ledger
from flows.settings import Settings
from tests.benchmarks.homes import add_known_files, make_home
from tests.benchmarks.pictures import write_incoming
from tests.benchmarks.processes import open_warm_process


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; the defaults are what the figures are stated for."""

    rounds: int = 5
    many: int = 400
    few: int = 40
    together: int = 1_600
    little_known: int = 1_000
    known: int = 200_000
    most_known: int = 1_000_000
    exported: int = 200_000
    sealed: int = 1_000_000
    small: int = 4_000
    epochs: int = 15
    few_labelled: int = 2_000
    many_labelled: int = 20_000
    new_labelled: int = 200
    idle_minutes: float = 4
    years: int = 1_000_000
    years_small: int = 1_000
    tiny: bool = False


TINY = Sizes(
    1,
    many=8,
    few=4,
    together=8,
    little_known=10,
    known=100,
    most_known=300,
    exported=100,
    sealed=100,
    small=8,
    epochs=1,
    few_labelled=100,
    many_labelled=140,
    new_labelled=40,
    idle_minutes=0.5,
    years=200,
    years_small=100,
    tiny=True,
)


@contextmanager
def open_workshop(sizes: Sizes) -> Iterator[Workshop]:
    """A workshop in a temporary folder; everything in it is gone afterwards."""
    with (
        TemporaryDirectory(prefix="xray-bench-") as folder,
        open_warm_process() as service,
        open_warm_process() as peer,
    ):
        yield Workshop(sizes, Path(folder), service, peer)


class Workshop:
    """The lifetime of one run of the benchmarks."""

    def __init__(self, sizes: Sizes, folder: Path, service: ProcessPoolExecutor, peer: ProcessPoolExecutor) -> None:
        self.sizes = sizes
        self.folder = folder
        self.service = service
        self.peer = peer
        self._made = 0
        self._known: dict[int, Settings] = {}

    @cached_property
    def template(self) -> Path:
        """A home with a champion and nothing scored; copy it."""
        home = self.folder / "template" / "home"
        home.parent.mkdir()
        with open_warm_process() as maker:
            maker.submit(make_home, str(home)).result()
        return home

    @property
    def keras_file(self) -> str:
        """The champion as Keras saved it."""
        return str(self.template.with_name("untrained.keras"))

    @property
    def onnx_file(self) -> str:
        """The same network as Keras itself exports it."""
        return str(self.template.with_name("untrained.onnx"))

    @property
    def twin_file(self) -> str:
        """The same network as the service scores with it: the twin of the champion."""
        (twin,) = self.template.glob("models/*/model.onnx")
        return str(twin)

    @cached_property
    def many(self) -> Path:
        """A folder of many X-rays."""
        write_incoming(self.folder / "many", self.sizes.many, tiny=self.sizes.tiny)
        return self.folder / "many"

    def fresh_home(self, incoming: Path | None = None) -> Settings:
        """A new home with the champion and an empty ledger."""
        home = self.new_path("home")
        shutil.copytree(self.template, home)
        return Settings(home=home, incoming=incoming, settle_seconds=0)

    def known_home(self, count: int) -> Settings:
        """A home with the champion whose incoming folder holds `count` files that it knows; made once."""
        if count not in self._known:
            self._known[count] = self.fresh_home()
            add_known_files(self._known[count], count)
        return self._known[count]

    def empty_home(self) -> Settings:
        """A new home without a champion."""
        settings = Settings(home=self.new_path("home"), settle_seconds=0)
        prepare_ledger(settings)
        return settings

    def new_path(self, name: str) -> Path:
        """A path that nothing has yet."""
        self._made += 1
        return self.folder / f"{name}-{self._made}"
