"""The labelled X-rays of the ledger, gathered for a training."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine

from db.engine import snapshot
from db.reading.labelled import read_labelled
from db.registry import evaluations
from db.scoring import whereabouts, xrays
from flows.home.films import make_locator
from flows.home.site_key import read_site_key
from flows.registry.policy import read_policy
from flows.settings import Settings
from xray_core.imaging.records import Preprocessing
from xray_core.models.records import ModelManifest
from xray_core.records import FolderKind, LabelledXray
from xray_core.training.images import TrainingImages, gather_images


def read_training_images(
    settings: Settings,
    engine: Engine,
    preprocessing: Preprocessing,
    on_progress: Callable[[int], None],
    *,
    own_labels: bool = False,
    frozen_base: bool = False,
) -> TrainingImages:
    """The labelled X-rays of the ledger on their frozen sides, decoded; X-rays of external sets are none of them.

    With `own_labels` those alone that arrived at this site; with a `frozen_base` training and validation side are
    learned from together.
    """
    policy = read_policy(settings)
    with snapshot(engine) as session:
        labelled = read_labelled(session, policy.labels)
        external = evaluations.external_xrays(session)
        frozen = xrays.read_splits(session)
        let_go = whereabouts.read_let_go(session)
    return gather_images(
        settings.decoder_limits,
        [xray for xray in choose_labelled(labelled, own_labels=own_labels) if xray.sha256 not in external],
        frozen,
        read_site_key(settings),
        preprocessing,
        used_before=frozenset(xray.sha256 for xray in labelled if xray.group in frozen),
        locate=make_locator(settings),
        unknown_may_judge=policy.test.unknown_may_judge,
        let_go=frozenset(xray.sha256 for xray in labelled if xray.xray_id in let_go),
        frozen_base=frozen_base,
        on_progress=on_progress,
    )


def read_images_for(
    settings: Settings, engine: Engine, manifest: ModelManifest, on_progress: Callable[[int], None]
) -> TrainingImages:
    """The same for a registered model that is asked again: of what it was trained on, on the sides of then."""
    return read_training_images(
        settings,
        engine,
        manifest.preprocessing,
        on_progress,
        own_labels=bool(manifest.training.get("own_labels")),
        frozen_base=bool(manifest.training.get("frozen")),
    )


def choose_labelled(labelled: list[LabelledXray], *, own_labels: bool) -> list[LabelledXray]:
    """All of them, or with `own_labels` those whose film arrived here and was not given as a dataset."""
    return [xray for xray in labelled if not own_labels or xray.path.kind is not FolderKind.DATASET]
