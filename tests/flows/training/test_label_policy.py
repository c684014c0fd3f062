"""What the policy lets count as a label: on which side, and what every surface says of the rest."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from db.engine import open_engine, transaction
from db.scoring import labels
from flows.home.ledger import find_anchor
from flows.home.site_key import pseudonym, read_site_key
from flows.registry.models import find_model
from flows.registry.registered import open_registered
from flows.registry.test_side import collect_evidence
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from flows.training.due import read_due
from flows.training.images import read_training_images
from flows.training.training import train
from tests.db.rows import NOW, label_row
from tests.evaluations import read_evaluation
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.networks import keep_known_weights
from xray_core.errors import InvalidDataset
from xray_core.exchange.records import LabelLine
from xray_core.records import Held, Label, LabelledXray, Split, Standard
from xray_core.training.images import TrainingImages
from xray_core.training.run_report import write_run_report
from xray_core.training.split import assign_split


def gather(settings: Settings) -> TrainingImages:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    preprocessing = open_registered(settings, find_model(settings, None)).manifest.preprocessing
    images = read_training_images(settings, engine, preprocessing, lambda _: None)
    engine.dispose()
    return images


def find_side(settings: Settings, side: Split) -> list[LabelledXray]:
    """The X-rays that the last training had on a side."""
    return list(gather(settings).sides[side].xrays)


def say(settings: Settings, xrays: list[LabelledXray], label: Label | None, *, reader: str, seen: bool) -> None:
    """A reader's labels of X-rays that the home has, as a CSV brings them; None repeats what is known."""
    line: LabelLine = replace(label_row("x.png", Label.COVID, reader=reader), score_visible=seen)
    rows = [(replace(line, label=label or xray.label), xray.xray_id) for xray in xrays]
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        labels.add_labels(session, rows, source="csv", import_sha256="0" * 64, now=NOW)
    engine.dispose()


def with_policy(settings: Settings, folder: Path, **rules: str) -> Settings:
    words = settings.retraining_policy.read_text()
    for name, value in rules.items():
        old = next(line for line in words.splitlines() if line.startswith(f"{name} = "))
        words = words.replace(old, f"{name} = {value}")
    path = folder / "policy.toml"
    path.write_text(words)
    return settings.but({"retraining_policy": path})


def test_a_dispute_is_held_from_training_and_the_policy_may_let_the_newest_label_count(
    trained: Settings, tmp_path: Path
) -> None:
    covid = [xray for xray in find_side(trained, Split.TRAIN) if xray.label is Label.COVID][:3]
    say(trained, covid, Label.NORMAL, reader="anna", seen=False)

    held, free = gather(trained), gather(with_policy(trained, tmp_path, hold_disputes="false"))

    assert held.plan.count_held(Split.TRAIN) == {Held.DISPUTED: 3}
    assert not {xray.sha256 for xray in covid} & {xray.sha256 for xray in held.sides[Split.TRAIN].xrays}
    known = {xray.sha256: xray.label for xray in free.sides[Split.TRAIN].xrays}
    assert [known[xray.sha256] for xray in covid] == [Label.NORMAL] * 3
    assert read_due(trained).held == {Held.DISPUTED: 3}


def test_readers_who_saw_the_score_move_no_label_of_the_test_side(trained: Settings) -> None:
    test = find_side(trained, Split.TEST)
    say(trained, test, Label.NORMAL, reader="anna", seen=True)

    after = gather(trained)

    assert after.sides[Split.TEST].is_covid.tolist() == [xray.label is Label.COVID for xray in test]
    assert f"{after.judged_on}" == f"{len(test)} patients: {len(test)} dataset"


def test_films_that_nobody_read_blind_are_left_out_of_judging_and_say_so(settings: Settings, tmp_path: Path) -> None:
    films = drop_xrays(settings.incoming_dir, 24)
    scan(settings)
    rows = [f"{film.name},{('covid', 'normal')[n % 2]},P{n},anna,yes" for n, film in enumerate(films)]
    (tmp_path / "labels.csv").write_text("\n".join(["filename,label,patient_id,labelled_by,score_visible", *rows]))
    import_labels_from(settings, tmp_path / "labels.csv", mapping={})
    key = read_site_key(settings)
    judging = [assign_split(pseudonym(key, f"P{n}"), key) for n in range(24)].count(Split.TEST)

    due, let = read_due(settings), read_due(with_policy(settings, tmp_path, blind_test_side="false"))

    assert due.judged_on.left_out == {Held.VISIBLE: judging}
    assert due.new_labels == 24 - judging
    assert let.judged_on.patients == {Standard.READERS: judging}
    assert let.new_labels == 24
    with pytest.raises(
        InvalidDataset,
        match=rf"{judging} X-rays? of the test side left out, the score was visible \(`xray export --for-review`",
    ):
        gather(settings)


def test_two_readers_are_waited_for_where_the_policy_asks_for_two(trained: Settings, tmp_path: Path) -> None:
    two = with_policy(trained, tmp_path, readers_per_film="2")

    assert gather(two).plan.left_out == gather(trained).plan.left_out  # a dataset's own label needs no reader


def test_films_labelled_other_train_as_not_covid_and_judge_apart(trained: Settings, tmp_path: Path) -> None:
    before = gather(trained)
    other = {
        side: [xray for xray in before.sides[side].xrays if xray.label is Label.NORMAL][:2]
        for side in (Split.TRAIN, Split.TEST)
    }
    for xrays in other.values():
        say(trained, xrays, Label.OTHER, reader="", seen=False)

    after = gather(trained)
    never = gather(with_policy(trained, tmp_path, other='"never train"'))

    learned = {
        x.sha256: bool(covid)
        for x, covid in zip(after.sides[Split.TRAIN].xrays, after.sides[Split.TRAIN].is_covid, strict=True)
    }
    assert [learned[xray.sha256] for xray in other[Split.TRAIN]] == [False, False]
    assert {xray.sha256 for xray in after.others.xrays} == {xray.sha256 for xray in other[Split.TEST]}
    assert len(after.sides[Split.TEST].xrays) == len(before.sides[Split.TEST].xrays) - 2
    assert never.plan.count_held(Split.TRAIN) == {Held.OTHER: 2}
    assert len(never.others.xrays) == 2
    evidence = collect_evidence(trained, open_registered(trained, find_model(trained, None)), after)
    assert len(evidence.others.probabilities) == 2


def test_labels_status_says_whom_a_candidate_would_be_judged_on_and_what_is_held(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_HOME", str(trained.home))
    covid = [xray for xray in find_side(trained, Split.TRAIN) if xray.label is Label.COVID][:3]
    say(trained, covid, Label.NORMAL, reader="anna", seen=False)

    done = subprocess.run(
        [sys.executable, "-m", "flows", "labels", "status"], capture_output=True, text=True, check=True, timeout=120
    )

    judging = len(find_side(trained, Split.TEST))
    assert f"the test side judges on {judging} patients: {judging} dataset" in done.stdout
    assert "3 X-rays not trained on, readers disagree (`xray labels adjudicate` settles them)" in done.stdout


def test_card_report_and_evaluation_of_a_training_tell_other_findings_and_what_was_held(
    trained: Settings, tmp_path: Path
) -> None:
    before = gather(trained)
    covid = [xray for xray in before.sides[Split.TRAIN].xrays if xray.label is Label.COVID][:3]
    say(trained, covid, Label.NORMAL, reader="anna", seen=False)
    for side in (Split.TRAIN, Split.TEST):
        normal = [xray for xray in before.sides[side].xrays if xray.label is Label.NORMAL][:2]
        say(trained, normal, Label.OTHER, reader="", seen=False)

    trial = train(trained, keep_known_weights(tmp_path), trigger="by hand")

    assert trial is not None
    folder = trained.models_dir / trial.conclusion.version
    card, report = (
        text.replace("\\", "") for text in ((folder / "MODEL_CARD.md").read_text(), write_run_report(trial))
    )
    assert read_evaluation((folder / "evaluation.json").read_text()).others is not None
    assert read_evaluation((folder / "champion_evaluation.json").read_text()).others is not None
    judged_on = f"{trial.images.judged_on}"
    assert "2 by one blinded reader" in judged_on
    for text in (card, report, trial.conclusion.reason):
        assert judged_on in text
        assert "2 X-rays of 2 patients labelled other" in text
    assert "specificity at the lower threshold among 2 other abnormal X-rays" in report
    assert "3 X-rays not trained on, readers disagree (`xray labels adjudicate` settles them)" in report
    assert "Left out: 3 (X-rays): would stand on the train side, but readers disagree" in card
    assert "Labelled other (abnormal, not covid) and trained on as not covid: 2 (X-rays)." in card
