"""Results CSVs for review: one snapshot of the ledger, written aside and put in place whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy.orm import Session

from db import audit
from db.engine import snapshot
from db.reading.candidates import list_candidates
from db.reading.opinions import FilmStanding, read_standings
from db.registry import models
from db.scoring import patient_tally, results
from flows.home.folders import refuse_place
from flows.home.ledger import open_ledger
from flows.home.site_key import read_site_key
from flows.registry.at_prevalence import read_at_prevalence
from flows.registry.policy import read_policy
from flows.registry.standing import read_standing, say_blind_spot, say_predictive_values
from flows.registry.withheld import read_withheld
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.exchange.atomic_file import remove_asides
from xray_core.exchange.records import ResultLine
from xray_core.exchange.results_csv import (
    ExportSummary,
    is_manifest,
    is_unchanged,
    name_export,
    name_manifest,
    write_results_csv,
)
from xray_core.models.folder import read_manifest
from xray_core.models.operating_point import describe_promise, describe_thresholds
from xray_core.models.prevalence import say_mix
from xray_core.reading.reading_list import rank_films
from xray_core.records import AUDIT_NOT_KNOWN, AuditVerdict

_MOVED = (
    "probability_covid moved to the assumed prevalence; empty where nobody knows the mix that the scores of a row's "
    "model are meant for, or that model's shortcut audit is confounded"
)


def write_export(
    settings: Settings, *, out: Path | None = None, since: datetime | None = None, for_review: bool = False
) -> ExportSummary:
    """Write every file that the service decided on (since a time, if given) to `out` or a dated file in exports/.

    The CSV is one consistent snapshot, whatever a scan writes meanwhile; the same snapshot gives the same bytes.
    With `for_review` it holds the scored files without what the model said of them.
    """
    if out is not None:
        _open_output(settings, out)
    with _read_ledger(settings) as session:
        at_prevalence = read_at_prevalence(session, settings)
        return write_results_csv(
            out or settings.exports_dir / name_export(datetime.now(UTC), caution=_caution(session)),
            _settle(session, _withhold(session, settings, results.iter_result_lines(session, since=since))),
            with_file_names=settings.file_names_in_exports,
            for_review=for_review,
            move=lambda line: at_prevalence.move(line.model_version, line.probability_covid),
            notes=({} if for_review else describe_champion(session, settings))
            | {"audit_head": audit.head_sha256(session)},
        )


def write_worklist(settings: Settings, *, out: Path, limit: int) -> ExportSummary:
    """Write the unlabelled X-rays that a reviewer should look at first; the same columns, the same way back."""
    _open_output(settings, out)
    with _read_ledger(settings) as session:
        at_prevalence = read_at_prevalence(session, settings)
        return write_results_csv(
            out,
            _most_wanted(session, settings, limit),
            with_file_names=settings.file_names_in_exports,
            move=lambda line: at_prevalence.move(line.model_version, line.probability_covid),
            notes=describe_champion(session, settings),
        )


def _open_output(settings: Settings, out: Path) -> None:
    """Look at where a person wants a file, and take away what exports that were killed a day ago left there.

    Raises RefusedInput for a file that is there and is no export, or has been worked on since: it may hold labels;
    and where the manifest would take the place of another file.
    """
    refuse_place(settings, out)
    if out.exists() and not is_unchanged(out):
        raise RefusedInput(
            f"--out: received {out}, which is there already and is not as `xray` wrote it: it may hold labels "
            f"(`xray labels import {out}` takes them in); move it away, or expected another name"
        )
    manifest = name_manifest(out)
    if not out.exists() and os.path.lexists(manifest) and not is_manifest(manifest):
        raise RefusedInput(
            f"--out: received {out}, and {manifest}, where its manifest belongs, is there already and of no export; "
            "move it away, or give another name"
        )
    remove_asides(out.absolute().parent)


def describe_champion(session: Session, settings: Settings) -> dict[str, str]:
    """What must stand beside every score: which champion, whether it is proven, the prevalence PPV is stated for."""
    standing = read_standing(session, settings)
    champion = standing.champion
    unknown = {"xrays_of_unknown_patients": str(patient_tally.count_unknown_scored(session))}
    if champion is None:
        return {"champion": "none"} | unknown
    audit_verdict = champion.audit_verdict.value if champion.audit_verdict else AUDIT_NOT_KNOWN
    point = read_manifest(settings.models_dir / champion.version).operating_point
    prevalence = read_policy(settings).use.prevalence
    return {
        "champion": champion.version,
        "shortcut_audit": audit_verdict,
        "standing": standing.sentence,
        "found_wanting": " ".join(standing.elsewhere),
        "drift": standing.drift or "",
        "out_of_distribution": say_blind_spot(settings, champion) or "referred, with the distance that said so",
        "thresholds": describe_thresholds(point),
        "threshold_promise": describe_promise(point),
        "probability_covid": f"the chance of covid {say_mix(point)}",
        "probability_at_prevalence": _MOVED,
        "assumed_prevalence": f"{prevalence:g}",
        "predictive_values": say_predictive_values(session, champion, prevalence) or "",
    } | unknown


def _caution(session: Session) -> str | None:
    """What even the file's name must say of its scores."""
    champion = models.champion(session)
    confounded = champion is not None and champion.audit_verdict is AuditVerdict.CONFOUNDED
    return AuditVerdict.CONFOUNDED.value if confounded else None


def _most_wanted(session: Session, settings: Settings, limit: int) -> Iterator[ResultLine]:
    """Unlabelled scored X-rays in the order in which a reading list is filled: audit films, then by reason and doubt.

    Uncertain X-rays teach most, but figures on them alone say nothing of the field: the films that chance fixed
    before any ranking (the same for everybody) keep an honest sample among the labels.
    """
    champion = models.champion(session)
    if champion is None:
        return
    point = read_manifest(settings.models_dir / champion.version).operating_point
    key = read_site_key(settings)
    waiting = list_candidates(session, champion.model_id, point, key, size=limit, with_labelled=False)
    ranked = [xray_id for xray_id, *_ in rank_films(waiting, point, key, size=limit)]
    chosen = results.read_result_lines(session, ranked)
    yield from _withhold(session, settings, (chosen[xray_id] for xray_id in ranked if xray_id in chosen))


def _withhold(session: Session, settings: Settings, lines: Iterator[ResultLine]) -> Iterator[ResultLine]:
    """With what a confounded model had said before it was found so left to a reader."""
    withheld = read_withheld(session, settings)
    for line in lines:
        outcome, reason = withheld.show(line.model_version, line.outcome, line.refer_reason)
        yield line if outcome is line.outcome else replace(line, outcome=outcome, refer_reason=reason)


def _settle(session: Session, lines: Iterator[ResultLine]) -> Iterator[ResultLine]:
    """With the label that the readers of a film come to, instead of what the last of them said.

    Some lines at a time: in memory are their films' opinions, not those of all films that were ever read.
    """
    while part := list(islice(lines, _SETTLED_AT_ONCE)):
        said = {line.xray_sha256 for line in part if line.label is not None and line.xray_sha256}
        standings = read_standings(session, sha256s=sorted(said)) if said else {}
        yield from (_show_standing(line, standings.get(line.xray_sha256 or "")) for line in part)


_SETTLED_AT_ONCE = 1000


def _show_standing(line: ResultLine, found: FilmStanding | None) -> ResultLine:
    if found is None:
        return line
    if found.label is line.label and found.reader == line.labelled_by:
        return replace(line, label_standing=found.settlement.value)
    return replace(
        line,
        label=found.label,
        labelled_by=found.reader,
        labelled_at=None,
        label_standing=found.settlement.value,
    )


@contextmanager
def _read_ledger(settings: Settings) -> Iterator[Session]:
    with open_ledger(settings) as engine, snapshot(engine) as session:
        yield session


def as_utc(time: datetime | None) -> datetime | None:
    """A time without a zone is meant as UTC."""
    if time is None or time.tzinfo is not None:
        return time
    return time.replace(tzinfo=UTC)
