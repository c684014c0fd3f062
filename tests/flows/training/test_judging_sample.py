"""A test side with more patients of a class than may judge: who judges, and what every surface says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.evaluation.promotion import promote_through_gate
from flows.settings import Settings
from flows.training.due import read_due
from flows.training.training import train
from tests.evaluations import read_evaluation
from tests.flows.evidence_home import import_again, stored, write_lenient_policy
from tests.flows.training.test_label_policy import find_side, gather, say
from tests.forked import xray
from tests.networks import keep_known_weights
from xray_core.records import Label, Split
from xray_core.training.run_report import write_run_report

MOST = 5


def bound(settings: Settings, folder: Path) -> Settings:
    """The home with a policy by which five patients of a class are enough, and no more of them judge."""
    lenient = write_lenient_policy(settings, folder / "policy.toml")
    path = lenient.retraining_policy
    path.write_text(path.read_text().replace("max_patients_per_class = 500", f"max_patients_per_class = {MOST}"))
    return lenient


def test_verdict_card_report_and_evaluation_say_that_a_sample_judged(trained: Settings, tmp_path: Path) -> None:
    few = bound(trained, tmp_path)
    (learned, *_) = find_side(trained, Split.TRAIN)
    say(trained, [learned], Label.UNSURE, reader="anna", seen=False)  # another label set, or nobody would train

    trial = train(few, keep_known_weights(tmp_path), trigger="by hand")

    assert trial is not None
    judgement = trial.judgement
    whole = len({xray.group for xray in trial.images.plan.test})
    assert whole > 2 * MOST
    assert trial.images.sides[Split.TEST].count_patients() == (MOST, MOST)
    assert judgement.champion_evidence is not None
    assert judgement.evidence.xrays == judgement.champion_evidence.xrays
    said = f"a sample of {2 * MOST} patients, drawn by the site's key (`test.max_patients_per_class` of the policy), of"
    folder = few.models_dir / trial.conclusion.version
    card, report = (
        text.replace("\\", "") for text in ((folder / "MODEL_CARD.md").read_text(), write_run_report(trial))
    )
    for text in (card, report, trial.conclusion.reason):
        assert f"{said} {whole} patients: {whole} dataset" in text
    assert f"judged on {2 * MOST} patients, beside champion" in trial.conclusion.reason
    assert f"Judged on {2 * MOST} patients" not in card
    assert f"a sample by chance of the {whole} patients on its test side." in card
    assert "test: a sample of these judged, none was learned from" in card
    assert f"a sample by chance of the {whole} patients on the test side" in report
    for name in ("evaluation.json", "champion_evaluation.json"):
        evaluation = read_evaluation((folder / name).read_text())
        assert (evaluation.sampled_of, evaluation.patients) == (whole, 2 * MOST)
    assert json.loads(stored(few)[-1].figures)["sampled_of"] == whole


def test_candidate_champion_and_benchmark_are_judged_on_one_sample_at_every_look(
    trained: Settings, tmp_path: Path
) -> None:
    few = bound(trained, tmp_path)
    sample = {xray.sha256[:16] for xray in gather(few).sides[Split.TEST].xrays}
    names = [import_again(trained, name).version for name in ("first", "second", "third")]

    reasons = [promote_through_gate(few, version, "").reason for version in names]

    looks = [json.loads(record.figures)["look"] for record in stored(trained) if record.set_name == "test"]
    assert [look["number"] for look in looks if look] == [1, 2, 3]
    for look in filter(None, looks):
        assert {film for films in look["side"] for film in films} == sample
    assert f"beside champion {names[1]} and benchmark {names[0]}" in reasons[2]
    assert f"on the same {len(sample)} X-rays" in reasons[2]


def test_a_home_within_the_bound_is_judged_on_its_whole_test_side_and_no_sample_is_told_of(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = gather(trained)

    assert images.plan.judging == images.plan.test
    assert "sample" not in f"{images.judged_on}"
    assert json.loads(stored(trained)[-1].figures)["sampled_of"] is None


def test_labels_status_says_how_many_of_the_test_side_would_judge(
    trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = bound(trained, tmp_path)
    monkeypatch.setenv("XRAY_HOME", str(few.home))
    monkeypatch.setenv("XRAY_RETRAINING_POLICY", str(few.retraining_policy))

    done = xray("labels", "status")

    assert f"the test side judges on a sample of {2 * MOST} patients, drawn by the site's key" in done.stdout
    assert read_due(few).judged_on == gather(few).judged_on
