"""What is written when a model is judged: its evaluation, then promotion or rejection, for the caller's transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from db.records import ModelRecord
from db.registry import evaluations, models
from flows.registry.test_side import read_stored_looks
from xray_core.errors import RefusedInput
from xray_core.models.records import ModelManifest
from xray_core.records import AuditVerdict, Split, Verdict

if TYPE_CHECKING:
    from xray_core.evaluation.evaluation import Evaluation
    from xray_core.evaluation.shortcut_audit import ShortcutAudit
    from xray_core.promotion.gate import PromotionDecision
    from xray_core.promotion.looks import Look
    from xray_core.training.judgement import PlaceFigures

AUDIT_SET = "shortcut audit"
# Figures of X-rays that are not the whole test side: films of it were missing, or cross-validation judged.
_INCOMPLETE_SET = "test, incomplete"
_CROSS_VALIDATED_SET = "cross-validated"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate said of a model, on which figures, beside which champion (None: there was none).

    `look` is the one that a comparison took at the test side. `is_whole` says that every film of that side could be
    read; other figures are no figures of it.
    """

    decision: PromotionDecision
    champion_version: str | None
    evaluation: Evaluation
    label_set_sha256: str
    audit_verdict: AuditVerdict | None
    look: Look
    is_whole: bool = True
    external: tuple[PlaceFigures, ...] = ()


def register_judged(
    session: Session, manifest: ModelManifest, manifest_sha256: str, verdict: GateVerdict, *, actor: str, now: datetime
) -> ModelRecord:
    """Register a new model with what the gate said of it.

    Where the evidence is insufficient it stays a candidate: more labels, or the shadow, may tell. Raises RefusedInput
    when another model became champion since.
    """
    _require_same_champion(session, verdict, "while the candidate was judged: train again")
    decision = verdict.decision
    model = models.add_model(
        session,
        manifest,
        manifest_sha256=manifest_sha256,
        proven=decision.proven,
        audit_verdict=verdict.audit_verdict,
        actor=actor,
        now=now,
    )
    evaluation_id = _store_evaluation(session, model, verdict, now)
    if decision.verdict is not Verdict.INSUFFICIENT_EVIDENCE:
        move = models.promote if decision.verdict is Verdict.PROMOTE else models.reject
        reason = f"{_say(verdict)}: {decision.reason}"
        move(session, model.version, actor=actor, reason=reason, evaluation_id=evaluation_id, now=now)
    return model


def _say(verdict: GateVerdict) -> str:
    return verdict.decision.verdict.say(is_first=verdict.champion_version is None)


def promote_judged(
    session: Session, model: ModelRecord, verdict: GateVerdict, *, reason: str, actor: str, now: datetime
) -> None:
    """Store the evaluation of a registered model, and make it champion where the gate says so.

    `reason` is a person's and follows the gate's. Raises RefusedInput when another model became champion since.
    """
    _require_same_champion(session, verdict, "meanwhile: ask the gate again")
    decision = verdict.decision
    evaluation_id = _store_evaluation(session, model, verdict, now)
    if decision.verdict is not Verdict.PROMOTE:
        return
    models.record_audit(
        session, model.version, proven=decision.proven, audit_verdict=verdict.audit_verdict, actor=actor, now=now
    )
    words = f"{_say(verdict)}: {decision.reason} {reason}".strip()
    models.promote(session, model.version, actor=actor, reason=words, evaluation_id=evaluation_id, now=now)


def register_unjudged(
    session: Session, manifest: ModelManifest, manifest_sha256: str, *, actor: str, now: datetime
) -> bool:
    """Register a model that nobody judged; it becomes champion (unproven) where there is none. Returns whether."""
    models.add_model(
        session, manifest, manifest_sha256=manifest_sha256, proven=False, audit_verdict=None, actor=actor, now=now
    )
    is_first = models.champion(session) is None
    if is_first:
        words = "imported as the first model: champion but unproven"
        models.promote(session, manifest.version, actor=actor, reason=words, evaluation_id=None, now=now)
    return is_first


def record_audit(
    session: Session,
    model: ModelRecord,
    audit: ShortcutAudit,
    *,
    label_set_sha256: str,
    actor: str,
    now: datetime,
) -> ModelRecord:
    """Store an audit's findings and its verdict, which every surface shows from then on.

    One of too few patients tells nothing, so what an earlier one found stays.
    """
    evaluations.add_evaluation(
        session,
        model_id=model.model_id,
        set_name=AUDIT_SET,
        label_set_sha256=label_set_sha256,
        figures=audit.to_dict(),
        now=now,
    )
    return models.record_audit(
        session,
        model.version,
        proven=model.proven,
        audit_verdict=audit.verdict or model.audit_verdict,
        actor=actor,
        now=now,
    )


def _require_same_champion(session: Session, verdict: GateVerdict, otherwise: str) -> None:
    champion = models.champion(session)
    if (champion.version if champion else None) != verdict.champion_version:
        words = f"another model became champion {otherwise}; `xray models history` shows which"
        raise RefusedInput(words, public=True)


def _store_evaluation(session: Session, model: ModelRecord, verdict: GateVerdict, now: datetime) -> int:
    """With the look that it took; raises RefusedInput where another one was taken since: this is a later one then."""
    look = verdict.look if verdict.decision.took_look else None
    if look is not None and read_stored_looks(session).newest_id != look.follows:
        raise RefusedInput(
            "the test side was asked by another training meanwhile: `xray train` or `xray models promote` asks again",
            public=True,
        )
    for one in verdict.external:
        _store_external(session, model, one, now)
    return evaluations.add_evaluation(
        session,
        model_id=model.model_id,
        set_name=_name_set(verdict),
        label_set_sha256=verdict.label_set_sha256,
        figures=verdict.evaluation.to_dict() | {"look": None if look is None else look.to_dict()},
        now=now,
    )


def _name_set(verdict: GateVerdict) -> str:
    if verdict.evaluation.cross_validated:
        return _CROSS_VALIDATED_SET
    return Split.TEST.value if verdict.is_whole else _INCOMPLETE_SET


def _store_external(session: Session, model: ModelRecord, found: PlaceFigures, now: datetime) -> None:
    """The figures at a place that the policy names: from then on no training takes its X-rays."""
    lines = (f"{sha256} {'covid' if covid else 'normal'}\n" for sha256, covid in sorted(found.is_covid.items()))
    evaluations.add_evaluation(
        session,
        model_id=model.model_id,
        set_name=evaluations.name_external(found.place),
        label_set_sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
        figures={"xrays": sorted(found.is_covid), "kept_out": {}, "evaluation": found.evaluation.to_dict()},
        now=now,
    )
