"""Resampling by patient: cohorts, weights, and statistics of every resample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xray_core.models.prevalence import move_to_prevalence
from xray_core.models.records import OperatingPoint
from xray_core.records import is_content_group

Floats = NDArray[np.float64]


Weights = NDArray[np.float32]


# A statistic takes patient weights (resamples, patients) and gives one value for each resample, NaN where it has none.
Statistic = Callable[[Weights], Floats]


_RESAMPLES, _FEWEST_RESAMPLES = 2000, 500
_MOST_IN_ALL = 2_000_000  # X-rays times resamples

_CELLS_AT_A_TIME = 1_000_000  # weights held at once: memory stays flat whatever the number of resamples


@dataclass(frozen=True, slots=True)
class Calls:
    """Which X-rays (n,) bool are called positive, and which negative; the others are referred to a reader."""

    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]

    @property
    def referred(self) -> NDArray[np.bool_]:
        """What a reader must look at."""
        return ~(self.positive | self.negative)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Scored X-rays with known class: P(covid) (n,) float64, is_covid (n,) bool, whose they are (n,) as 0..patients-1.

    `has_covid` says which patients (patients,) have any covid X-ray: the strata of the bootstrap; `is_known` which of
    them are patients: an X-ray of an unknown one is drawn by itself and is nobody. `is_odd` (n,) says which X-rays are
    referred whatever their score, for they are unlike the films that the model was trained on.
    """

    probabilities: Floats
    is_covid: NDArray[np.bool_]
    patient_of: NDArray[np.intp]
    has_covid: NDArray[np.bool_]
    is_known: NDArray[np.bool_]
    is_odd: NDArray[np.bool_]

    @property
    def patients(self) -> int:
        """How many are drawn: known patients, and X-rays of unknown ones."""
        return len(self.has_covid)

    @property
    def largest_share(self) -> float:
        """The share of the X-rays, 0..1, that the patient with the most of them owns."""
        return float(np.bincount(self.patient_of).max() / len(self.patient_of))

    def count_patients(self, chosen: NDArray[np.bool_]) -> int:
        """How many of those that are drawn the chosen X-rays (n,) belong to."""
        return len(np.unique(self.patient_of[chosen]))

    def call(self, point: OperatingPoint) -> Calls:
        """What the service calls each X-ray at these thresholds: what is odd is referred."""
        positive, negative = self.probabilities >= point.upper, self.probabilities < point.lower
        return Calls(positive & ~self.is_odd, negative & ~self.is_odd)

    def count_known(self, chosen: NDArray[np.bool_]) -> int:
        """How many known patients the chosen X-rays (n,) belong to."""
        return int(self.is_known[np.unique(self.patient_of[chosen])].sum())


def make_cohort(
    probabilities: Sequence[float] | Floats,
    is_covid: Sequence[bool],
    patients: Sequence[str],
    *,
    is_odd: Sequence[bool] = (),
) -> Cohort:
    """Check and number what is evaluated; without `is_odd` no X-ray is.

    Raises ValueError on unequal lengths or a probability outside 0..1.
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(is_covid, dtype=np.bool_)
    odd = np.asarray(is_odd, dtype=np.bool_) if len(is_odd) else np.zeros(len(scores), dtype=np.bool_)
    if not len(scores) == len(truth) == len(patients) == len(odd):
        raise ValueError(f"received {len(scores)} probabilities, {len(truth)} labels, {len(patients)} patients")
    if not (np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1).all()):
        raise ValueError("received a probability that is not a number in 0..1")
    names, patient_of = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    has_covid = np.zeros(len(names), dtype=np.bool_)
    has_covid[patient_of[truth]] = True
    is_known = np.array([not is_content_group(name) for name in names.tolist()], dtype=np.bool_)
    return Cohort(scores, truth, patient_of.astype(np.intp), has_covid, is_known, odd)


def move_cohort(cohort: Cohort, mix: float | None, share: float) -> Cohort:
    """The cohort with its scores moved from the mix that they are probabilities in to another share of covid.

    As they are where the mix is unknown, or the share 0 or 1.
    """
    if mix is None or not 0 < share < 1:
        return cohort
    return replace(cohort, probabilities=move_to_prevalence(cohort.probabilities, mix, share))


def count_resamples(xrays: int) -> int:
    """How many resamples an interval takes: 2,000 up to 1,000 X-rays, of more so many fewer, and at least 500.

    The interval narrows as fast as the error of its ends grows: what chance adds to it stays as small as it was.
    """
    return max(_FEWEST_RESAMPLES, min(_RESAMPLES, _MOST_IN_ALL // max(1, xrays)))


def resample_patients(cohort: Cohort, *, resamples: int, seed: int) -> Iterator[Weights]:
    """Draw patients with replacement and yield how often each was drawn, in chunks (c, patients) float32.

    Patients with and without a covid X-ray are drawn apart (Davison & Hinkley 1997, section 3.2), so that every
    resample has both classes. The same seed and patients give the same draws: two models are compared in pairs.
    """
    rng = np.random.default_rng(seed)
    strata = [np.flatnonzero(cohort.has_covid), np.flatnonzero(~cohort.has_covid)]
    at_a_time = max(1, min(resamples, _CELLS_AT_A_TIME // max(1, len(cohort.patient_of))))
    for start in range(0, resamples, at_a_time):
        count = min(at_a_time, resamples - start)
        weights = np.zeros((count, cohort.patients), dtype=np.float32)
        for stratum in strata:
            if len(stratum):
                weights[:, stratum] = draw_counts(rng, count, len(stratum))
        yield weights


def resample_statistics(
    statistics: Mapping[str, Statistic], cohort: Cohort, *, resamples: int, seed: int
) -> dict[str, tuple[float, Floats]]:
    """Each statistic of the cohort itself, then on every resample (resamples,)."""
    whole = np.ones((1, cohort.patients), dtype=np.float32)
    chunks: dict[str, list[Floats]] = {name: [] for name in statistics}
    for weights in resample_patients(cohort, resamples=resamples, seed=seed):
        for name, statistic in statistics.items():
            chunks[name].append(statistic(weights))
    return {name: (float(statistic(whole)[0]), np.concatenate(chunks[name])) for name, statistic in statistics.items()}


def draw_counts(rng: np.random.Generator, resamples: int, patients: int) -> Weights:
    """How often each patient comes when as many are drawn with replacement, (resamples, patients) float32."""
    drawn = rng.integers(patients, size=(resamples, patients))
    drawn += patients * np.arange(resamples)[:, np.newaxis]
    counts = np.bincount(drawn.ravel(), minlength=resamples * patients)
    return counts.reshape(resamples, patients).astype(np.float32)
