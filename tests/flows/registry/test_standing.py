"""How far the champion is to be believed goes with its scores, wherever they are shown."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from db.engine import open_engine, snapshot, transaction
from db.registry import evaluations, models
from db.scoring import decided
from db.scoring.tables import XrayRow
from flows.home.ledger import find_anchor
from flows.operations.file_story import explain
from flows.reading.results import make_card
from flows.registry.at_prevalence import read_at_prevalence
from flows.registry.standing import DRIFT_SET, read_caution, read_predictive_values
from flows.registry.withheld import read_withheld
from flows.review.exports import describe_champion, write_export
from flows.scoring.scanner import open_scanner
from flows.settings import Settings
from tests.evaluations import read_evaluation
from tests.flows.cli.test_cli import xray
from tests.flows.evidence_home import champion, deliver, enter, scan
from xray_core.models.folder import read_manifest
from xray_core.records import SINCE_CONFOUNDED, WHILE_CONFOUNDED, AuditVerdict, Outcome, is_unlike


def judge(settings: Settings, verdict: AuditVerdict, *, proven: bool = False) -> None:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        models.record_audit(
            session,
            champion(settings).version,
            proven=proven,
            audit_verdict=verdict,
            actor="a test",
            now=datetime.now(UTC),
        )
    engine.dispose()


def test_the_champions_standing_goes_with_every_export(trained: Settings) -> None:
    engine = open_engine(trained.url, anchor=find_anchor(trained))
    with snapshot(engine) as session:
        told = describe_champion(session, trained)
    engine.dispose()

    assert "UNPROVEN" in told["standing"]
    assert told["shortcut_audit"] in set(AuditVerdict)


@pytest.mark.parametrize(
    "arguments",
    [("scan",), ("export",), ("export", "--out", "out.csv"), ("worklist", "--out", "next.csv"), ("models", "list")],
)
def test_a_confounded_champion_is_called_so_beside_the_scores(
    trained: Settings, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    enter(trained, monkeypatch)
    judge(trained, AuditVerdict.CONFOUNDED)
    deliver(trained, per_class=1)

    done = xray(*arguments)

    assert done.returncode == 0, done.stderr
    assert "confounded" in done.stdout.casefold()


def test_the_status_line_the_manifest_and_the_name_of_the_export_say_confounded(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(trained, monkeypatch)
    judge(trained, AuditVerdict.CONFOUNDED)
    deliver(trained, per_class=1)
    xray("scan")

    xray("export")
    told = xray("status").stdout.splitlines()[0]

    (manifest,) = trained.exports_dir.glob("*.manifest.json")
    assert manifest.name.startswith("results-")
    assert "-confounded" in manifest.name
    notes = json.loads(manifest.read_text())["notes"]
    assert notes["shortcut_audit"] == "confounded"
    assert "CONFOUNDED: it may have learned where films come from, do not believe its scores" in notes["standing"]
    assert "CONFOUNDED" in told


def read_results(settings: Settings) -> list[tuple[float, str, str | None]]:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        rows = session.connection().exec_driver_sql(
            "SELECT probability, outcome, refer_reason FROM results ORDER BY id"
        )
        found = [(float(row[0]), str(row[1]), row[2]) for row in rows]
    engine.dispose()
    return found


def test_while_the_champion_is_confounded_every_outcome_is_refer_and_the_probability_stays(trained: Settings) -> None:
    judge(trained, AuditVerdict.CONFOUNDED)
    deliver(trained, per_class=6, seed=41)
    assert scan(trained) == {"refer": 12}

    judge(trained, AuditVerdict.CLEAN)
    deliver(trained, per_class=6, seed=42)
    scan(trained)

    held, free = read_results(trained)[:12], read_results(trained)[12:]
    point = read_manifest(trained.models_dir / champion(trained).version).operating_point
    assert any(point.outcome(probability) is not Outcome.REFER for probability, _, _ in held)
    assert {reason for _, _, reason in held if not is_unlike(reason)} == {WHILE_CONFOUNDED}
    assert any(outcome != "refer" for _, outcome, _ in free)
    assert WHILE_CONFOUNDED not in {reason for _, _, reason in free}


def test_what_was_called_before_the_audit_is_left_to_a_reader_on_every_surface_and_kept_in_the_ledger(
    trained: Settings, tmp_path: Path
) -> None:
    judge(trained, AuditVerdict.CLEAN)
    deliver(trained, per_class=6, seed=42)
    scan(trained)
    stored = read_results(trained)
    called = [outcome for _, outcome, _ in stored if outcome != "refer"]
    assert called
    judge(trained, AuditVerdict.CONFOUNDED)
    policy = tmp_path / "policy.toml"
    policy.write_text("[outcomes]\nrefer_while_confounded = false\n")
    lenient = trained.but({"retraining_policy": policy})

    rows, as_stored = (
        read_rows(write_export(one, out=tmp_path / f"{n}.csv").path) for n, one in enumerate((trained, lenient))
    )

    assert {row["outcome"] for row in rows} == {"refer"}
    since = [row for row in rows if "since then the shortcut audit of its model is confounded" in row["refer_reason"]]
    assert sorted(row["refer_reason"].split()[3] for row in since) == sorted(called)
    assert sorted(row["outcome"] for row in as_stored) == sorted(outcome for _, outcome, _ in stored)
    assert read_results(trained) == stored
    story = explain(trained, trained.incoming_dir / since[0]["file"])
    assert {file.outcome for file in story.files} == {Outcome.REFER}
    assert ", refer by model" in story.lines[1]
    assert "referred because it was called" in " ".join(story.lines)
    check_pages(trained, called)


def check_pages(settings: Settings, called: list[str]) -> None:
    """No page shows or finds what was called; one finds it by what was."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with snapshot(engine) as session:
        withheld = read_withheld(session, settings)
        counts = {
            word: decided.list_decided(session, words=(word, None), withheld=withheld.versions)[1]
            for word in ("positive", "negative", "refer")
        }
        reasons = set(decided.list_reasons(session, withheld=withheld.versions)) & set(SINCE_CONFOUNDED.values())
        by_reason = [
            decided.list_decided(session, words=(None, why), withheld=withheld.versions)[0] for why in sorted(reasons)
        ]
        cards = [make_card(row, read_at_prevalence(session, settings), withheld) for rows in by_reason for row in rows]
    engine.dispose()
    assert counts == {"positive": 0, "negative": 0, "refer": 12}
    assert len(cards) == len(called)
    assert {card.outcome for card in cards} == {"refer"}


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_policy_may_leave_the_thresholds_to_decide_though_the_champion_is_confounded(
    trained: Settings, tmp_path: Path
) -> None:
    judge(trained, AuditVerdict.CONFOUNDED)
    policy = tmp_path / "policy.toml"
    policy.write_text("[outcomes]\nrefer_while_confounded = false\n")
    deliver(trained, per_class=6, seed=41)

    outcomes = scan(trained.but({"retraining_policy": policy}))

    assert set(outcomes) - {"refer"}


def test_a_scanner_that_is_open_hears_of_an_audit_with_the_next_batch(trained: Settings) -> None:
    judge(trained, AuditVerdict.CLEAN)
    with open_scanner(trained) as scanner:
        model_id = champion(trained).model_id
        assert scanner.open_scorer(model_id).referred_for is None
        judge(trained, AuditVerdict.CONFOUNDED)
        assert scanner.open_scorer(model_id).referred_for == WHILE_CONFOUNDED


def test_confounded_says_how_many_own_labels_may_release_it(trained: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(trained, monkeypatch)
    judge(trained, AuditVerdict.CONFOUNDED)

    assert "labelled films of your own, of both classes, may release it" in xray("status").stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("training", "done", "left"),
    [
        ({}, [], ["--own-labels", "--exclude-source SOURCE"]),
        ({"excluded_sources": '["siteA"]'}, ["--exclude-source"], ["--own-labels"]),
        (
            {"own_labels": True},
            ["--own-labels", "--exclude-source"],
            ["may release it", "xray models audit --remedies"],
        ),
    ],
)
def test_a_confounded_champion_is_not_told_to_do_what_it_did_already(
    trained: Settings, training: dict[str, object], done: list[str], left: list[str]
) -> None:
    judge(trained, AuditVerdict.CONFOUNDED)
    manifest = trained.models_dir / champion(trained).version / "model.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"training": training}))
    engine = open_engine(trained.url, anchor=find_anchor(trained))
    with transaction(engine) as session:
        session.execute(update(XrayRow).values(source="siteA"))
    engine.dispose()

    told = read_caution(trained)

    assert told is not None
    assert [words for words in done if words in told] == []
    assert [words for words in left if words in told] == left


def test_a_proven_clean_champion_with_a_reference_needs_no_caution(trained: Settings) -> None:
    judge(trained, AuditVerdict.CLEAN, proven=True)

    assert read_caution(trained) is None


def test_incoming_films_that_have_moved_stand_beside_every_score(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(trained, monkeypatch)
    judge(trained, AuditVerdict.CLEAN, proven=True)
    shift = {"name": "contrast", "size": 0.6, "p_value": 0.0001, "has_moved": True}
    still = {"name": "width", "size": 0.1, "p_value": 0.9, "has_moved": False}
    words = "incoming films have MOVED away from those that it was trained on (contrast): its figures may not hold"
    for moved in (False, True):
        engine = open_engine(trained.url, anchor=find_anchor(trained))
        with transaction(engine) as session:
            evaluations.add_evaluation(
                session,
                model_id=champion(trained).model_id,
                set_name=DRIFT_SET,
                label_set_sha256="a" * 64,
                figures={"moved": moved, "sentence": "It moved.", "figures": [shift, still] if moved else [still]},
                now=datetime.now(UTC),
            )
        engine.dispose()
        assert (words in (read_caution(trained) or "")) == moved
        assert (words in xray("status").stdout.splitlines()[0]) == moved
    xray("export")
    (manifest,) = trained.exports_dir.glob("*.manifest.json")
    notes = json.loads(manifest.read_text())["notes"]
    assert notes["drift"] == words
    assert words in notes["standing"]


def test_every_export_says_what_positive_and_negative_are_worth_at_the_stated_prevalence(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(trained, monkeypatch)
    judge(trained, AuditVerdict.CLEAN)
    folder = trained.models_dir / champion(trained).version
    npv = read_evaluation((folder / "evaluation.json").read_text()).figures.npv
    assert npv is not None

    done = xray("export", "--out", "out.csv")

    worth = f"and NPV {npv.value:.2f} ({npv.low:.2f}-{npv.high:.2f}) at an assumed prevalence of 0.1"
    assert worth in done.stdout
    notes = json.loads(Path("out.csv.manifest.json").read_text())["notes"]
    assert worth in notes["predictive_values"]
    assert notes["assumed_prevalence"] == "0.1"


def test_for_another_prevalence_than_it_was_evaluated_for_nothing_is_guessed(trained: Settings) -> None:
    judge(trained, AuditVerdict.SUSPECT)
    other = trained.but({"prevalence": 0.02})

    told = read_predictive_values(other)

    assert told == "PPV and NPV at an assumed prevalence of 0.02: cannot be told, it was evaluated for one of 0.1"


def test_an_imported_champion_has_no_predictive_values(settings: Settings) -> None:
    assert (read_predictive_values(settings) or "").endswith("cannot be told, it was not evaluated on test X-rays")


def test_beside_scores_that_must_not_be_believed_no_predictive_value_stands_but_the_way_out(trained: Settings) -> None:
    judge(trained, AuditVerdict.CONFOUNDED)

    told = read_predictive_values(trained)

    assert told is not None
    assert "not shown while the shortcut audit is confounded" in told
    assert "`xray models audit --remedies DATASET`" in told
    assert "0." not in told
