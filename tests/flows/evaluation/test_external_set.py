"""An external set judges a model apart, holds nothing that it may have learned from, and is never trained on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.evaluation.external_set import evaluate_external
from flows.registry.models import describe_model
from flows.registry.standing import read_caution
from flows.settings import Settings
from flows.training.claim import open_trainer
from flows.training.images import read_training_images
from tests.factories import write_xray
from tests.flows.cli.test_cli import xray
from tests.flows.evidence_home import champion, enter, make_labelled, stored
from tests.networks import SIZE
from xray_core.errors import InvalidDataset, RefusedInput
from xray_core.imaging.records import Preprocessing
from xray_core.networks.options import TrainingOptions
from xray_core.processes import reading
from xray_core.processes.decoding import Decoded, Undecoded
from xray_core.processes.records import DecoderLimits
from xray_core.stores.film import FilmPlace
from xray_core.synthetic.xrays import write_sample_set


def test_an_external_set_is_judged_apart_with_intervals(trained: Settings, tmp_path: Path) -> None:
    write_sample_set(tmp_path / "siteB", per_class=12, patients=12, seed=77)

    found = evaluate_external(
        trained, tmp_path / "siteB", "siteB", patients=tmp_path / "siteB" / "patients.csv", version=None
    )

    # The drawn patients of both sites are called alike, so a name of their own tells them apart or keeps them out.
    assert found.evaluation.covid.xrays + found.evaluation.normal.xrays + sum(found.kept_out.values()) == 24
    assert stored(trained)[-1].set_name == "external: siteB"


def test_each_film_of_an_external_set_is_decoded_once_and_kept_nowhere(
    trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sample_set(tmp_path / "siteB", per_class=6, patients=6, seed=82)
    (tmp_path / "siteB" / "patients.csv").unlink()
    evaluate_external(trained, tmp_path / "siteB", "siteB", patients=None, version=None)  # keeps what is labelled here
    kept = {path.name: path.read_bytes() for path in trained.greys_dir.iterdir()}
    decode, places = reading.decode_paths, []

    def count(
        limits: DecoderLimits, films: Iterable[tuple[Any, FilmPlace]], preprocessing: Preprocessing
    ) -> Iterator[tuple[Any, Decoded | Undecoded]]:
        films = list(films)
        places.extend(place for _, place in films)
        return decode(limits, films, preprocessing)

    monkeypatch.setattr(reading, "decode_paths", count)
    write_sample_set(tmp_path / "siteC", per_class=6, patients=6, seed=83)
    (tmp_path / "siteC" / "patients.csv").unlink()

    found = evaluate_external(trained, tmp_path / "siteC", "siteC", patients=None, version=None)

    assert (found.evaluation.covid.xrays, found.evaluation.normal.xrays) == (6, 6)
    assert sorted(places) == sorted(os.fsencode(path) for path in (tmp_path / "siteC").glob("*/*"))
    assert {path.name: path.read_bytes() for path in trained.greys_dir.iterdir()} == kept


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
    told = describe_model(trained, found.version)["evaluations"][-1]
    assert "apart, 3 X-rays labelled other: specificity " in told


def reverse(folder: Path) -> None:
    """Every film under the other class's name: a place where the champion ranks backwards."""
    (folder / "covid").rename(folder / "aside")
    (folder / "normal").rename(folder / "covid")
    (folder / "aside").rename(folder / "normal")


def test_a_place_where_the_model_ranks_backwards_is_named_wherever_its_scores_are_shown(
    trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(trained, monkeypatch)
    write_sample_set(tmp_path / "siteB", per_class=12, patients=12, seed=80)
    (tmp_path / "siteB" / "patients.csv").unlink()
    reverse(tmp_path / "siteB")

    told = xray("models", "evaluate", "--on", str(tmp_path / "siteB"), "--name", "siteB")

    assert told.returncode == 0, told.stderr
    words = re.compile(
        r"On siteB it ranks films backwards: AUROC 0\.\d\d \(0\.\d\d-0\.[0-4]\d\) on .*Do not use it there\."
    )
    assert words.search(told.stdout), told.stdout
    version = champion(trained).version
    assert words.search(xray("status").stdout.splitlines()[0])
    assert words.search(xray("models", "show", version).stdout)
    assert words.search((trained.models_dir / f"{version}.addendum.md").read_text())
    xray("export")
    (manifest,) = trained.exports_dir.glob("*.manifest.json")
    notes = json.loads(manifest.read_text())["notes"]
    assert words.search(notes["standing"])
    assert words.search(notes["found_wanting"])
    assert words.search(read_caution(trained) or "")
    assert xray("verify").returncode == 0


def test_an_external_evaluation_counts_what_the_service_would_refer_as_unlike_a_chest_film(
    trained: Settings, tmp_path: Path
) -> None:
    write_sample_set(tmp_path / "siteB", per_class=10, patients=10, seed=81)
    (tmp_path / "siteB" / "patients.csv").unlink()
    for path in sorted((tmp_path / "siteB" / "covid").iterdir()):
        with Image.open(path) as picture:
            picture.convert("L").transpose(Image.Transpose.ROTATE_180).save(path)

    found = evaluate_external(trained, tmp_path / "siteB", "siteB", patients=None, version=None)

    assert found.odd >= 8
    assert found.evaluation.confusion_covid.refer >= 8
    assert found.evaluation.figures.sensitivity_at_upper is not None
    assert found.evaluation.figures.sensitivity_at_upper.value <= 0.2
