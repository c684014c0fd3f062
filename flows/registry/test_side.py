"""What speaks for and against a model: its scores on the frozen test X-rays, its evaluation, its shortcut audit."""

from __future__ import annotations

from sqlalchemy import Engine

from db.engine import snapshot
from db.registry import models
from flows.registry.registered import open_registered
from flows.registry.rescoring import score_known
from flows.settings import Settings
from xray_core.errors import InvalidDataset
from xray_core.models.open_model import OpenModel
from xray_core.promotion.evidence import GateEvidence
from xray_core.training.images import Side


def collect_evidence(settings: Settings, opened: OpenModel, test: Side) -> GateEvidence:
    """A registered model's scores on the test X-rays, by its own preprocessing, at its own operating point.

    Raises InvalidDataset when an X-ray is not there any more: two models are judged on the same ones or not at all.
    """
    scores = score_known(settings, opened, test.xrays)
    if len(scores) < len(test.xrays):
        gone = len(test.xrays) - len(scores)
        raise InvalidDataset(
            f"{gone} of {len(test.xrays)} test X-rays went away while they were scored; `xray verify` "
            "names them: put them back and try again"
        )
    return GateEvidence(
        version=opened.manifest.version,
        xrays=[xray.sha256 for xray in test.xrays],
        probabilities=[scores[xray.sha256].score.probability for xray in test.xrays],
        is_covid=test.is_covid.tolist(),
        patients=test.groups,
        operating_point=opened.manifest.operating_point,
        slices=test.slices,
    )


def collect_champion_evidence(settings: Settings, engine: Engine, test: Side) -> GateEvidence | None:
    """The champion's scores on the same X-rays; None without one."""
    with snapshot(engine) as session:
        champion = models.champion(session)
    return None if champion is None else collect_evidence(settings, open_registered(settings, champion), test)
