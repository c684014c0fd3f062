"""What speaks for and against a registered model: audit, external set, comparison, gate, shadow, drift."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db import evaluations, model_registry, scored_xrays
from db.engine import open_engine, snapshot
from flows.audit_model import AUDIT_SET, audit_model
from flows.compare_models import compare_models
from flows.drift import check_drift_of_champion
from flows.due import read_due
from flows.explain import explain
from flows.exports import describe_champion, write_export
from flows.external_set import evaluate_external
from flows.gate import promote_through_gate
from flows.import_model import import_model
from flows.models import find_model, read_history
from flows.remedy_words import parse_remedies, read_champion_remedies
from flows.scan import open_scan
from flows.settings import Settings
from flows.train_once import train_once
from flows.training import open_training
from flows.verification import find_breach
from tests.flows.evidence_home import SIZE, add_candidate, make_trained_home
from xray_core.errors import InvalidDataset, ModelAltered, RefusedInput
from xray_core.model_folder import MANIFEST_FILE, read_manifest
from xray_core.records import (
    AuditVerdict,
    EvaluationRecord,
    Label,
    ModelRecord,
    Outcome,
    Remedy,
    Scaling,
    Stage,
    Verdict,
)
from xray_core.sample_xrays import write_sample_set
from xray_core.training import TrainingOptions


@dataclass(frozen=True)
class Rival:
    """A home with a trained champion and a candidate that nobody trained."""

    settings: Settings
    candidate: str


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    make_trained_home(folder)
    return folder


@pytest.fixture(scope="module")
def rival_once(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Rival:
    folder = tmp_path_factory.mktemp("rival")
    settings = copy_home(trained_once / "home", folder)
    return Rival(settings, add_candidate(settings, folder))


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Settings:
    """A home of the test's own with a trained champion and nothing scored; the dataset stays where it is."""
    return copy_home(trained_once / "home", tmp_path)


@pytest.fixture
def rival(rival_once: Rival, tmp_path: Path) -> Rival:
    """The same with a candidate beside the champion."""
    return Rival(copy_home(rival_once.settings.home, tmp_path), rival_once.candidate)


def copy_home(home: Path, folder: Path) -> Settings:
    shutil.copytree(home, folder / "home")
    return Settings(home=folder / "home", settle_seconds=0)


def scan(settings: Settings) -> dict[str, int]:
    with open_scan(settings) as one_scan:
        for files in one_scan.find_batches():
            one_scan.score(files)
    return dict(one_scan.counts.outcomes)


def deliver(settings: Settings, *, per_class: int = 8, seed: int = 5) -> None:
    write_sample_set(settings.incoming_dir, per_class=per_class, patients=per_class, seed=seed, layout="flat")


def stored(settings: Settings) -> list[EvaluationRecord]:
    engine = open_engine(settings.url)
    with snapshot(engine) as session:
        found = evaluations.list_evaluations(session)
    engine.dispose()
    return found


def champion(settings: Settings) -> ModelRecord:
    return find_model(settings, None)


def test_a_picture_that_is_no_chest_film_is_referred_and_why_says_so(trained: Settings) -> None:
    deliver(trained)
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    Image.fromarray(noise).save(trained.incoming_dir / "noise.png")

    scan(trained)

    told = " ".join(explain(trained, Path("noise.png")))
    assert "refer by model" in told
    assert "unlike the chest X-rays that the model was trained on: distance" in told


def test_ordinary_films_keep_their_outcome_and_their_distance_is_stored(trained: Settings) -> None:
    deliver(trained, per_class=10)

    scan(trained)

    engine = open_engine(trained.url)
    with snapshot(engine) as session:
        rows = session.connection().exec_driver_sql("SELECT distance, refer_reason FROM results").all()
    engine.dispose()
    assert len(rows) == 20
    assert all(distance > 0 for distance, _ in rows)
    assert sum(reason is not None for _, reason in rows) <= 2


def test_an_altered_threshold_is_found_at_load_and_by_verify(trained: Settings) -> None:
    deliver(trained, per_class=1)
    path = trained.models_dir / champion(trained).version / MANIFEST_FILE
    manifest = json.loads(path.read_bytes())
    manifest["operating_point"]["upper"] = 1.0
    path.chmod(0o600)
    path.write_text(json.dumps(manifest))

    with pytest.raises(ModelAltered, match=r"model\.json has sha256"):
        scan(trained)

    assert "model.json" in (find_breach(trained)[0] or "")


def test_an_altered_reference_is_found_at_load(trained: Settings) -> None:
    deliver(trained, per_class=1)
    path = trained.models_dir / champion(trained).version / "chest_reference.npz"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    with pytest.raises(ModelAltered, match=r"chest_reference\.npz"):
        scan(trained)


def test_an_audit_of_the_champion_is_stored_and_becomes_its_verdict(trained: Settings) -> None:
    model, audit = audit_model(trained, None)

    assert model.audit_verdict is audit.verdict
    assert champion(trained).audit_verdict is audit.verdict
    newest = stored(trained)[-1]
    assert (newest.set_name, newest.model_version) == (AUDIT_SET, model.version)
    assert json.loads(newest.figures)["sentence"] == audit.sentence


def test_a_version_that_is_not_there_cannot_be_audited(trained: Settings) -> None:
    with pytest.raises(RefusedInput, match="there is no such model"):
        audit_model(trained, "0099-nobody")


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

    with open_training(trained) as training:
        claim = training.claim(trigger="by hand")
        assert claim is not None
        material = training.gather(claim, TrainingOptions(input_size=SIZE))

    assert sum(len(side.xrays) for side in material.sides.values()) == 120


def make_labelled(settings: Settings, folder: Path) -> None:
    from flows.dataset import register_dataset
    from xray_core.dataset_folder import read_dataset_folder

    engine = open_engine(settings.url)
    found = read_dataset_folder(folder, settings.class_names, None)
    register_dataset(settings, engine, found, on_progress=lambda _: None)
    engine.dispose()


@pytest.mark.parametrize("name", ["", "test", "drift"])
def test_an_external_set_needs_a_name_of_its_own(trained: Settings, tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedInput, match="--name"):
        evaluate_external(trained, tmp_path, name, patients=None, version=None)


def test_two_models_are_compared_on_what_came_in_and_nothing_is_stored(rival: Rival) -> None:
    trained, second = rival.settings, rival.candidate
    deliver(trained)
    scan(trained)

    report = compare_models(trained, champion(trained).version, second)

    assert (len(report.compared), report.unread) == (16, 0)
    engine = open_engine(trained.url)
    with snapshot(engine) as session:
        model = model_registry.find_model(session, second)
        assert model is not None
        assert scored_xrays.read_scores(session, model.model_id, model.preprocessing_version) == {}
    engine.dispose()


def test_a_model_compared_with_itself_flips_nothing(trained: Settings) -> None:
    deliver(trained)
    scan(trained)
    version = champion(trained).version

    assert compare_models(trained, version, version).flips == ()


def test_without_a_scored_xray_there_is_nothing_to_compare_on(rival: Rival) -> None:
    trained, second = rival.settings, rival.candidate

    with pytest.raises(RefusedInput, match="no X-ray was scored yet"):
        compare_models(trained, champion(trained).version, second)


def test_a_promotion_by_hand_goes_through_the_gate_and_changes_nothing_without_its_verdict(rival: Rival) -> None:
    trained, second = rival.settings, rival.candidate
    before = champion(trained).version

    decision = promote_through_gate(trained, second, "")

    assert decision.verdict is not Verdict.PROMOTE
    assert "test patients" in decision.reason or "audit" in decision.reason
    assert champion(trained).version == before
    assert stored(trained)[-1].model_version == second


def test_the_champion_cannot_be_promoted_again(trained: Settings) -> None:
    with pytest.raises(RefusedInput, match="is champion already"):
        promote_through_gate(trained, champion(trained).version, "")


@pytest.mark.parametrize("size", [SIZE, SIZE + 8])
def test_a_shadow_scores_what_the_champion_scores_and_never_leaves(
    trained: Settings, tmp_path: Path, size: int
) -> None:
    second = add_candidate(trained, tmp_path, size=size)
    deliver(trained)

    scan(trained.model_copy(update={"shadow": True}))

    engine = open_engine(trained.url)
    with snapshot(engine) as session:
        counted = session.connection().exec_driver_sql("SELECT shadow, count(*) FROM results GROUP BY 1").all()
    engine.dispose()
    assert [tuple(row) for row in counted] == [(0, 16), (1, 16)]
    summary = write_export(trained, out=tmp_path / "out.csv")
    assert second not in summary.path.read_text()
    assert find_breach(trained)[0] is None


def test_a_damaged_shadow_never_stops_the_champion(rival: Rival) -> None:
    trained, second = rival.settings, rival.candidate
    path = trained.models_dir / second / "model.onnx"
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    deliver(trained)

    outcomes = scan(trained.model_copy(update={"shadow": True}))

    assert sum(outcomes.values()) == 16


def test_without_the_setting_nobody_stands_in_the_shadow(rival: Rival) -> None:
    trained = rival.settings
    deliver(trained, per_class=2)

    scan(trained)

    engine = open_engine(trained.url)
    with snapshot(engine) as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM results WHERE shadow").scalar() == 0
    engine.dispose()


def test_films_like_the_training_have_not_drifted(trained: Settings) -> None:
    deliver(trained, per_class=40, seed=6)
    scan(trained)

    drift = check_drift_of_champion(trained)

    assert not drift.moved
    assert "Nothing has moved" in drift.sentence
    assert stored(trained)[-1].set_name == "drift"


def test_darker_films_have_drifted_and_then_fewer_labels_retrain(trained: Settings, tmp_path: Path) -> None:
    write_sample_set(tmp_path / "films", per_class=20, patients=20, seed=6, layout="flat")
    for path in (tmp_path / "films").iterdir():
        with Image.open(path) as picture:
            darker = picture.convert("L").point(lambda level: level * 0.5)
        darker.save((trained.incoming_dir / path.name).with_suffix(".png"))
    scan(trained)

    drift = check_drift_of_champion(trained)

    assert drift.moved
    assert "mean grey level" in drift.sentence
    assert "10 wanted because the incoming X-rays or the scores have moved" in read_due(trained).reason


def test_with_too_few_films_nothing_is_said_to_have_moved(trained: Settings) -> None:
    drift = check_drift_of_champion(trained)

    assert not drift.moved
    assert drift.sentence.startswith("Too few X-rays to tell")


def test_of_a_model_from_elsewhere_drift_cannot_be_told(settings: Settings) -> None:
    drift = check_drift_of_champion(settings)

    assert not drift.moved
    assert "cannot be told" in drift.sentence


def test_remedies_are_words_and_a_wrong_one_is_refused_naming_the_right_ones() -> None:
    assert parse_remedies(["erase-border", "clahe"]) == ((Remedy.CLAHE,), True)

    with pytest.raises(RefusedInput, match="expected one of lung-crop, equalize, clahe, mask-markers, erase-border"):
        parse_remedies(["magic"])


def test_other_remedies_make_another_training_of_the_same_labels(trained: Settings) -> None:
    with open_training(trained) as training:
        assert training.claim(trigger="by hand", options=TrainingOptions(epochs=1)) is None
        assert training.claim(trigger="by hand", options=TrainingOptions(remedies=(Remedy.EQUALIZE,))) is not None
        assert training.claim(trigger="by hand", options=TrainingOptions(remedies=(Remedy.EQUALIZE,))) is None


def test_a_remedy_is_part_of_the_preprocessing_that_training_and_scoring_share() -> None:
    options = TrainingOptions(remedies=(Remedy.MASK_MARKERS, Remedy.LUNG_CROP), input_size=SIZE)

    assert options.preprocessing.remedies == ("lung-crop", "mask-markers")
    assert options.preprocessing.version == "v1-48x48x3-unit-lung-crop-mask-markers"


def test_a_retraining_takes_over_the_remedies_of_the_champion(trained: Settings) -> None:
    assert read_champion_remedies(trained) == ((), False)


def test_the_champions_standing_goes_with_every_export(trained: Settings) -> None:
    engine = open_engine(trained.url)
    with snapshot(engine) as session:
        told = describe_champion(session, trained)
    engine.dispose()

    assert "UNPROVEN" in told["standing"]
    assert told["shortcut_audit"] in set(AuditVerdict)


def test_a_trained_model_registers_its_references_among_its_files(trained: Settings) -> None:
    manifest = read_manifest(trained.models_dir / champion(trained).version)

    assert {"chest_reference.npz", "drift_reference.json"} <= manifest.files.keys()
    assert champion(trained).stage is Stage.CHAMPION


def test_the_flip_csv_of_two_models_reads_back(rival: Rival, tmp_path: Path) -> None:
    trained, second = rival.settings, rival.candidate
    from xray_core.flip_report import write_flips_csv

    deliver(trained)
    scan(trained)
    report = compare_models(trained, champion(trained).version, second)

    written = write_flips_csv(tmp_path / "flips.csv", report)

    rows = list(csv.DictReader((tmp_path / "flips.csv").read_text().splitlines()))
    assert len(rows) == written == len(report.flips)
    assert all(row["outcome_a"] != row["outcome_b"] for row in rows)
    assert {row["outcome_a"] for row in rows} <= {outcome.value for outcome in Outcome}


def test_the_gate_promotes_by_hand_what_is_not_worse_and_the_history_says_who(
    trained: Settings, tmp_path: Path
) -> None:
    before = champion(trained).version
    shutil.copy(trained.models_dir / before / "model.keras", tmp_path / "twin.keras")
    twin = import_model(
        trained,
        tmp_path / "twin.keras",
        positive_output=Label.COVID,
        scaling=Scaling.UNIT,
        input_size=None,
        name="twin",
    ).version
    lenient = write_lenient_policy(trained, tmp_path / "policy.toml")

    decision = promote_through_gate(lenient, twin, "asked for")

    assert decision.verdict is Verdict.PROMOTE, decision.reason
    assert (champion(trained).version, champion(trained).proven) == (twin, True)
    term = read_history(trained)[-1]
    assert (term.actor, term.evaluation_id) == ("operator (through the gate)", stored(trained)[-1].evaluation_id)
    assert "asked for" in term.reason


def write_lenient_policy(settings: Settings, path: Path) -> Settings:
    """A policy that a handful of drawn X-rays can satisfy: what it asks is asked all the same."""
    text = settings.retraining_policy.read_text()
    for name, value in (("min_patients_per_class", 5), ("margin", 0.5), ("sensitivity_floor", 0.0)):
        head, test = text.split("[test]")
        text = f"{head}[test]{re.sub(rf'(?m)^{name} = [0-9.]+', f'{name} = {value}', test)}"
    path.write_text(re.sub(r"(?m)^max_refer_share = [0-9.]+", "max_refer_share = 1.0", text))
    return settings.model_copy(update={"retraining_policy": path})


def test_a_remedied_model_that_cannot_be_judged_yet_stays_a_candidate_with_its_remedy_recorded(
    trained: Settings,
) -> None:
    options = TrainingOptions(epochs=1, input_size=SIZE, remedies=(Remedy.EQUALIZE,))

    concluded = train_once(trained, options, trigger="by hand", on_epoch=lambda _: None)

    assert concluded is not None
    assert concluded.verdict is Verdict.INSUFFICIENT_EVIDENCE, concluded.reason
    assert find_model(trained, concluded.version).stage is Stage.CANDIDATE
    assert read_manifest(trained.models_dir / concluded.version).preprocessing.remedies == ("equalize",)
