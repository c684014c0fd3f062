"""A score moved from the mix of classes that it is a probability in to the share of covid where it is used."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xray_core.models.records import OperatingPoint


def move_to_prevalence(probabilities: ArrayLike, mix: float, prevalence: float) -> NDArray[np.float64]:
    """P(covid) (n,) or a number, right where the share of covid is `mix`, as it is where that share is `prevalence`.

    The odds times (prevalence odds / mix odds); 0 and 1 stay. Elkan, IJCAI 2001, theorem 2; Saerens, Latinne and
    Decaestecker, Neural Computation 2002;14:21-41. It holds where films of a class look alike in both places. All in
    0..1, `mix` and `prevalence` without the ends.
    """
    chance = np.asarray(probabilities, dtype=np.float64)
    covid = chance * prevalence / mix
    moved: NDArray[np.float64] = covid / (covid + (1 - chance) * (1 - prevalence) / (1 - mix))
    return moved


def find_mix(point: OperatingPoint) -> float | None:
    """The share of covid in which the model's scores are meant as probabilities; None where nobody knows it.

    Models from before the mix was kept were recalibrated in that of their validation side.
    """
    if point.mix is not None:
        return point.mix
    if point.chosen_on is None or not point.positives or not point.negatives:
        return None
    return point.positives / (point.positives + point.negatives)


def say_mix(point: OperatingPoint) -> str:
    """In which mix a score is a probability, in words."""
    mix = find_mix(point)
    if mix is None:
        return "in a mix of covid and normal X-rays that nobody knows: read it as a score, not as a probability"
    return f"where {mix:.0%} of the X-rays are covid"
