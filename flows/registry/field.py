"""How good a model is on the films that come in: its audit sample, as far as it has been read blind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from db.engine import snapshot
from db.reading.films import FieldFilm, list_field_films, select_read
from db.reading.readings import read_readings
from db.records import ModelRecord
from db.registry import models, training_runs
from flows.home.ledger import open_ledger
from flows.home.site_key import is_key_withheld, read_site_key
from flows.settings import Settings
from xray_core.errors import NoChampion, RefusedInput
from xray_core.models.folder import read_manifest
from xray_core.reading.field import FEWEST_OF_A_CLASS, FieldFigures, SampledFilm, measure_field
from xray_core.reading.reading_list import AUDIT_SHARE, draw_audit
from xray_core.reading.reveal_effect import says_covid
from xray_core.reading.settled import settle_blind
from xray_core.records import Interval, Label

_NAMES: Final = {
    "sensitivity_at_lower": "sensitivity, lower threshold",
    "specificity_at_lower": "specificity, lower threshold",
    "sensitivity_at_upper": "sensitivity, upper threshold",
    "specificity_at_upper": "specificity, upper threshold",
}


@dataclass(frozen=True, slots=True)
class FieldReport:
    """The audit sample of a version: so many films of `scored`, so many read blind; `left_out` by why they are.

    `measured` is None while no film of the sample says covid or not.
    """

    version: str
    scored: int
    sample: int
    left_out: Mapping[str, int]
    measured: FieldFigures | None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"share": AUDIT_SHARE, "fewest_patients_of_a_class": FEWEST_OF_A_CLASS}

    @property
    def figures(self) -> dict[str, Interval]:
        """What can be shown, by its name for people."""
        found = self.measured.figures if self.measured else {}
        return {words: figure for name, words in _NAMES.items() if (figure := found.get(name)) is not None}

    @property
    def sentence(self) -> str:
        """How much of the sample was read, on how many patients, and what to do where that is too little."""
        if not self.sample:
            return (
                f"{self.version} has scored {self.scored} films as they came in, none of them in the audit sample yet: "
                "`xray scan` scores what arrives, chance takes every fifth film"
            )
        labelled = self.measured.films if self.measured else 0
        told = f"{labelled} of {self.sample} audit films of {self.version} were read blind and say covid or not"
        told += "".join(f"; {number} {why}" for why, number in sorted(self.left_out.items()) if number)
        if self.figures:
            return told
        return (
            f"{told}. No figure is shown below {FEWEST_OF_A_CLASS} patients of a class: "
            "`xray review --reader NAME` reads audit films first"
        )


def read_field(settings: Settings, version: str | None = None) -> FieldReport:
    """The report of a version, by default the champion. Raises RefusedInput for one that nobody knows, NoChampion."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        model = models.find_model(session, version) if version else models.champion(session)
        if model is None and version is None:
            raise NoChampion("there is no champion: `xray train DATASET_DIR` or `xray models import FILE` makes one")
        if model is None:
            raise RefusedInput(f"{version}: no such model version; `xray models list` shows those there are")
        films, (sample, left_out), measured = _measure(settings, session, model)
        return FieldReport(model.version, films, sample, left_out, measured)


def _measure(
    settings: Settings, session: Session, model: ModelRecord, *, only_read: bool = False
) -> tuple[int, tuple[int, Mapping[str, int]], FieldFigures | None]:
    """How many films, how many of them in the sample and what is left out of it, and the figures."""
    upto = training_runs.find_watermark(session, model.version)
    read = select_read(session, model.model_id) if only_read else None
    films = list_field_films(session, model.model_id, learned_upto=upto, among=read)
    if only_read and not films:
        return 0, (0, {}), None
    key = read_site_key(settings)
    sample = [film for film in films if draw_audit(key, film.sha256) < (film.selection_probability or AUDIT_SHARE)]
    if not sample:
        return len(films), (0, {}), None
    known, left_out = sort_sample(sample, settle_blind(read_readings(session, among=read)))
    point = read_manifest(settings.models_dir / model.version).operating_point
    return len(films), (len(sample), left_out), measure_field(known, point) if known else None


def say_field(settings: Settings, session: Session, model: ModelRecord | None) -> str | None:
    """One line for a status, of the audit films that were read; None while nobody has read one."""
    try:
        known = _measure(settings, session, model, only_read=True)[2] if model else None
    except ModuleNotFoundError as missing:  # where only scoring is installed
        return f"audit films were read; their figures need {missing.name}: pip install 'xray-scoring[train]'"
    except PermissionError:
        if not is_key_withheld(settings):
            raise
        return "films were read; which of them are audit films only the site key tells, which this user may not read"
    if model is None or known is None:
        return None
    told = f"{known.films} audit films of {known.patients} patients, read blind, on {model.version}"
    figures = [f"{words} {figure}" for name, words in _NAMES.items() if (figure := known.figures.get(name)) is not None]
    return f"{told}: {', '.join(figures) or f'too few of a class for a figure (below {FEWEST_OF_A_CLASS} patients)'}"


def sort_sample(
    sample: Sequence[FieldFilm], settled: Mapping[int, Label | None]
) -> tuple[list[SampledFilm], dict[str, int]]:
    """The films that say covid or not, and how many do not, by why; pure."""
    known: list[SampledFilm] = []
    left_out: Counter[str] = Counter()
    for film in sample:
        label = settled.get(film.xray_id)
        said = says_covid(label)
        if film.xray_id not in settled:
            left_out["not read yet"] += 1
        elif label is None:
            left_out["disputed"] += 1
        elif said is None:
            left_out["unsure or excluded"] += 1
        else:
            probability = film.selection_probability or AUDIT_SHARE
            known.append(SampledFilm(film.probability, said, film.group, probability, film.is_odd))
    return known, dict(left_out)
