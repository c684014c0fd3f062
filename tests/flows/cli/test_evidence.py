"""`xray models audit|evaluate|compare` as a user types them: what they print, their exit codes, their one sentence."""

from __future__ import annotations

import csv
import json
from dataclasses import fields
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.cli.test_cli import xray
from tests.flows.evidence_home import Rival, champion, deliver, enter, scan, stored
from tests.flows.registry.test_standing import judge
from xray_core.evaluation.figures import Figures
from xray_core.records import RESEARCH_USE, AuditVerdict
from xray_core.synthetic.xrays import write_sample_set

pytestmark = pytest.mark.processes


@pytest.fixture
def home(trained: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return enter(trained, monkeypatch)


@pytest.fixture
def pair(rival: Rival, monkeypatch: pytest.MonkeyPatch) -> Rival:
    """Champion and candidate, and sixteen X-rays that the champion has scored."""
    enter(rival.settings, monkeypatch)
    deliver(rival.settings)
    scan(rival.settings)
    return rival


def test_an_audit_prints_each_finding_as_a_sentence_under_its_verdict_and_stores_it(home: Settings) -> None:
    done = xray("models", "audit")

    assert done.returncode == 0, done.stderr
    first, *findings, sentence, last = done.stdout.splitlines()
    verdict = champion(home).audit_verdict
    assert verdict is not None
    assert first == f"{champion(home).version}: {verdict.value}, on 120 X-rays of 120 patients"
    assert all(finding.split()[0] in set(AuditVerdict) for finding in findings)
    assert all("AUC" in finding or "no better than chance" in finding for finding in findings)
    assert any("the outer 15 % of the picture, without the lungs" in finding.lower() for finding in findings)
    assert sentence
    assert last == RESEARCH_USE
    assert stored(home)[-1].set_name == "shortcut audit"


def test_an_audit_for_programs_has_an_interval_for_every_figure(home: Settings) -> None:
    done = xray("models", "audit", champion(home).version, "--json")

    audit = json.loads(done.stdout)
    assert audit["version"] == champion(home).version
    assert {"file properties", "brightness", "border", "centre", "corners masked"} <= {
        one["name"] for one in audit["findings"]
    }
    assert all(one["auc"]["low"] <= one["auc"]["value"] <= one["auc"]["high"] for one in audit["findings"])


@pytest.mark.slow
def test_remedies_are_tried_one_by_one_beside_none_and_nothing_is_registered(home: Settings) -> None:
    write_sample_set(home.home.parent / "data", per_class=40, patients=40, seed=3)
    before = [path.name for path in home.models_dir.iterdir()], stored(home)

    done = xray("models", "audit", "--remedies", "data", "--patients", "data/patients.csv", "--epochs", "1", wait=500)

    assert done.returncode == 0, done.stderr
    header, *rows, last = done.stdout.splitlines()
    assert header.split()[:3] == ["remedy", "held-out", "AUC"]
    assert [row.split()[0] for row in rows] == [
        *("none", "lung-crop", "equalize", "clahe", "mask-markers", "erase-border", "strong")
    ]
    assert all(row.split()[-1] in set(AuditVerdict) for row in rows)
    assert RESEARCH_USE in last
    assert ([path.name for path in home.models_dir.iterdir()], stored(home)) == before


@pytest.fixture
def site_b(home: Settings) -> Path:
    write_sample_set(home.home.parent / "siteB", per_class=10, patients=10, seed=77)
    (home.home.parent / "siteB" / "patients.csv").unlink()
    return home.home.parent / "siteB"


def test_an_external_set_gets_every_figure_with_its_interval_and_the_prevalence(home: Settings, site_b: Path) -> None:
    judge(home, AuditVerdict.SUSPECT)

    done = xray("models", "evaluate", "--on", "siteB", "--name", "siteB")

    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    unknown = "10 X-rays of 0 patients and 10 of unknown patients"
    assert first == f"{champion(home).version} on siteB: covid, {unknown}; normal, {unknown}"
    told = {line.strip().partition("  ")[0]: line for line in lines}
    assert {field.name.replace("_", " ") for field in fields(Figures)} <= told.keys()
    assert "(" in told["auroc"]
    assert "PPV, NPV and net benefit at an assumed prevalence of 0.1" in done.stdout
    assert lines[-1] == RESEARCH_USE
    assert any(one.set_name == "external: siteB" for one in stored(home))


def test_beside_a_confounded_audit_an_external_set_has_no_predictive_value(home: Settings, site_b: Path) -> None:
    judge(home, AuditVerdict.CONFOUNDED)

    done = xray("models", "evaluate", "--on", "siteB", "--name", "siteB")

    names = {line.strip().partition("  ")[0] for line in done.stdout.splitlines()}
    assert {"auroc", "sensitivity at lower"} <= names
    assert not {"ppv", "npv", "net benefit"} & names
    assert "not shown while the shortcut audit is confounded" in done.stdout


def test_an_external_set_for_programs_is_one_object_and_show_lists_it(home: Settings, site_b: Path) -> None:
    done = xray("models", "evaluate", champion(home).version, "--on", "siteB", "--name", "siteB", "--json")

    found = json.loads(done.stdout)
    assert (found["name"], found["version"], found["kept_out"]) == ("siteB", champion(home).version, {})
    assert found["evaluation"]["prevalence"] == 0.1
    assert "external: siteB: AUROC" in xray("models", "show", champion(home).version).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "--on", "nowhere", "--name", "siteB"), "nowhere: not a folder"),
        (("evaluate", "--on", "siteB", "--name", "test"), "--name: received 'test'"),
        (("evaluate", "0099-nobody", "--on", "siteB", "--name", "siteB"), "0099-nobody: there is no such model"),
        (("audit", "0099-nobody"), "0099-nobody: there is no such model"),
        (("audit", "--remedies", "nowhere"), "nowhere: not a folder"),
        (("compare", "0099-nobody", "0099-nobody"), "0099-nobody: there is no such model"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    home: Settings, site_b: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = xray("models", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_audit_without_a_champion_is_one_sentence_and_exit_code_1(empty_settings: Settings) -> None:
    done = xray("models", "audit")

    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "there is no champion: `xray train DATASET_DIR` or `xray models import FILE` makes one, or name a version"
        in done.stderr
    )


def test_before_the_first_scan_there_is_nothing_to_compare_on(rival: Rival, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = enter(rival.settings, monkeypatch)

    done = xray("models", "compare", champion(settings).version, rival.candidate)

    assert (done.returncode, done.stdout) == (2, "")
    assert "`xray scan` first" in done.stderr


def test_a_comparison_counts_the_flips_writes_them_and_says_what_both_audits_are(pair: Rival) -> None:
    first = champion(pair.settings).version

    done = xray("models", "compare", first, pair.candidate, "--out", "flips.csv")

    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(Path("flips.csv").read_text().splitlines()))
    assert done.stdout.startswith(f"{len(rows)} of 16 X-rays change outcome from {first} to {pair.candidate}")
    verdict = champion(pair.settings).audit_verdict
    assert verdict is not None
    assert f"shortcut audit of {first}: {verdict.value}" in done.stdout.replace("CONFOUNDED", "confounded")
    assert f"shortcut audit of {pair.candidate}: not known" in done.stdout
    assert f"{len(rows)} rows in flips.csv. {RESEARCH_USE}" in done.stdout
    assert rows, "an untrained model calls no X-ray otherwise: the test says nothing"
    assert {(row["model_a"], row["model_b"], row["shortcut_audit_b"]) for row in rows} == {
        (first, pair.candidate, "not known")
    }


def test_a_comparison_for_programs_adds_up(pair: Rival) -> None:
    done = xray("models", "compare", champion(pair.settings).version, pair.candidate, "--json")

    found = json.loads(done.stdout)
    assert (found["xrays"], found["unread"]) == (16, 0)
    assert sum(found["changes"].values()) == 16
    moved = {change: number for change, number in found["changes"].items() if len(set(change.split(" -> "))) == 2}
    assert found["flips"] == sum(moved.values())
