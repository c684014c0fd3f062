"""Two models on the X-rays that came in: which ones would be called otherwise."""

from __future__ import annotations

from collections.abc import Callable

from db.engine import snapshot
from db.records import ModelRecord, ScoredXray
from db.scoring import results
from flows.home.ledger import open_ledger
from flows.registry.models import find_model
from flows.registry.registered import open_registered
from flows.registry.rescoring import score_known
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.evaluation.flip_report import Compared, FlipReport
from xray_core.models.folder import read_manifest
from xray_core.records import WHILE_CONFOUNDED, Outcome

_Said = dict[str, tuple[float, Outcome]]


def compare_models(
    settings: Settings, version_a: str, version_b: str, *, on_progress: Callable[[int], None] = lambda _: None
) -> FlipReport:
    """Compare two versions on every X-ray that was scored live; what one has not scored it scores now, unstored.

    Raises RefusedInput for an unknown version or where no X-ray was ever scored.
    """
    model_a, model_b = find_model(settings, version_a), find_model(settings, version_b)
    with open_ledger(settings) as engine, snapshot(engine) as session:
        xrays = results.list_scored_xrays(session)
        stored = [
            results.read_scores(session, model.model_id, model.preprocessing_version) for model in (model_a, model_b)
        ]
    if not xrays:
        raise RefusedInput("no X-ray was scored yet: `xray scan` first, then there is something to compare on")
    said_a, said_b = (
        _complete(settings, model, xrays, known, on_progress)
        for model, known in zip((model_a, model_b), stored, strict=True)
    )
    compared = tuple(
        _compare(xray, said_a[xray.sha256], said_b[xray.sha256])
        for xray in xrays
        if xray.sha256 in said_a and xray.sha256 in said_b
    )
    return FlipReport(
        version_a,
        version_b,
        compared,
        unread=len(xrays) - len(compared),
        audit_a=model_a.audit_verdict,
        audit_b=model_b.audit_verdict,
    )


def _complete(
    settings: Settings,
    model: ModelRecord,
    xrays: list[ScoredXray],
    stored: dict[int, tuple[float, Outcome, str | None]],
    on_progress: Callable[[int], None],
) -> _Said:
    point = read_manifest(settings.models_dir / model.version).operating_point
    said: _Said = {}
    for xray in xrays:
        if xray.xray_id in stored:
            probability, outcome, reason = stored[xray.xray_id]
            # What was left to a reader only while the champion was confounded would hide every flip.
            said[xray.sha256] = probability, point.outcome(probability) if reason == WHILE_CONFOUNDED else outcome
    missing = [xray for xray in xrays if xray.xray_id not in stored]
    if missing:
        fresh = score_known(settings, open_registered(settings, model), missing, on_progress=on_progress)
        said |= {sha256: (score.probability, score.outcome) for sha256, (_, score) in fresh.items()}
    return said


def _compare(xray: ScoredXray, a: tuple[float, Outcome], b: tuple[float, Outcome]) -> Compared:
    return Compared(
        file=xray.name or xray.sha256[:16],
        xray_sha256=xray.sha256,
        patient=xray.patient,
        label=xray.label,
        probability_a=a[0],
        outcome_a=a[1],
        probability_b=b[0],
        outcome_b=b[1],
    )
