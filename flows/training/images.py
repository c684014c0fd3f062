"""The labelled X-rays of the ledger, gathered for a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Engine

from db.engine import snapshot
from db.reading.labelled import read_labelled
from db.registry import evaluations
from db.scoring import whereabouts, xrays
from flows.home.films import make_locator
from flows.home.site_key import read_site_key
from flows.registry.grey_levels import find_grey_store
from flows.registry.policy import read_policy
from flows.settings import Settings
from xray_core.imaging.records import Preprocessing
from xray_core.models.records import ModelManifest
from xray_core.records import LabelledXray
from xray_core.training.images import TrainingImages, gather_images
from xray_core.training.left_out import ALL_FILMS, FilmChoice, read_choice


def read_training_images(
    settings: Settings,
    engine: Engine,
    preprocessing: Preprocessing,
    on_progress: Callable[[int], None],
    *,
    choice: FilmChoice = ALL_FILMS,
    frozen_base: bool = False,
    labelled: Sequence[LabelledXray] | None = None,
) -> TrainingImages:
    """The labelled X-rays of the ledger on their frozen sides, decoded; X-rays of external sets are none of them.

    `labelled` are those that a training has claimed, where it has; else they are read.
    `choice` says which of them are taken; with a `frozen_base` training and validation side are learned from together.
    """
    policy = read_policy(settings)
    with snapshot(engine) as session:
        labelled = read_labelled(session, policy.labels) if labelled is None else labelled
        external = evaluations.external_xrays(session)
        frozen = xrays.read_splits(session)
        let_go = whereabouts.read_let_go(session)
    images = gather_images(
        settings.decoder_limits,
        [xray for xray in choice.choose(labelled) if xray.sha256 not in external],
        frozen,
        read_site_key(settings),
        preprocessing,
        used_before=frozenset(xray.sha256 for xray in labelled if xray.group in frozen),
        locate=make_locator(settings),
        unknown_may_judge=policy.test.unknown_may_judge,
        most_judges=policy.test.most_judges,
        let_go=frozenset(xray.sha256 for xray in labelled if xray.xray_id in let_go),
        frozen_base=frozen_base,
        store=find_grey_store(settings),
        on_progress=on_progress,
    )
    return replace(images, excluded=choice.count_excluded(labelled))


def read_images_for(
    settings: Settings, engine: Engine, manifest: ModelManifest, on_progress: Callable[[int], None]
) -> TrainingImages:
    """The same for a registered model that is asked again: of what it was trained on, on the sides of then."""
    return read_training_images(
        settings,
        engine,
        manifest.preprocessing,
        on_progress,
        choice=read_choice(manifest.training),
        frozen_base=bool(manifest.training.get("frozen")),
    )
