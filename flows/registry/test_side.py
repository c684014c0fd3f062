"""What speaks for and against a model: its scores on the frozen test X-rays, its evaluation, its shortcut audit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.engine import snapshot
from db.records import ModelRecord
from db.registry import evaluations, models
from flows.registry.grey_levels import find_grey_store
from flows.registry.registered import open_registered
from flows.registry.rescoring import score_known
from flows.settings import Settings
from xray_core.errors import InvalidDataset, RefusedInput
from xray_core.evaluation.others import OtherFilms
from xray_core.models.open_model import OpenModel
from xray_core.models.records import Score
from xray_core.promotion.evidence import Beside, GateEvidence
from xray_core.promotion.looks import StoredLooks, read_looks, take_look
from xray_core.promotion.policy import FIRST_PROVEN, GateTest
from xray_core.records import Split
from xray_core.training.images import Side, TrainingImages

_AT_A_TIME = 64


def collect_evidence(settings: Settings, opened: OpenModel, images: TrainingImages) -> GateEvidence:
    """A registered model's scores on the test X-rays, by its own preprocessing, at its own operating point.

    Raises InvalidDataset when an X-ray is not there any more: two models are judged on the same ones or not at all.
    """
    test, others = images.sides[Split.TEST], images.others
    scores = _score_sides(settings, opened, images)
    return GateEvidence(
        version=opened.manifest.version,
        xrays=[xray.sha256 for xray in test.xrays],
        probabilities=[scores[xray.sha256].probability for xray in test.xrays],
        is_covid=test.is_covid.tolist(),
        patients=test.groups,
        is_odd=[scores[xray.sha256].is_odd for xray in test.xrays],
        operating_point=opened.manifest.operating_point,
        slices=test.slices,
        others=OtherFilms(
            [scores[xray.sha256].probability for xray in others.xrays],
            others.groups,
            [scores[xray.sha256].is_odd for xray in others.xrays],
        ),
        judged_on=images.judged_on,
    )


def _score_sides(settings: Settings, opened: OpenModel, images: TrainingImages) -> dict[str, Score]:
    """By SHA-256: out of the grey levels that are at hand, or read anew where the model wants others."""
    sides = images.sides[Split.TEST], images.others
    if opened.manifest.preprocessing == images.preprocessing:
        return dict(pair for side in sides for pair in _score_side(opened, side))
    xrays = [xray for side in sides for xray in side.xrays]
    known = score_known(settings, opened, xrays, store=find_grey_store(settings))
    if gone := len(xrays) - len(known):
        raise InvalidDataset(
            f"{gone} of {len(xrays)} test X-rays went away while they were scored; `xray verify` "
            "names them: put them back and try again"
        )
    return {sha256: each.score for sha256, each in known.items()}


def _score_side(opened: OpenModel, side: Side) -> Iterator[tuple[str, Score]]:
    for start in range(0, len(side.xrays), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        names = [xray.sha256 for xray in side.xrays[some]]
        yield from zip(names, opened.score(side.images[some]), strict=True)


def collect_champion_evidence(settings: Settings, engine: Engine, images: TrainingImages) -> GateEvidence | None:
    """The champion's scores on the same X-rays; None without one."""
    with snapshot(engine) as session:
        champion = models.champion(session)
    return None if champion is None else collect_evidence(settings, open_registered(settings, champion), images)


def collect_beside(settings: Settings, engine: Engine, images: TrainingImages, policy: GateTest) -> Beside:
    """Which look at these test X-rays a comparison takes now, and the benchmark's scores on them.

    Raises RefusedInput where the policy names a benchmark that is not registered.
    """
    test = images.sides[Split.TEST]
    with snapshot(engine) as session:
        champion, benchmark = models.champion(session), find_benchmark(session, policy)
        look = take_look(
            read_stored_looks(session), test.groups, [xray.sha256 for xray in test.xrays], now=datetime.now(UTC)
        )
    if champion is None or benchmark is None or benchmark.version == champion.version:
        return Beside(look)
    return Beside(look, collect_evidence(settings, open_registered(settings, benchmark), images))


def find_benchmark(session: Session, policy: GateTest) -> ModelRecord | None:
    """The model that no candidate may be worse than, by the policy; None before there is a proven champion.

    Raises RefusedInput where the policy names one that is not registered.
    """
    if policy.benchmark == FIRST_PROVEN:
        return models.find_first_proven(session)
    named = models.find_model(session, policy.benchmark)
    if named is None:
        raise RefusedInput(
            f"retraining policy, test.benchmark: received {policy.benchmark!r}, which is not registered; expected "
            f"{FIRST_PROVEN!r} or a version that `xray models list` shows",
            public=True,
        )
    return named


def read_stored_looks(session: Session) -> StoredLooks:
    """What the ledger has of looks at the test side."""
    stored = evaluations.list_evaluations(session, set_name=Split.TEST.value)
    return read_looks((record.evaluation_id, record.created_at, record.figures) for record in stored)
