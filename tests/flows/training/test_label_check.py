"""A label check names films whose label the others contradict; they come before a second reader, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from db.engine import snapshot
from db.reading import lists
from db.reading.labelled import read_labelled
from flows.cli.labels import labels_app
from flows.home.ledger import open_ledger
from flows.operations.verification import find_breach
from flows.reading.lists import make_list
from flows.reading.readers import add_reader
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from flows.training.label_check import check_labels
from tests.flows.evidence_home import enter, scan
from xray_core.errors import InvalidDataset, NoChampion
from xray_core.promotion.policy import LabelRules
from xray_core.records import Label
from xray_core.synthetic.xrays import draw_xray

pytestmark = [pytest.mark.keras, pytest.mark.lengthy]

WRONG = "film-03.png"


def label_plain_films(settings: Settings, folder: Path, *, per_class: int = 10) -> None:
    """Every other film has a bright bar across it and is called covid; one of them is called normal."""
    rng = np.random.default_rng(0)
    rows = []
    for place in range(2 * per_class):
        pixels = draw_xray(rng, Label.NORMAL, 96)
        if place % 2:
            pixels[40:60] = 250
        Image.fromarray(pixels).save(settings.incoming_dir / f"film-{place:02d}.png")
        name = f"film-{place:02d}.png"
        rows.append(f"{name},{'covid' if place % 2 and name != WRONG else 'normal'}")
    scan(settings)
    (folder / "labels.csv").write_text("filename,label\n" + "\n".join(rows) + "\n")
    import_labels_from(settings, folder / "labels.csv", mapping={})


def test_the_one_wrong_label_is_named_and_comes_before_a_second_reader_unchanged(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label_plain_films(settings, tmp_path)
    enter(settings, monkeypatch)

    result = CliRunner().invoke(labels_app, ["check", "--out", str(tmp_path / "doubted.csv")])

    assert result.exit_code == 0, result.output
    assert "of 20 labels are doubted; no label was changed" in result.output
    doubted = (tmp_path / "doubted.csv").read_text().splitlines()
    assert doubted[0] == "xray_sha256,label,score"
    sha256, label, score = doubted[1].split(",")
    assert (label, float(score) > 0.5) == ("normal", True)
    add_reader(settings, "Anna")
    with open_ledger(settings) as engine:
        made = make_list(settings, engine, "Anna", size=50, reveal_share=0)
        assert made is not None
        with snapshot(engine) as session:
            wrong = next(xray for xray in read_labelled(session, LabelRules()) if xray.sha256 == sha256)
            assert wrong.label is Label.NORMAL
            assert wrong.xray_id in {item.xray_id for item in lists.items_of(session, made)}
    assert find_breach(settings)[0] is None


def test_too_few_patients_are_named_with_what_is_missing(settings: Settings, tmp_path: Path) -> None:
    label_plain_films(settings, tmp_path, per_class=3)

    with pytest.raises(
        InvalidDataset, match=r"2 patients with covid and 4 without .* needs 4 of each: label more films"
    ):
        check_labels(settings)


def test_without_a_champion_there_is_nothing_to_read_for(empty_settings: Settings) -> None:
    with pytest.raises(NoChampion):
        check_labels(empty_settings)
