"""What the gate knows of a model: its scores on the frozen test X-rays, and what was found out about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xray_core.evaluation.bootstrap import Cohort, make_cohort
from xray_core.evaluation.others import OtherFilms
from xray_core.models.records import OperatingPoint
from xray_core.promotion.judged_on import JudgedOn
from xray_core.promotion.looks import Look
from xray_core.records import AuditVerdict, Split


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """What the gate knows of one model: its scores P(covid) on the frozen test X-rays, one entry per X-ray.

    `is_odd` says which X-rays the service would refer whatever their score; empty where none. `slices` maps a name to
    one value per X-ray. `release` says what may release it where its audit is confounded. `reproduces_probe` says that
    the model loaded in a fresh process and gave its probe outputs again; `audit` is its shortcut audit;
    `without_patient` counts the labelled X-rays whose patient nobody knows, `unread` those of each side whose film
    cannot be read any more. They are asked of the candidate only. `others` are its scores of films labelled other,
    which judge apart; `judged_on` says by whose labels the test X-rays judge. `cross_validated` says that the X-rays
    are those that it was fitted to, each scored without its patient, for too few were kept apart.
    """

    version: str
    xrays: Sequence[str]
    probabilities: Sequence[float]
    is_covid: Sequence[bool]
    patients: Sequence[str]
    operating_point: OperatingPoint
    slices: Mapping[str, Sequence[str]]
    is_odd: Sequence[bool] = ()
    release: str = ""
    reproduces_probe: bool | None = None
    audit: AuditVerdict | None = None
    without_patient: int = 0
    unread: Mapping[Split, int] = field(default_factory=dict)
    others: OtherFilms = field(default_factory=lambda: OtherFilms((), ()))
    judged_on: JudgedOn | None = None
    cross_validated: bool = False


@dataclass(frozen=True, slots=True)
class PlaceEvidence:
    """Candidate and champion on the films of another place; no candidate where these cannot be read."""

    place: str
    candidate: GateEvidence | None = None
    champion: GateEvidence | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """What a candidate is judged by besides the champion: which look at the test side it is, and the benchmark.

    `places` are those that the policy names. The benchmark is a fixed model, None where there is none yet, or where it
    is the champion: a loop that only ever asks for "not worse than the champion" may lose a little each time (Feng,
    Emerson and Simon, Biometrics 2021;77:31-44, call it bio-creep).
    """

    look: Look
    benchmark: GateEvidence | None = None
    places: tuple[PlaceEvidence, ...] = ()


def make_own_cohort(evidence: GateEvidence) -> Cohort:
    """A model's scores as they stand."""
    return make_cohort(evidence.probabilities, evidence.is_covid, evidence.patients, is_odd=evidence.is_odd)


def align_scores(champion: GateEvidence, candidate: GateEvidence) -> Cohort:
    """The champion's scores in the candidate's order of X-rays."""
    places = {sha256: place for place, sha256 in enumerate(champion.xrays)}
    if places.keys() != set(candidate.xrays) or not len(places) == len(champion.xrays) == len(candidate.xrays):
        raise ValueError(
            f"candidate {candidate.version} has {len(candidate.xrays)} test X-rays, champion {champion.version} "
            f"{len(places)}, and not the same ones; expected one frozen test set"
        )
    order = [places[sha256] for sha256 in candidate.xrays]
    return make_cohort(
        [champion.probabilities[place] for place in order],
        candidate.is_covid,
        candidate.patients,
        is_odd=[champion.is_odd[place] for place in order] if champion.is_odd else (),
    )
