"""The shortcut audit: clean on one generator, confounded on a painted marker and on the public mix."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression

from tests.evaluations import read_shortcut_audit
from tests.films import FILMS
from tests.markers import paint_marker
from xray_core.evaluation import shortcut_audit
from xray_core.evaluation.shortcut_audit import ShortcutAudit, audit_shortcuts, choose_for_probes, probe_data
from xray_core.evaluation.shortcut_probes import AuditImages
from xray_core.imaging.network_input import fit_pixels
from xray_core.imaging.records import ImageFacts, Preprocessing, ScaleRule, Scaling
from xray_core.records import AuditVerdict, FileFormat, Label
from xray_core.synthetic.chest import draw_anatomy
from xray_core.synthetic.xrays import draw_xray

pytestmark = pytest.mark.lengthy

SIZE = Preprocessing(150, 150, 3, Scaling.UNIT)
Greys = NDArray[np.uint8]


def draw_films(*, seed: int, count: int = 160, marked: bool = False) -> AuditImages:
    """Two films of each patient from the one generator; with `marked` the covid ones carry a letter."""
    rng = np.random.default_rng(seed)
    greys, facts, truth, groups = [], [], [], []
    for place in range(count):
        is_covid = bool(place // 2 % 2)
        anatomy = draw_anatomy(np.random.default_rng([seed, place // 2]))
        label = Label.COVID if is_covid else Label.NORMAL
        film = draw_xray(np.random.default_rng([seed, 1, place]), label, 160, anatomy=anatomy)
        greys.append(fit_pixels(paint_marker(film) if marked and is_covid else film, SIZE))
        size = int(rng.choice([224, 256, 288]))
        kind = FileFormat.JPEG if rng.random() < 0.4 else FileFormat.PNG
        facts.append(ImageFacts(kind, size, size, "L", ScaleRule.EIGHT_BIT))
        truth.append(is_covid)
        groups.append(f"patient {place // 2}")
    nobody = np.array([""] * count, dtype=np.str_)
    return AuditImages(np.stack(greys), tuple(facts), np.array(truth), np.array(groups, dtype=np.str_), nobody)


def fit_model(greys: Greys, is_covid: NDArray[np.bool_]) -> Callable[[Greys], NDArray[np.float64]]:
    """A model of the whole picture: it takes whatever tells the class."""

    def shrink(films: Greys) -> NDArray[np.float64]:
        return np.stack([np.asarray(Image.fromarray(film).resize((30, 30))) for film in films]).reshape(-1, 900) / 255

    model = LogisticRegression(C=0.01, max_iter=3000).fit(shrink(greys), is_covid)
    return lambda films: model.predict_proba(shrink(films))[:, 1]


def read_corner(films: Greys) -> NDArray[np.float64]:
    """A model that learned the letter: the brightest grey level of the upper left corner."""
    return np.sort(films[:, :22, :22].reshape(len(films), -1), axis=1)[:, -30:].mean(axis=1) / 255


def audit(films: AuditImages, predict: Callable[[Greys], NDArray[np.float64]] | None = None) -> ShortcutAudit:
    unseen = np.arange(len(films.greys)) // 2 % 4 >= 2
    predict = predict or fit_model(films.greys[~unseen], films.is_covid[~unseen])
    return audit_shortcuts(films, predict, held_out=unseen)


def test_one_generator_for_both_classes_is_clean() -> None:
    found = audit(draw_films(seed=1))

    assert found.verdict is AuditVerdict.CLEAN
    assert "no proof" in found.sentence
    centre = next(finding for finding in found.findings if finding.name == "centre")
    assert centre.auc.value > 0.9


def test_a_marker_painted_into_one_class_is_confounded_and_the_model_is_seen_to_use_it() -> None:
    found = audit(draw_films(seed=1, marked=True), read_corner)

    verdicts = {finding.name: finding.verdict for finding in found.findings}
    assert found.verdict is AuditVerdict.CONFOUNDED
    assert verdicts["border"] is AuditVerdict.CONFOUNDED
    assert verdicts["model without lungs"] is AuditVerdict.CONFOUNDED
    assert verdicts["corners masked"] is AuditVerdict.CONFOUNDED
    assert "without the lungs" in found.sentence or "lungs painted over" in found.sentence


def test_classes_in_files_of_another_size_are_confounded_whatever_the_pictures_show() -> None:
    films = draw_films(seed=2)
    facts = tuple(
        ImageFacts(fact.file_format, 1024, 1024, "L", fact.scale_rule) if not is_covid else fact
        for fact, is_covid in zip(films.facts, films.is_covid, strict=True)
    )

    found = audit(AuditImages(films.greys, facts, films.is_covid, films.groups, films.sources))

    assert found.verdict is AuditVerdict.CONFOUNDED
    assert found.sentence.startswith("Size, shape and format of the file, without any picture, tell the class")


def test_classes_from_different_sources_are_confounded() -> None:
    films = draw_films(seed=3)
    sources = np.where(films.is_covid, "hospital A", "hospital B")

    found = audit(AuditImages(films.greys, films.facts, films.is_covid, films.groups, sources))

    assert found.verdict is AuditVerdict.CONFOUNDED
    assert "nobody can tell disease from source" in found.sentence


def test_a_source_that_marks_its_films_is_told_within_one_class() -> None:
    films = draw_films(seed=4)
    is_a = np.array([int(group.split()[1]) // 2 % 2 == 0 for group in films.groups])
    greys = films.greys.copy()
    greys[is_a, :12, :40] = 255

    found = audit(AuditImages(greys, films.facts, films.is_covid, films.groups, np.where(is_a, "A", "B")))

    verdicts = {finding.name: finding.verdict for finding in found.findings}
    assert verdicts["source within covid"] is AuditVerdict.SUSPECT
    assert verdicts["source within normal"] is AuditVerdict.SUSPECT
    assert verdicts["source"] is AuditVerdict.CLEAN


@pytest.mark.slow
def test_a_source_that_marks_the_lungs_is_told_there_too_and_one_that_marks_the_border_is_not() -> None:
    films = draw_films(seed=4)
    is_a = np.array([int(group.split()[1]) // 2 % 2 == 0 for group in films.groups])
    sources, verdicts = np.where(is_a, "A", "B"), {}
    for place, (rows, columns) in {"lungs": ((60, 70), (60, 90)), "border": ((0, 10), (0, 30))}.items():
        greys = films.greys.copy()
        greys[is_a, slice(*rows), slice(*columns)] = 255
        found = probe_data(AuditImages(greys, films.facts, films.is_covid, films.groups, sources))
        verdicts[place] = {finding.name: finding for finding in found}

    assert verdicts["lungs"]["source within covid, lungs"].verdict is AuditVerdict.SUSPECT
    assert "no crop ends it" in verdicts["lungs"]["source within covid, lungs"].sentence
    assert verdicts["border"]["source within covid, lungs"].is_chance
    assert verdicts["border"]["source within covid"].verdict is AuditVerdict.SUSPECT


def test_a_remedy_that_hides_a_shortcut_from_the_pixels_does_not_switch_the_audit_off() -> None:
    hidden, marked = draw_films(seed=1), draw_films(seed=1, marked=True)

    without = audit(hidden)
    found = audit(replace(hidden, unremedied=marked.greys))

    verdicts = {finding.name: finding.verdict for finding in found.findings}
    assert without.verdict is AuditVerdict.CLEAN
    assert verdicts["border"] is AuditVerdict.CLEAN
    assert verdicts["border before the remedies"] is found.verdict is AuditVerdict.CONFOUNDED
    assert "before the remedies" in found.sentence


def test_a_probe_that_knows_nothing_says_so_and_gives_no_number() -> None:
    by_chance = [finding for finding in audit(draw_films(seed=1)).findings if finding.is_chance]

    assert by_chance
    for finding in by_chance:
        assert finding.sentence.endswith("no better than chance.")
        assert finding.verdict is AuditVerdict.CLEAN


def test_of_too_few_patients_nothing_can_be_told_and_it_says_so() -> None:
    found = audit(draw_films(seed=5, count=24))

    assert (found.verdict, found.word) == (None, "cannot be told")
    assert found.sentence.startswith("Too few patients to audit for shortcuts: 6")


def test_an_audit_is_read_back_as_it_was_written() -> None:
    found = audit(draw_films(seed=1, count=80))

    assert read_shortcut_audit(found.to_json()) == found


@pytest.mark.films
def test_the_public_covid_against_normal_mix_is_confounded() -> None:
    with (FILMS / "patients.csv").open(encoding="utf-8") as file:
        rows = {row["filename"]: row for row in csv.DictReader(file)}
    greys, facts, truth, names = [], [], [], []
    for folder in ("covid", "normal"):
        for path in sorted((FILMS / "dataset" / folder).iterdir()):
            with Image.open(path) as image:
                kind = FileFormat.PNG if image.format == "PNG" else FileFormat.JPEG
                facts.append(ImageFacts(kind, *image.size, image.mode, ScaleRule.EIGHT_BIT))
                small = image.convert("L").resize((300, 300), reducing_gap=2.0)
            greys.append(fit_pixels(np.asarray(small), SIZE))
            truth.append(folder == "covid")
            names.append(path.name)
    groups = np.array([rows[name]["patient_id"] for name in names])
    sources = np.array([rows[name]["source"] for name in names])

    found = audit(AuditImages(np.stack(greys), tuple(facts), np.array(truth), groups, sources))

    border = next(finding for finding in found.findings if finding.name == "border")
    assert found.verdict is AuditVerdict.CONFOUNDED
    assert border.auc.low > 0.8


def test_of_many_films_chance_chooses_whole_patients_for_the_probes_and_few_are_all_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    films = draw_films(seed=3, count=60)
    whole = choose_for_probes(films)
    monkeypatch.setattr(shortcut_audit, "MOST_XRAYS", 20)
    monkeypatch.setattr(shortcut_audit, "MOST_PROBED", 10)
    shown: list[int] = []

    def predict(greys: Greys) -> NDArray[np.float64]:
        shown.append(len(greys))
        return np.linspace(0, 1, len(greys))

    chosen = choose_for_probes(films)
    monkeypatch.setattr(shortcut_audit, "FEWEST_PATIENTS", 1)
    audit = audit_shortcuts(films, predict, of_data=())

    assert np.array_equal(whole.greys[:], films.greys[:])
    assert len(chosen.groups) == 20
    assert all(sum(films.groups == group) == sum(chosen.groups == group) for group in chosen.groups)
    assert shown == [10, 10, 10]  # lungs painted over, as they are, corners masked
    assert audit.xrays == 60
