"""The places that the policy names: their films, and the champion's scores of them."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Engine

from db.engine import snapshot
from db.registry import models
from flows.registry.external_films import read_external_films
from flows.registry.policy import read_policy
from flows.registry.registered import open_registered
from flows.registry.rescoring import score_known
from flows.settings import Settings
from xray_core.errors import InvalidDataset
from xray_core.imaging.records import Preprocessing
from xray_core.models.open_model import OpenModel
from xray_core.promotion.evidence import GateEvidence, PlaceEvidence
from xray_core.promotion.policy import ExternalSet
from xray_core.records import Label
from xray_core.training.images import Side, stack_side
from xray_core.training.judgement import Place

_LOG = logging.getLogger(__name__)


def read_places(settings: Settings, engine: Engine, preprocessing: Preprocessing) -> tuple[Place, ...]:
    """Every place of the policy as one preprocessing takes its films; without films where these cannot be judged on."""
    external = read_policy(settings).external_sets
    with snapshot(engine) as session:
        champion = models.champion(session) if external else None
    opened = None if champion is None else open_registered(settings, champion)
    return tuple(_read_place(settings, engine, name, opened, preprocessing) for name in sorted(external))


def collect_places(settings: Settings, engine: Engine, opened: OpenModel) -> tuple[PlaceEvidence, ...]:
    """A registered model beside the champion at every place of the policy."""
    return tuple(
        PlaceEvidence(place.name, _collect(settings, opened, place.side), place.champion)
        if place.side is not None
        else PlaceEvidence(place.name)
        for place in read_places(settings, engine, opened.manifest.preprocessing)
    )


def _read_place(
    settings: Settings, engine: Engine, name: str, champion: OpenModel | None, preprocessing: Preprocessing
) -> Place:
    place = read_policy(settings).external_sets[name]
    of = ExternalSet(place) if isinstance(place, str) else place
    patients = None if of.patients is None else Path(of.patients)
    try:
        films = read_external_films(settings, engine, Path(of.folder), preprocessing, patients=patients)
    except InvalidDataset as error:
        _LOG.warning("%s, which the policy names, judges nothing: %s", name, error.public_sentence)
        return Place(name, None, None)
    side = stack_side([xray for xray in films.xrays if xray.label is not Label.OTHER], films.decoded, preprocessing)
    return Place(name, side, None if champion is None else _collect(settings, champion, side))


def _collect(settings: Settings, opened: OpenModel, side: Side) -> GateEvidence | None:
    """A model's scores of the films of a place; None where one is not there any more."""
    scores = score_known(settings, opened, side.xrays)
    if len(scores) < len(side.xrays):
        return None
    return GateEvidence(
        version=opened.manifest.version,
        xrays=[xray.sha256 for xray in side.xrays],
        probabilities=[scores[xray.sha256].score.probability for xray in side.xrays],
        is_covid=side.is_covid.tolist(),
        patients=side.groups,
        is_odd=[scores[xray.sha256].score.is_odd for xray in side.xrays],
        operating_point=opened.manifest.operating_point,
        slices=side.slices,
    )
