"""Labelled films that cannot be read any more: every verdict says how many of which side, none is of a smaller side."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from db.engine import open_engine
from flows.evaluation.audit import audit_model
from flows.evaluation.promotion import promote_through_gate
from flows.home.films import make_locator, restored_dataset
from flows.home.ledger import find_anchor
from flows.operations.missing_films import let_missing_go
from flows.settings import Settings
from flows.training.images import read_training_images
from flows.training.training import train
from tests.flows.evidence_home import Rival, add_candidate, champion, stored
from tests.networks import keep_known_weights
from xray_core.errors import InvalidDataset
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.promotion.checks import check_films
from xray_core.records import LabelledXray, Split, Verdict
from xray_core.training.images import TrainingImages

_SMALL = Preprocessing(height=32, width=32, channels=1, scaling=Scaling.UNIT)


def gather(settings: Settings) -> TrainingImages:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    images = read_training_images(settings, engine, _SMALL, lambda _: None)
    engine.dispose()
    return images


def lose(settings: Settings, split: Split, count: int) -> list[LabelledXray]:
    """Give the home a dataset of its own, in which films of one side are not there."""
    lost = list(gather(settings).sides[split].xrays[:count])
    paths = [Path(path) for path in map(_as_text(settings), lost)]
    root = paths[0].parents[len(Path(lost[0].path.path).parts) - 1]
    own = restored_dataset(settings, lost[0].path.folder_id)
    shutil.copytree(root, own)
    for path in paths:
        (own / path.relative_to(root)).unlink()
    return lost


def _as_text(settings: Settings) -> Callable[[LabelledXray], str]:
    locate = make_locator(settings)
    return lambda xray: locate(xray.path).decode()


def test_what_is_missing_is_counted_by_side(trained: Settings) -> None:
    assert gather(trained).unread == {}
    lose(trained, Split.TEST, 3)

    images = gather(trained)

    assert images.unread == {Split.TEST: 3}
    assert images.unreadable == {"GONE": 3}


def test_a_promotion_judges_no_smaller_test_side(rival: Rival) -> None:
    before, evaluated = champion(rival.settings).version, len(stored(rival.settings))
    lose(rival.settings, Split.TEST, 2)

    decision = promote_through_gate(rival.settings, rival.candidate, "")

    assert decision.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert "2 of the test side" in decision.reason
    assert "put them back" in decision.reason
    assert champion(rival.settings).version == before
    assert len(stored(rival.settings)) == evaluated, "no figure of a smaller side is stored"


def test_a_promotion_says_how_many_of_the_other_sides_are_missing_and_judges(rival: Rival) -> None:
    lose(rival.settings, Split.TRAIN, 4)

    decision = promote_through_gate(rival.settings, rival.candidate, "")

    assert "4 of the train side" in decision.reason
    assert "patients" in {check.name for check in decision.checks}, "the whole test side was judged"


def test_an_audit_says_insufficient_evidence_and_stores_nothing(trained: Settings) -> None:
    evaluated = len(stored(trained))
    lose(trained, Split.VALIDATION, 1)

    with pytest.raises(InvalidDataset, match=r"insufficient evidence: .*1 of the validation side"):
        audit_model(trained, None)

    assert len(stored(trained)) == evaluated


def test_a_training_says_so_in_its_verdict(trained: Settings, tmp_path: Path) -> None:
    lose(trained, Split.TEST, 2)
    options = replace(keep_known_weights(tmp_path), erase_border=True)  # the same labels are trained on once

    trial = train(trained, options, trigger="by hand")

    assert trial is not None
    assert not trial.conclusion.is_champion
    assert "2 of the test side" in trial.conclusion.reason
    assert "no smaller test side is judged" in trial.conclusion.reason
    assert stored(trained)[-1].set_name == "test, incomplete"


def test_films_that_a_person_let_go_are_no_longer_asked_for(trained: Settings, tmp_path: Path) -> None:
    second = add_candidate(trained, tmp_path)
    lose(trained, Split.TEST, 2)

    assert let_missing_go(trained) == 2

    assert gather(trained).unread == {}
    assert "test side" not in promote_through_gate(trained, second, "").reason


def test_nothing_is_said_where_all_can_be_read() -> None:
    assert check_films({}) == []
    assert check_films({Split.TEST: 0}) == []
