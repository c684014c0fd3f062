"""A label check: every labelled film scored without its patient, and which labels that contradicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from db.engine import snapshot, transaction
from db.reading.labelled import read_labelled
from db.registry import evaluations, models
from flows.home.films import make_locator
from flows.home.ledger import open_ledger
from flows.registry.grey_levels import find_grey_store
from flows.registry.policy import read_policy
from flows.settings import Settings
from xray_core.errors import InvalidDataset, NoChampion
from xray_core.exchange.atomic_file import write_whole
from xray_core.networks.frozen import cross_validate
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import FEWEST_PATIENTS, Architecture
from xray_core.processes.reading import read_xrays
from xray_core.reading.label_errors import doubt_labels
from xray_core.records import Label, LabelledXray
from xray_core.training.images import Side, stack_side
from xray_core.training.implausible_patients import doubt_patients
from xray_core.training.split import digest_label_set

LABEL_CHECK = "label check"


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """How many films were checked, and those whose label is doubted, the surest first, each with its P(covid)."""

    films: int
    unread: int
    doubted: tuple[tuple[LabelledXray, float], ...]

    @property
    def sentence(self) -> str:
        """What was found, in numbers alone."""
        unread = f" ({self.unread} more could not be read)" if self.unread else ""
        return f"{len(self.doubted)} of {self.films} labels are doubted{unread}"


def check_labels(settings: Settings, *, on_progress: Callable[[int], None] = lambda _: None) -> LabelCheck:
    """Find the labels that patient-wise cross-validated scores contradict, and keep them for the reading lists.

    The scores are those of a last layer on EfficientNet-Lite0 with ImageNet weights. No label is changed and no film
    left out. Raises NoChampion where no list could be made, InvalidDataset with too few patients, RefusedInput where
    the weights are not installed.
    """
    options = TrainingOptions(architecture=Architecture.EFFICIENTNET_LITE0, frozen=True)
    with open_ledger(settings) as engine:
        with snapshot(engine) as session:
            champion = models.champion(session)
            labelled = [xray for xray in read_labelled(session, read_policy(settings).labels) if xray.counts]
        if champion is None:
            raise NoChampion(NoChampion.kind_sentence)
        of_classes, _ = doubt_patients([xray for xray in labelled if xray.label in (Label.COVID, Label.NORMAL)])
        decoded, _ = read_xrays(
            settings.decoder_limits,
            of_classes,
            options.preprocessing,
            locate=make_locator(settings),
            store=find_grey_store(settings),
            on_progress=on_progress,
        )
        films = stack_side([xray for xray in of_classes if xray.sha256 in decoded], decoded, options.preprocessing)
        if min(films.count_patients()) < FEWEST_PATIENTS:
            raise InvalidDataset(_say_too_few(films), public=True)
        unseen = cross_validate(
            films.images[:], films.is_covid, films.groups, preprocessing=options.preprocessing, options=options
        )
        places = doubt_labels(unseen.probabilities.tolist(), films.is_covid.tolist())
        doubted = tuple((films.xrays[place], float(unseen.probabilities[place])) for place in places)
        check = LabelCheck(len(films.xrays), len(of_classes) - len(films.xrays), doubted)
        with transaction(engine) as session:
            evaluations.add_evaluation(
                session,
                model_id=champion.model_id,
                set_name=LABEL_CHECK,
                label_set_sha256=digest_label_set(labelled),
                figures={"sentence": check.sentence, "doubted": [xray.sha256 for xray, _ in doubted]},
                now=datetime.now(UTC),
            )
    return check


def read_doubted(session: Session) -> frozenset[str]:
    """The SHA-256s of films whose label the last label check doubted, whoever was champion then."""
    checks = evaluations.list_evaluations(session, set_name=LABEL_CHECK)
    return frozenset(json.loads(checks[-1].figures)["doubted"]) if checks else frozenset()


def _say_too_few(films: Side) -> str:
    covid, others = films.count_patients()
    return (
        f"{covid} patients with covid and {others} without are labelled and can be read; a label check needs "
        f"{FEWEST_PATIENTS} of each: label more films, `xray worklist` says which"
    )


def write_doubted(path: Path, check: LabelCheck) -> None:
    """A CSV of the doubted films, the surest first: content, label, P(covid) by the others."""
    rows = "".join(f"{xray.sha256},{xray.label.value},{score:.4f}\n" for xray, score in check.doubted)
    write_whole(path, f"xray_sha256,label,score\n{rows}".encode())
