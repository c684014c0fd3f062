"""Simulated retraining loops: many candidates, one after another, at one frozen test side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from tests.xray_core.training.test_split import make_xray
from xray_core.models.operating_point import choose_operating_point
from xray_core.promotion.evidence import Beside, GateEvidence
from xray_core.promotion.gate import decide_promotion
from xray_core.promotion.judging_sample import draw_judges
from xray_core.promotion.looks import Look, StoredLooks, take_look
from xray_core.promotion.policy import GateTest, RetrainingPolicy
from xray_core.records import AuditVerdict, Label, LabelledXray, Verdict

Floats = NDArray[np.float64]
POLICY = RetrainingPolicy(test=GateTest(resamples=400))
RENEWED = datetime(2026, 11, 2, tzinfo=UTC)


@dataclass
class FrozenSide:
    """One test side: `patients` of each class with 1 to 3 X-rays, whose scores by any two models correlate."""

    rng: np.random.Generator
    patients: int
    correlation: float = 0.8

    def __post_init__(self) -> None:
        count = self.rng.integers(1, 4, 2 * self.patients)
        self.patient_of = np.repeat(np.arange(2 * self.patients), count)
        self.is_covid = self.patient_of < self.patients
        self.common = self._noise()

    def draw_model(self, version: str, auroc: float, *, blind: float = 0.0, like: GateEvidence | None = None) -> Floats:
        """P(covid) of a model with this true AUROC; `blind` is the share of covid patients that rank like chance."""
        latent = np.sqrt(self.correlation) * self.common + np.sqrt(1 - self.correlation) * self._noise()
        scores: Floats = ndtr(latent + np.sqrt(2) * ndtri(auroc) * self.is_covid)
        if like is not None:
            scores = np.asarray(like.probabilities)
        is_blind = (self.rng.random(2 * self.patients) < blind)[self.patient_of] & self.is_covid
        return np.where(is_blind, ndtr(self._noise()), scores)

    def judge(self, version: str, scores: Floats) -> GateEvidence:
        """What the gate knows of a model with these scores."""
        return GateEvidence(
            version=version,
            xrays=[f"{n:064x}" for n in range(len(scores))],
            probabilities=scores.tolist(),
            is_covid=self.is_covid.tolist(),
            patients=[str(patient) for patient in self.patient_of],
            operating_point=choose_operating_point(
                scores,
                self.is_covid,
                [str(patient) for patient in self.patient_of],
                target_sensitivity=0.95,
                target_specificity=0.8,
            ),
            slices={},
            reproduces_probe=True,
            audit=AuditVerdict.CLEAN,
        )

    def _noise(self) -> Floats:
        between = self.rng.normal(size=2 * self.patients)[self.patient_of]
        noise: Floats = np.sqrt(0.5) * between + np.sqrt(0.5) * self.rng.normal(size=len(self.patient_of))
        return noise


@dataclass(frozen=True)
class LoopEnd:
    """What a loop came to: at which looks a candidate was promoted, and the last champion's true AUROC."""

    promoted_at: tuple[int, ...]
    auroc: float


def run_loop(
    seed: int, *, patients: int, looks: int, auroc: float, worse_by: float, correlation: float = 0.8
) -> LoopEnd:
    """Every candidate is truly worse than the champion of its day; the first champion is the benchmark."""
    side = FrozenSide(np.random.default_rng(seed), patients, correlation)
    first = champion = side.judge("m0", side.draw_model("m0", auroc))
    promoted: list[int] = []
    for look in range(1, looks + 1):
        candidate = side.judge(f"m{look}", side.draw_model(f"m{look}", auroc - worse_by))
        benchmark = first if champion is not first else None
        beside = Beside(Look(look, RENEWED), benchmark)
        if decide_promotion(candidate, champion, POLICY, beside=beside, seed=seed).verdict is Verdict.PROMOTE:
            promoted.append(look)
            champion, auroc = candidate, auroc - worse_by
    return LoopEnd(tuple(promoted), auroc)


def run_sampled_loop(seed: int, *, most: int, patients: tuple[int, int], looks: int, auroc: float) -> LoopEnd:
    """At a side that grows from so many patients of each class to so many, of whom a sample of `most` judges.

    Every candidate is truly worse than the champion by the margin. The looks are counted as the service counts them.
    """
    fewest, grown = patients
    side = FrozenSide(np.random.default_rng(seed), grown)
    number_in_class, key = side.patient_of % grown, seed.to_bytes(16)
    champion = side.judge("m0", side.draw_model("m0", auroc))
    stored, promoted = StoredLooks(), []
    for number in range(1, looks + 1):
        stands = number_in_class < fewest + (grown - fewest) * number // looks
        sample = draw_judges(_label(side, stands), key, most)
        chosen = np.array([str(patient) in sample for patient in side.patient_of])
        candidate = side.judge(f"m{number}", side.draw_model(f"m{number}", auroc - POLICY.test.margin))
        ours, theirs = take_part(candidate, chosen), take_part(champion, chosen)
        look = take_look(stored, ours.patients, ours.xrays, now=RENEWED + timedelta(days=number))
        if decide_promotion(ours, theirs, POLICY, beside=Beside(look), seed=seed).verdict is Verdict.PROMOTE:
            promoted.append(number)
        others = tuple(each for each in stored.at_sides if each.side != look.side)
        stored = replace(stored, at_sides=(*others, look), newest_id=number)
    return LoopEnd(tuple(promoted), auroc)


def _label(side: FrozenSide, stands: NDArray[np.bool_]) -> list[LabelledXray]:
    """A film of every patient who stands on the side."""
    some = np.unique(side.patient_of[stands])
    return [make_xray(int(n), f"{n}", Label.COVID if n < side.patients else Label.NORMAL) for n in some]


def take_part(evidence: GateEvidence, chosen: NDArray[np.bool_]) -> GateEvidence:
    """The evidence of the chosen X-rays (n,)."""
    places = np.flatnonzero(chosen).tolist()
    return replace(
        evidence,
        xrays=[evidence.xrays[place] for place in places],
        probabilities=[evidence.probabilities[place] for place in places],
        is_covid=[evidence.is_covid[place] for place in places],
        patients=[evidence.patients[place] for place in places],
    )


def is_promoted(
    seed: int,
    *,
    patients: int,
    auroc: float,
    worse_by: float = 0.0,
    look: int = 1,
    blind: float = 0.0,
    correlation: float = 0.8,
    is_like: bool = False,
) -> bool:
    """One comparison at a side of its own."""
    side = FrozenSide(np.random.default_rng(seed), patients, correlation)
    champion = side.judge("m0", side.draw_model("m0", auroc))
    like = champion if is_like else None
    candidate = side.judge("m1", side.draw_model("m1", auroc - worse_by, blind=blind, like=like))
    decision = decide_promotion(candidate, champion, POLICY, beside=Beside(Look(look, RENEWED)), seed=seed)
    return decision.verdict is Verdict.PROMOTE
