"""A home of years: made by bulk inserts through the real schema, sealed as the service seals, without pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, insert

from db import audit
from db.columns import Base
from db.engine import open_engine, transaction
from db.records import ModelRecord
from db.registry import models
from db.registry.tables import EvaluationRow, TrainingRunRow
from db.scoring import folders, whereabouts
from db.scoring.tables import IncomingFileRow, PatientFactRow, ResultRow, ScanRow, SplitMemberRow, XrayRow
from db.sealing import adding, changing, seal
from flows.home.ledger import find_anchor, record_folder
from flows.settings import Settings
from tests.benchmarks.years import registry_rows, rows
from tests.benchmarks.years.labels import add_labels
from xray_core.records import FolderKind

# Counted up when what is made changes: an older home in the build folder is made anew.
MADE_AS: Final = 1
_FILMS_PER_SEAL: Final = 32
_FILMS_PER_COMMIT: Final = 32_000


@dataclass(frozen=True, slots=True)
class Scale:
    """How much work is behind a home; what is not named here follows from it."""

    films: int
    labels: int
    models: int
    trainings: int
    scans: int
    entries: int

    @property
    def of_datasets(self) -> int:
        """X-rays of training folders, behind the films that came in."""
        return self.films // 500


YEARS: Final = Scale(films=1_000_000, labels=50_000, models=300, trainings=300, scans=525_600, entries=50_000)


def scale_down(films: int) -> Scale:
    """A home of as many films with as much of everything else as goes with them; of models three at least."""
    share = films / YEARS.films
    counts = {name: max(1, round(getattr(YEARS, name) * share)) for name in ("labels", "scans", "entries")}
    few = max(3, round(YEARS.models * share))
    return replace(YEARS, films=films, models=few, trainings=few, **counts)


def make_home_of_years(template: Path, home: Path, scale: Scale) -> Settings:
    """Fill a copy of a home that has a champion and nothing else; it appears whole or not at all."""
    aside = home.with_name(f"{home.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(template, aside)
    settings = Settings(home=aside, settle_seconds=0)
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    known = _add_models(settings, engine, scale)
    folder_id = record_folder(settings, engine, FolderKind.INCOMING)
    _add_films(engine, known, folder_id, scale)
    _add_dataset(engine, scale)
    add_labels(engine, films=scale.films, labels=scale.labels)
    _add_trainings(engine, known, scale)
    _insert(engine, SplitMemberRow, rows.side_rows(scale.films, scale.labels), by="split_group")
    _insert(engine, PatientFactRow, rows.fact_rows(scale.films), by="id")
    _insert(engine, ScanRow, rows.scan_rows(scale.scans), by="id")
    _let_go(engine, scale)
    _fill_audit(engine, scale)
    engine.dispose()
    aside.rename(home)
    return settings.but({"home": home})


def _add_models(settings: Settings, engine: Engine, scale: Scale) -> list[ModelRecord]:
    """Version after version, each with its folder; every fifth was champion, and the last one is."""
    with transaction(engine) as session:
        first = models.champion(session)
        assert first is not None
        known = [first]
        for number in range(2, scale.models + 1):
            manifest, sha256 = registry_rows.copy_model(settings.models_dir, first.version, number)
            at = rows.time_of(number, scale.models)
            record = models.add_model(
                session, manifest, manifest_sha256=sha256, proven=True, audit_verdict=None, actor="retrain", now=at
            )
            if number % 5 == 0 or number == scale.models:
                record = models.promote(
                    session, record.version, actor="gate", reason="better", evaluation_id=None, now=at
                )
            known.append(record)
        with adding(session, EvaluationRow):
            session.connection().execute(insert(EvaluationRow), list(registry_rows.evaluation_rows(known)))
    return known


def _add_films(engine: Engine, known: list[ModelRecord], folder_id: int, scale: Scale) -> None:
    """In the order in which scans write them, a seal for every batch."""
    for start in range(1, scale.films + 1, _FILMS_PER_COMMIT):
        with transaction(engine) as session:
            for first in range(start, min(start + _FILMS_PER_COMMIT, scale.films + 1), _FILMS_PER_SEAL):
                numbers = range(first, min(first + _FILMS_PER_SEAL, scale.films + 1))
                batch = rows.describe_films(numbers, scale.films, known, folder_id)
                for table, described in zip((XrayRow, ResultRow, IncomingFileRow), batch, strict=True):
                    with adding(session, table):
                        session.connection().execute(insert(table), described)
                seal(session)


def _add_dataset(engine: Engine, scale: Scale) -> None:
    if not scale.of_datasets:
        return
    with transaction(engine) as session:
        folder_id = folders.add_folder(session, FolderKind.DATASET, "/data/training", now=rows.START)
        with adding(session, XrayRow):
            numbers = range(scale.films + 1, scale.films + scale.of_datasets + 1)
            described = [rows.xray_row(number, folder_id, rows.START) for number in numbers]
            session.connection().execute(insert(XrayRow), described)


def _add_trainings(engine: Engine, known: list[ModelRecord], scale: Scale) -> None:
    described = list(registry_rows.training_rows(known, scale.trainings, scale.labels))
    _insert(engine, TrainingRunRow, iter(described), by="id")


def _let_go(engine: Engine, scale: Scale) -> None:
    """There are no pictures: a person knows, so that verify holds."""
    with transaction(engine) as session:
        numbers = range(1, scale.films + scale.of_datasets + 1)
        whereabouts.let_go(session, numbers, actor="operator (verify)", now=rows.END)


def _fill_audit(engine: Engine, scale: Scale) -> None:
    """What readers and operators did, up to the number of entries that the scale asks for."""
    with transaction(engine) as session:
        for number in range(audit.head(session)[0], scale.entries):
            detail = {"rows": 4, "new": 2, "covid": 2, "normal": 2}
            subject = rows.sha256_of(f"import {number}")[:16]
            audit.append(
                session, actor="reviewer", action="labels-imported", subject=subject, detail=detail, now=rows.END
            )
            session.expunge_all()


def _insert(engine: Engine, table: type[Base], described: Iterator[dict[str, Any]], *, by: str) -> None:
    with transaction(engine) as session:
        while part := list(islice(described, 10_000)):
            if by == "id":
                with adding(session, table):
                    session.connection().execute(insert(table), part)
            else:
                with changing(session, table, [row[by] for row in part], by=by):
                    session.connection().execute(insert(table), part)
