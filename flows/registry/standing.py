"""How far the champion is to be believed, in one sentence for every surface that shows its scores."""

from __future__ import annotations

import json
import math

from sqlalchemy.orm import Session

from db.engine import snapshot
from db.records import ModelRecord
from db.registry import evaluations, models
from flows.home.ledger import open_ledger
from flows.settings import Settings
from xray_core.errors import IncompatibleModel
from xray_core.models.records import REFERENCE_FILE
from xray_core.records import AuditVerdict, Interval, Split

NO_REFERENCE = (
    "nothing is referred as out of distribution: it is not known what its training X-rays looked like, so a photograph "
    "or a negative gets a score like any chest film"
)

NOT_SHOWN = (
    "PPV and NPV: not shown while the shortcut audit is confounded; labelled films of your own, or a remedy "
    "(`xray models audit --remedies DATASET`), may end that"
)

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
        champion = models.champion(session)
    return "; ".join(filter(None, (say_caution(champion), say_blind_spot(settings, champion)))) or None


def say_predictive_values(session: Session, champion: ModelRecord | None, prevalence: float) -> str | None:
    """What `positive` and `negative` of the champion are worth at the stated prevalence; None without a champion.

    From its newest evaluation on the test X-rays, which was made for a prevalence: for another one nothing is guessed.
    """
    if champion is None:
        return None
    if champion.audit_verdict is AuditVerdict.CONFOUNDED:
        return NOT_SHOWN
    stored = evaluations.list_evaluations(session, version=champion.version)
    evaluated = [json.loads(record.figures) for record in stored if record.set_name == Split.TEST.value]
    stated = f"at an assumed prevalence of {prevalence:g}"
    if not evaluated:
        return f"PPV and NPV {stated}: cannot be told, it was not evaluated on test X-rays"
    if not math.isclose(evaluated[-1]["prevalence"], prevalence):
        return f"PPV and NPV {stated}: cannot be told, it was evaluated for one of {evaluated[-1]['prevalence']:g}"
    figures = evaluated[-1]["figures"]
    return f"PPV {_write(figures['ppv'])} and NPV {_write(figures['npv'])} {stated}"


def _write(figure: dict[str, float] | None) -> str:
    return "cannot be told" if figure is None else f"{Interval(**figure)}"


def read_predictive_values(settings: Settings) -> str | None:
    """The same, of today's champion."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return say_predictive_values(session, models.champion(session), settings.prevalence)


def say_blind_spot(settings: Settings, champion: ModelRecord | None) -> str | None:
    """That the champion cannot tell a chest film from another picture, where it cannot; else None."""
    if champion is None:
        return None
    from xray_core.models.folder import read_manifest  # NumPy: an empty scan says nothing of its champion

    try:
        files = read_manifest(settings.models_dir / champion.version).files
    except IncompatibleModel as error:
        return f"whether it refers other pictures than chest films cannot be told: {error}"
    return None if REFERENCE_FILE in files else NO_REFERENCE
