"""One line of the table: the service's figures, a peer's, and the ratio that must be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

_Figure = TypeVar("_Figure")


@dataclass(frozen=True, slots=True)
class Bound:
    """What the ratio (or, without a peer, the service's own figure) must reach."""

    value: float
    is_minimum: bool

    def is_reached(self, figure: float) -> bool:
        """Whether a figure is on the right side of the bound."""
        return figure >= self.value if self.is_minimum else figure <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.is_minimum else '≤'} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One round's figure after another, of the service and of its peer; `is_rate` where more is better.

    The ratio is the median of each round's own ratio: two neighbours in time see the same machine.
    """

    what: str
    against: str
    unit: str
    service: tuple[float, ...]
    peer: tuple[float, ...]
    bound: Bound
    is_rate: bool = False

    @property
    def ratio(self) -> float:
        """The service's figure by its peer's (speed-ups: the peer's time by the service's); without a peer, itself."""
        if not self.peer:
            return median(self.service)
        pairs = zip(self.service, self.peer, strict=True)
        if self.bound.is_minimum and not self.is_rate:
            return median(peer / service for service, peer in pairs)
        return median(service / peer for service, peer in pairs)

    @property
    def is_reached(self) -> bool:
        """Whether the ratio reaches its bound."""
        return self.bound.is_reached(self.ratio)

    def __str__(self) -> str:
        """One line for the terminal while the rest is being measured."""
        return f"{self.what}, against {self.against}: {self.ratio:.2f} (must reach {self.bound})"

    def as_json(self) -> dict[str, Any]:
        """Every round, the medians and the verdict."""
        return {
            "what": self.what,
            "against": self.against,
            "unit": self.unit,
            "service": list(self.service),
            "peer": list(self.peer),
            "service_median": median(self.service),
            "peer_median": median(self.peer) if self.peer else None,
            "ratio": self.ratio,
            "must_reach": str(self.bound),
            "reached": self.is_reached,
        }


def at_least(value: float) -> Bound:
    """The ratio must be this or more."""
    return Bound(value, is_minimum=True)


def at_most(value: float) -> Bound:
    """The ratio must be this or less."""
    return Bound(value, is_minimum=False)


def alternate(rounds: int, *contenders: Callable[[int], _Figure]) -> list[tuple[_Figure, ...]]:
    """Let the contenders take turns, `rounds` times each, and hear the round's number; every second round backwards."""
    figures: list[list[_Figure]] = [[] for _ in contenders]
    for number in range(rounds):
        places = range(len(contenders))
        for place in places if number % 2 == 0 else reversed(places):
            figures[place].append(contenders[place](number))
    return [tuple(each) for each in figures]
