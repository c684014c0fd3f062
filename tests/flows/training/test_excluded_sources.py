"""A training that leaves out the films of a source: said in manifest and card, and done so by retrainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from db.engine import open_engine, transaction
from db.scoring.tables import XrayRow
from flows.home.ledger import find_anchor
from flows.registry.models import promote_by_hand
from flows.registry.policy import read_policy
from flows.settings import Settings
from flows.training.due import read_due
from flows.training.remedies import read_taken_over
from flows.training.training import train
from tests.flows.training.claims import are_claimed
from tests.networks import keep_known_weights
from xray_core.errors import RefusedInput
from xray_core.models.folder import read_manifest
from xray_core.networks.options import TrainingOptions
from xray_core.training.left_out import FilmChoice, read_choice

pytestmark = [pytest.mark.keras, pytest.mark.lengthy]


def name_sources(settings: Settings, *, of_siteb: int) -> None:
    """So many of the dataset's films, of both classes, come from siteB; the others from siteA."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        for xray in session.query(XrayRow):
            xray.source = "siteB" if xray.id % 6 == 0 and xray.id <= 6 * of_siteb else "siteA"
    engine.dispose()


def test_films_of_an_excluded_source_are_left_out_of_this_training_and_of_those_after_it(
    trained: Settings, tmp_path: Path
) -> None:
    name_sources(trained, of_siteb=20)
    options = replace(keep_known_weights(tmp_path), excluded_sources=("siteB",))

    trial = train(trained, options, trigger="by hand")

    assert trial is not None
    taken = [xray.source for side in trial.images.sides.values() for xray in side.xrays]
    assert set(taken) == {"siteA"}
    assert len(taken) == 100
    folder = trained.models_dir / trial.conclusion.version
    assert read_choice(read_manifest(folder).training) == FilmChoice(excluded_sources=("siteB",))
    card = (folder / "MODEL_CARD.md").read_text()
    assert "Left out: 20 (X-rays): their source is excluded." in card
    assert "excluded sources" in card
    assert read_due(trained).new_labels == 0  # the loop has trained on all of them

    promote_by_hand(trained, trial.conclusion.version, "read its card")

    assert read_taken_over(trained, read_policy(trained)).excluded_sources == ("siteB",)
    due = read_due(trained)
    assert (due.new_labels, are_claimed(trained)) == (0, True)


def test_a_source_that_no_film_has_is_refused_with_those_that_there_are(trained: Settings) -> None:
    name_sources(trained, of_siteb=20)

    with pytest.raises(RefusedInput, match="--exclude-source: received siteC; expected one of siteA, siteB"):
        train(trained, TrainingOptions(excluded_sources=("siteC",)), trigger="by hand")
