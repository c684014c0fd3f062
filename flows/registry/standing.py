"""How far the champion is to be believed, in one sentence for every surface that shows its scores."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.engine import snapshot
from db.records import ModelRecord
from db.registry import evaluations, models
from flows.home.ledger import open_ledger
from flows.settings import Settings
from xray_core.errors import IncompatibleModel
from xray_core.models.records import REFERENCE_FILE
from xray_core.records import AuditVerdict, Interval, Split

if TYPE_CHECKING:
    from xray_core.training.left_out import FilmChoice

DRIFT_SET = "drift"

NO_REFERENCE = (
    "nothing is referred as out of distribution: it is not known what its training X-rays looked like, so a photograph "
    "or a negative gets a score like any chest film"
)

NOT_SHOWN = (
    "PPV and NPV: not shown while the shortcut audit is confounded; labelled films of your own, a training without a "
    "source (`xray train --exclude-source SOURCE`), or a remedy (`xray models audit --remedies DATASET`), may end that"
)

_AUDIT = {
    None: (
        "whether it leans on shortcuts is not known: nobody has audited it, or too few patients were there "
        "(`xray models audit` says which)"
    ),
    AuditVerdict.CLEAN: "its shortcut audit is clean",
    AuditVerdict.SUSPECT: "its shortcut audit is suspect: something besides the lungs goes with the label",
    AuditVerdict.CONFOUNDED: (
        "its shortcut audit is CONFOUNDED: it may have learned where films come from, do not believe its scores"
    ),
}


@dataclass(frozen=True, slots=True)
class ChampionStanding:
    """What must be said of the champion: where it was found wanting, and that incoming films have moved, in sentences.

    `champion` is None where there is none; `drift` where nothing moved, or nobody has looked; `release` unless its
    audit is confounded: what may end that.
    """

    champion: ModelRecord | None
    elsewhere: tuple[str, ...] = ()
    drift: str | None = None
    release: str | None = None

    @property
    def sentence(self) -> str:
        """Version, proof and audit of the champion, and what was found since."""
        if self.champion is None:
            return "champion: none"
        proven = "proven against its predecessor" if self.champion.proven else "UNPROVEN, it has beaten nobody"
        said = f"champion: {self.champion.version}, {proven}; {_AUDIT[self.champion.audit_verdict]}"
        return "; ".join((said, *filter(None, (self.release, *self.elsewhere, self.drift))))

    @property
    def caution(self) -> str | None:
        """The same sentence where a reader must be warned."""
        sound = self.champion is None or (self.champion.proven and self.champion.audit_verdict is AuditVerdict.CLEAN)
        return None if sound and not self.elsewhere and self.drift is None else self.sentence


def read_standing(session: Session, settings: Settings) -> ChampionStanding:
    """The standing of today's champion, by its newest evaluations elsewhere and its newest drift check."""
    champion = models.champion(session)
    if champion is None:
        return ChampionStanding(None)
    external = evaluations.latest_external(session, version=champion.version)
    wanting = _find_wanting(external) if external else ()
    drift = evaluations.latest_figures(session, version=champion.version, set_name=DRIFT_SET)
    is_confounded = champion.audit_verdict is AuditVerdict.CONFOUNDED
    return ChampionStanding(
        champion,
        wanting,
        None if drift is None else _say_drift(drift),
        _read_release(session, settings, champion) if is_confounded else None,
    )


def _find_wanting(external: Mapping[str, Any]) -> tuple[str, ...]:
    """What was found wanting on external sets, by name; where there are none, a scan need not import what judges."""
    from xray_core.evaluation.elsewhere import judge_elsewhere

    judged = [judge_elsewhere(name, figures["evaluation"]) for name, figures in sorted(external.items())]
    return tuple(one.sentence for one in judged if one.is_wanting)


def _read_release(session: Session, settings: Settings, champion: ModelRecord) -> str:
    """What may end that the champion is confounded; who is not told so need not import an audit for it.

    Films of external sets and films that are held train nothing, and are left out; so is what its training left out.
    """
    from db.reading.labelled import read_labelled
    from xray_core.promotion.policy import LabelRules
    from xray_core.promotion.release import say_release

    external = evaluations.external_xrays(session)
    choice = _read_choice(settings, champion)
    taken = choice.choose(read_labelled(session, LabelRules()))
    return say_release(
        (xray for xray in taken if xray.trains and xray.sha256 not in external), own_labels=choice.own_labels
    )


def _read_choice(settings: Settings, champion: ModelRecord) -> FilmChoice:
    """What its training took; all films where its folder cannot tell any more, which `xray verify` says."""
    from xray_core.models.folder import read_manifest
    from xray_core.training.left_out import ALL_FILMS, read_choice

    try:
        return read_choice(read_manifest(settings.models_dir / champion.version).training)
    except IncompatibleModel:
        return ALL_FILMS


def publish_addendum(settings: Settings, session: Session, version: str) -> None:
    """Write beside a model's folder what was found out since its card was written; nothing where nothing was.

    Called by whatever stores an evaluation elsewhere, an audit or a drift check of a registered model.
    """
    from flows.registry.verdicts import AUDIT_SET
    from xray_core.exchange.atomic_file import write_aside
    from xray_core.report.addendum import name_addendum, write_addendum

    external = {
        name: found["evaluation"] for name, found in evaluations.latest_external(session, version=version).items()
    }
    drift = evaluations.latest_figures(session, version=version, set_name=DRIFT_SET)
    moved = None if drift is None else _say_drift(drift)
    stored = evaluations.list_evaluations(session, version=version, set_name=AUDIT_SET)
    audits = [json.loads(record.figures) for record in stored]
    path = settings.models_dir / name_addendum(version)
    if external or moved or audits or path.exists():
        with write_aside(path) as file:
            file.write(write_addendum(version, external, moved, audits).encode())


def _say_drift(drift: Mapping[str, Any]) -> str | None:
    if not drift["moved"]:
        return None
    moved = ", ".join(shift["name"] for shift in drift["figures"] if shift["has_moved"])
    return f"incoming films have MOVED away from those that it was trained on ({moved}): its figures may not hold"


def read_caution(settings: Settings, engine: Engine | None = None) -> str | None:
    """What must stand beside today's scores, or None; asked of an engine that is open, or of one opened for it."""
    if engine is None:
        with open_ledger(settings) as opened:
            return read_caution(settings, opened)
    with snapshot(engine) as session:
        standing = read_standing(session, settings)
    return "; ".join(filter(None, (standing.caution, say_blind_spot(settings, standing.champion)))) or None


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
    from flows.registry.policy import read_policy  # pydantic: a scan says no predictive value

    with open_ledger(settings) as engine, snapshot(engine) as session:
        return say_predictive_values(session, models.champion(session), read_policy(settings).use.prevalence)


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
