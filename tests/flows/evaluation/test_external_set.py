"""An external set judges a model apart, holds nothing that it may have learned from, and is never trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from flows.evaluation.external_set import evaluate_external
from flows.settings import Settings
from flows.training.claim import open_trainer
from flows.training.images import read_training_images
from tests.factories import write_xray
from tests.flows.evidence_home import make_labelled, stored
from tests.networks import SIZE
from xray_core.errors import InvalidDataset, RefusedInput
from xray_core.networks.options import TrainingOptions
from xray_core.synthetic.xrays import write_sample_set


def test_an_external_set_is_judged_apart_with_intervals(trained: Settings, tmp_path: Path) -> None:
    write_sample_set(tmp_path / "siteB", per_class=12, patients=12, seed=77)

    found = evaluate_external(
        trained, tmp_path / "siteB", "siteB", patients=tmp_path / "siteB" / "patients.csv", version=None
    )

    # The drawn patients of both sites are called alike, so a name of their own tells them apart or keeps them out.
    assert found.evaluation.covid.xrays + found.evaluation.normal.xrays + sum(found.kept_out.values()) == 24
    assert stored(trained)[-1].set_name == "external: siteB"


def test_what_was_labelled_here_judges_nothing_as_an_external_set(trained: Settings, trained_once: Path) -> None:
    with pytest.raises(InvalidDataset, match="labelled here before: may have been trained on: 120"):
        evaluate_external(trained, trained_once / "dataset", "siteB", patients=None, version=None)


def test_a_copy_in_other_bytes_is_kept_out_as_a_near_duplicate(
    trained: Settings, trained_once: Path, tmp_path: Path
) -> None:
    write_sample_set(tmp_path / "siteB", per_class=6, patients=6, seed=78)
    (tmp_path / "siteB" / "patients.csv").unlink()
    original = min((trained_once / "dataset" / "covid").iterdir())
    with Image.open(original) as picture:
        picture.convert("L").resize((400, 400)).save(tmp_path / "siteB" / "covid" / "copy.png")

    found = evaluate_external(trained, tmp_path / "siteB", "siteB", patients=None, version=None)

    assert found.kept_out == {"near-duplicate of an X-ray labelled here": 1}


def test_an_external_set_is_never_trained_on_whoever_labels_it_later(trained: Settings, tmp_path: Path) -> None:
    write_sample_set(tmp_path / "siteB", per_class=6, patients=6, seed=79)
    (tmp_path / "siteB" / "patients.csv").unlink()
    evaluate_external(trained, tmp_path / "siteB", "siteB", patients=None, version=None)
    make_labelled(trained, tmp_path / "siteB")

    with open_trainer(trained) as trainer:
        preprocessing = TrainingOptions(input_size=SIZE).preprocessing
        images = read_training_images(trained, trainer.engine, preprocessing, lambda _: None)

    assert sum(len(side.xrays) for side in images.sides.values()) == 120


@pytest.mark.parametrize("name", ["", "test", "drift"])
def test_an_external_set_needs_a_name_of_its_own(trained: Settings, tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedInput, match="--name"):
        evaluate_external(trained, tmp_path, name, patients=None, version=None)


def test_films_labelled_other_by_the_sites_word_judge_apart_in_an_external_set(
    trained: Settings, tmp_path: Path
) -> None:
    write_sample_set(tmp_path / "siteB", per_class=6, patients=6, seed=80)
    (tmp_path / "siteB" / "patients.csv").unlink()
    for seed in (1, 2, 3):
        write_xray(tmp_path / "siteB" / "Viral Pneumonia" / f"{seed}.png", seed=900 + seed, size=200)
    (trained.home / "label-words.toml").write_text('[words]\n"viral pneumonia" = "other"\n')

    found = evaluate_external(trained, tmp_path / "siteB", "siteB", patients=None, version=None)

    others = found.evaluation.others
    assert others is not None
    assert (others.xrays, found.evaluation.covid.xrays, found.evaluation.normal.xrays) == (3, 6, 6)
    assert '"others"' in stored(trained)[-1].figures
