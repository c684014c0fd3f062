"""How far the champion is to be believed, in one sentence for every surface that shows its scores."""

from __future__ import annotations

from db import model_registry
from db.engine import snapshot
from flows.ledger import open_ledger
from flows.settings import Settings
from xray_core.records import AuditVerdict, ModelRecord

_AUDIT = {
    None: "nobody has audited it for shortcuts: run `xray models audit`",
    AuditVerdict.CLEAN: "its shortcut audit is clean",
    AuditVerdict.SUSPECT: "its shortcut audit is suspect: something besides the lungs goes with the label",
    AuditVerdict.CONFOUNDED: (
        "its shortcut audit is CONFOUNDED: it may have learned where films come from, do not believe its scores"
    ),
}


def say_standing(champion: ModelRecord | None) -> str:
    """Version, proof and audit of the champion."""
    if champion is None:
        return "champion: none"
    proven = "proven against its predecessor" if champion.proven else "UNPROVEN, it has beaten nobody"
    return f"champion: {champion.version}, {proven}; {_AUDIT[champion.audit_verdict]}"


def say_caution(champion: ModelRecord | None) -> str | None:
    """The same sentence where a reader must be warned; None for a proven champion with a clean audit."""
    if champion is None or (champion.proven and champion.audit_verdict is AuditVerdict.CLEAN):
        return None
    return say_standing(champion)


def read_caution(settings: Settings) -> str | None:
    """What must stand beside today's scores, or None."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return say_caution(model_registry.champion(session))
