"""How like two models are: the one that was trained then, and the one that the same recipe gives now."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xray_core.models.records import OperatingPoint
from xray_core.networks.keras_classifier import KerasClassifier

# Of P(covid): smaller differences come of adding up in another order, and no figure of a card shows them.
TOLERANCE: Final = 1e-3


class Sameness(StrEnum):
    """What comparing two models came to."""

    IDENTICAL = "identical weights"
    ALIKE = "same predictions"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Likeness:
    """Two models on the X-rays of a set: the largest difference in P(covid), and how many outcomes are others."""

    has_same_weights: bool
    largest_difference: float
    xrays: int
    other_outcomes: int

    @property
    def sameness(self) -> Sameness:
        """The verdict; a number that is none differs."""
        if self.has_same_weights:
            return Sameness.IDENTICAL
        return Sameness.ALIKE if self.largest_difference <= TOLERANCE else Sameness.DIFFERENT

    @property
    def sentence(self) -> str:
        """For people."""
        words = (
            f"P(covid) differs by {self.largest_difference:.2g} at most on its {self.xrays} X-rays, and "
            f"{self.other_outcomes} outcomes are others"
        )
        return {
            Sameness.IDENTICAL: "identical: every weight is the one of then",
            Sameness.ALIKE: f"the same predictions within {TOLERANCE:g}: {words}",
            Sameness.DIFFERENT: f"different: {words}",
        }[self.sameness]


def measure_likeness(
    then: KerasClassifier, now: KerasClassifier, greys: NDArray[np.uint8], point: OperatingPoint
) -> Likeness:
    """Compare weights, and scores of fitted grey levels (n, height, width) uint8; outcomes are those of one point."""
    scores = [classifier.predict(greys).astype(np.float64) for classifier in (then, now)]
    outcomes = [[point.outcome(score) for score in each.tolist()] for each in scores]
    return Likeness(
        has_same_weights=_have_same_weights(then, now),
        largest_difference=float(np.abs(scores[0] - scores[1]).max()),
        xrays=len(greys),
        other_outcomes=sum(before is not after for before, after in zip(*outcomes, strict=True)),
    )


def _have_same_weights(then: KerasClassifier, now: KerasClassifier) -> bool:
    before, after = then.model.get_weights(), now.model.get_weights()
    return len(before) == len(after) and all(map(np.array_equal, before, after))


def say_whether_expected(likeness: Likeness, differences: tuple[str, ...]) -> str:
    """Whether that was to be expected, from what is other now than it was then."""
    others = "; ".join(differences)
    if likeness.sameness is Sameness.IDENTICAL:
        despite = f", although not everything is as it was then ({others})" if differences else ""
        return f"That is what the same seed must give{despite}."
    if differences:
        return (
            "That is to be expected: the same seed trains the same model only on one processor with one set of "
            f"versions and one code, and these are others now: {others}."
        )
    return (
        "That is NOT to be expected, for processor, versions and code are those of then: run it again with nothing "
        "beside it, `xray doctor` and `xray verify`; what comes twice is a fault of this service."
    )
