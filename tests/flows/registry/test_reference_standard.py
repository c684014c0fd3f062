"""Two readers' labels of real films in a real ledger: how far they agree, and the model on the audit sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.home.site_key import read_site_key
from flows.operations.status import read_status
from flows.reading.readers import add_reader
from flows.registry.field import read_field
from flows.registry.reference_standard import read_readers_report
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from tests.flows.cli.test_cli import xray
from tests.flows.scoring.test_scan import drop_xrays, scan
from xray_core.errors import NoChampion, RefusedInput
from xray_core.imaging.content import hash_file
from xray_core.reading.reading_list import AUDIT_SHARE, draw_audit

_FILMS = 200
_COVID_EVERY = 2


@pytest.fixture(scope="module")
def read_home(shared_settings: Settings) -> Settings:
    """200 films; two readers have read the audit sample blind and disagree on every tenth film of it."""
    paths = drop_xrays(shared_settings.incoming_dir, _FILMS)
    scan(shared_settings)
    for reader, shift in (("Reader A", 0), ("Reader B", 1)):
        add_reader(shared_settings, reader)
        rows = [
            f"{path.name},{'normal' if place % _COVID_EVERY or (shift and place % 10 == 0) else 'covid'},{reader},no"
            for place, path in enumerate(find_sample(shared_settings, paths))
        ]
        source = shared_settings.home / f"{shift}.csv"
        source.write_text("\n".join(("filename,label,labelled_by,score_visible", *rows)))
        import_labels_from(shared_settings, source, mapping={})
    return shared_settings


def find_sample(settings: Settings, paths: list[Path]) -> list[Path]:
    """The audit sample, as anybody with the key finds it."""
    key = read_site_key(settings)
    return [path for path in paths if draw_audit(key, hash_file(path)) < AUDIT_SHARE]


def test_agreement_of_two_readers_comes_out_as_scripted(read_home: Settings) -> None:
    sample = len(find_sample(read_home, sorted(read_home.incoming_dir.iterdir())))
    disputed = len(range(0, sample, 10))
    report = read_readers_report(read_home)
    (pair,) = report.pairs
    assert (pair.first, pair.second, pair.words.films) == ("Reader A", "Reader B", sample)
    assert pair.words.raw is not None
    assert pair.words.raw.value == pytest.approx(1 - disputed / sample)
    assert report.settled["disputed"] == disputed
    assert (report.seen, report.unknown_sight) == (0, 0)


def test_the_field_is_judged_on_the_audit_sample_alone(read_home: Settings) -> None:
    sample = len(find_sample(read_home, sorted(read_home.incoming_dir.iterdir())))
    report = read_field(read_home)
    disputed = len(range(0, sample, 10))
    assert (report.scored, report.sample) == (_FILMS, sample)
    assert report.left_out == {"disputed": disputed}
    assert report.measured is not None
    assert report.measured.films == sample - disputed
    assert len(report.figures) == 4
    status = "\n".join(read_status(read_home).lines())
    assert f"field: {sample - disputed} audit films" in status


def test_both_are_told_by_commands(read_home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XRAY_HOME", str(read_home.home))
    plot = tmp_path / "agreement.png"
    told = xray("labels", "agreement", "--plot", str(plot))
    assert told.returncode == 0, told.stderr
    assert "Reader A and Reader B" in told.stdout
    assert "Gwet's AC1" in told.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert json.loads(xray("labels", "agreement", "--json").stdout)["pairs"][0]["words"]["films"]
    assert "agreement: Reader A and Reader B" in xray("labels", "status").stdout
    assert "sensitivity, lower threshold" in xray("models", "field").stdout
    assert json.loads(xray("models", "field", "--json").stdout)["measured"]["films"]


def test_without_labels_both_say_what_to_do(settings: Settings) -> None:
    agreement, field = xray("labels", "agreement"), xray("models", "field")
    assert (agreement.returncode, field.returncode) == (0, 0)
    assert "`xray review --reader NAME`" in agreement.stdout
    assert "`xray scan` scores what arrives" in field.stdout
    assert read_status(settings).field is None
    with pytest.raises(RefusedInput, match="`xray models list` shows those there are"):
        read_field(settings, "0009-none")


def test_without_a_champion_the_field_says_how_to_get_one(empty_settings: Settings) -> None:
    with pytest.raises(NoChampion, match="`xray train DATASET_DIR`"):
        read_field(empty_settings)
