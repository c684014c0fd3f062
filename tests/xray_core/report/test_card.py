from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from xray_core.evaluation.evaluation import ClassCount, Evaluation
from xray_core.evaluation.figures import Figures
from xray_core.evaluation.shortcut_audit import Finding, ShortcutAudit
from xray_core.evaluation.slices import SliceFigures
from xray_core.evaluation.two_thresholds import ConfusionRow
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.models.recalibration import Recalibration
from xray_core.models.records import OperatingPoint
from xray_core.promotion.checks import Check
from xray_core.promotion.gate import PromotionDecision
from xray_core.records import RESEARCH_USE, AuditVerdict, Interval, Label, SideCount, Split, Verdict
from xray_core.report.card import CardFacts, Trait, write_card
from xray_core.report.curves import plot_roc
from xray_core.report.forest import plot_comparison
from xray_core.report.markdown import TEMPLATES
from xray_core.report.study import read_questions

BARE = CardFacts(
    version="20260501-a1",
    architecture="seed_cnn",
    created_at=datetime(2026, 5, 1, 9, 30, tzinfo=UTC),
    code_revision="b72e93c",
    proven=False,
)
POINT = OperatingPoint(0.31, 0.62, 0.95, 0.95, 0.71, 25, 22, Split.VALIDATION, 0.55, 0.8)


def make_slice(name: str, value: str, xrays: int, patients: int, *, judged: bool) -> SliceFigures:
    auroc, specificity = (Interval(0.9, 0.8, 0.95), Interval(0.7, 0.5, 0.8)) if judged else (None, None)
    remark = "" if judged else "too few"
    return SliceFigures(
        name,
        value,
        xrays,
        xrays // 2,
        xrays - xrays // 2,
        patients,
        auroc,
        auroc,
        specificity,
        specificity,
        auroc,
        None,
        remark,
    )


EVALUATION = Evaluation(
    operating_point=POINT,
    prevalence=0.1,
    resamples=2000,
    seed=0,
    covid=ClassCount(22, 14),
    normal=ClassCount(20, 13),
    patients=27,
    figures=Figures(
        auroc=Interval(0.912, 0.85, 0.96),
        auprc=Interval(0.9, 0.8, 0.95),
        sensitivity_at_lower=Interval(0.95, 0.82, 0.99),
        specificity_at_lower=Interval(0.65, 0.45, 0.82),
        sensitivity_at_upper=Interval(0.77, 0.6, 0.9),
        specificity_at_upper=Interval(0.8, 0.6, 0.92),
        refer_share=Interval(0.15, 0.08, 0.25),
        refer_share_covid=Interval(0.18, 0.08, 0.3),
        refer_share_normal=Interval(0.15, 0.05, 0.3),
        ppv=Interval(0.31, 0.2, 0.5),
        npv=None,
        accuracy=Interval(0.86, 0.75, 0.93),
        precision=Interval(0.8, 0.7, 0.9),
        f1=Interval(0.8, 0.7, 0.9),
        brier=Interval(0.12, 0.08, 0.17),
        calibration_slope=Interval(0.8, 0.5, 1.2),
        calibration_intercept=Interval(0.1, -0.3, 0.5),
        calibration_error=Interval(0.07, 0.04, 0.12),
        net_benefit=Interval(0.05, 0.02, 0.08),
    ),
    confusion_covid=ConfusionRow(17, 4, 1),
    confusion_normal=ConfusionRow(4, 3, 13),
    roc=(),
    pr=(),
    calibration=(),
    decision=(),
    slices=(make_slice("view", "AP", 30, 22, judged=True), make_slice("view", "PA", 12, 9, judged=False)),
)
FULL = replace(
    BARE,
    preprocessing=Preprocessing(150, 150, 3, Scaling.UNIT, ("lung-crop",)),
    sources=(Trait("ieee8023", 100, 0, "journals and case reports"), Trait("NIH", 0, 100)),
    traits=(Trait("view: PA", 76, 0), Trait("view: unknown", 0, 100)),
    counts=tuple(SideCount(split, label, 60, 40) for split in Split for label in (Label.COVID, Label.NORMAL)),
    split_notes=("12 X-rays of unknown patients were split by content.",),
    training={"epochs": 15, "learning_rate": 0.001, "horizontal_flip": True, "weights": None},
    layers=(("conv2d", "Conv2D", "148 x 148 x 32", 896), ("dense", "Dense", "1", 65)),
    operating_point=POINT,
    recalibration=Recalibration(0.12, 0.61, 47),
    before_recalibration={
        "brier": Interval(0.2, 0.1, 0.3),
        "calibration_slope": Interval(0.456, 0.3, 0.7),
        "calibration_intercept": None,
        "calibration_error": None,
    },
    test=EVALUATION,
    external=(("siteB", EVALUATION),),
    audit=ShortcutAudit(
        (
            Finding(
                "border",
                Interval(0.92, 0.88, 0.95),
                "The outer 15 % of the picture, without the lungs, predicts the label with AUC 0.92 (0.88-0.95).",
                AuditVerdict.CONFOUNDED,
            ),
        ),
        AuditVerdict.CONFOUNDED,
        "This model may have learned where films come from.",
        42,
        27,
    ),
    champion_version="20260401-a0",
    decision=PromotionDecision(Verdict.PROMOTE, "AUROC 0.91 against 0.90: not worse by more than 0.02", False, ()),
    largest_twin_difference=9e-7,
    limits=("Trained on 120 X-rays only.",),
    hashes=(("model.keras", "a" * 64), ("label set", "b" * 64)),
    commands=("git checkout b72e93c", "xray models reproduce 20260401-b1"),
    commands_elsewhere=("xray train DATASET --patients PATIENTS.csv --seed 0",),
    key_fingerprint="c" * 64,
    plots={"roc.png": plot_roc([(0, 0), (1, 1)], auroc=None, n="1")},
    answers={"ethics": "Approved by the board of X."},
)


def make_audit(verdict: AuditVerdict, sentence: str = "s", *findings: Finding) -> ShortcutAudit:
    return ShortcutAudit(findings, verdict, sentence, 42, 27)


class Page(HTMLParser):
    """What a browser would ask for, and whether every element is closed in turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "img"}:
            self.open.append(tag)
        self.requests += [
            value or ""
            for name, value in attrs
            if name in {"src", "href"} and not (value or "").startswith(("data:", "#"))
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_card_holds_what_a_reader_needs() -> None:
    markdown, page = write_card(FULL)

    for card in (markdown, page):
        for words in (
            RESEARCH_USE,
            "0.912 (0.850 to 0.960)",
            "22 covid X-rays of 14 patients and 20 normal X-rays of 13 patients",
            "prevalence of 10.0%",
            "0.6200",
            "The outer 15 % of the picture",
            "not worse by more than 0.02",
            "12 X-rays of unknown patients",
            "961",
            "siteB",
            "a" * 64,
            "9.0e-07",
            "Approved by the board of X.",
            "Class equals source",
        ):
            assert words in card.replace("\\", ""), words


def test_what_is_missing_is_called_unknown() -> None:
    markdown, page = write_card(BARE)

    for words in (
        "The sources are unknown.",
        "The split is unknown.",
        "Unknown: it was not evaluated here.",
        "Unknown: the gate has not judged it.",
        "how it does on X-rays of another place is unknown",
        "How to make it again is unknown.",
        "Not audited for shortcuts",
    ):
        assert words in markdown
        assert words in page
    assert all(f"{question} | unknown |" in markdown for question in read_questions().values())


@pytest.mark.parametrize(
    ("facts", "titles"),
    [
        (BARE, ["Not audited for shortcuts", "Unproven", "Not evaluated here"]),
        (FULL, ["CONFOUNDED: do not believe these scores", "Unproven"]),
        (replace(FULL, proven=True, audit=make_audit(AuditVerdict.SUSPECT)), ["Suspect of a shortcut"]),
        (replace(FULL, proven=True, audit=make_audit(AuditVerdict.CLEAN)), []),
    ],
)
def test_what_forbids_belief_stands_in_boxes_before_everything_else(facts: CardFacts, titles: list[str]) -> None:
    markdown, page = write_card(facts)

    opening, rest = page.split("<nav", 1)[0], markdown.split("## What it is", 1)[0]
    assert [title for title in _TITLES if f"<strong>{title}</strong>" in opening] == titles
    assert [title for title in _TITLES if f"> **{title}**" in rest] == titles
    assert f"<strong>{RESEARCH_USE}</strong>" in opening


_TITLES = [
    "Not audited for shortcuts",
    "CONFOUNDED: do not believe these scores",
    "Suspect of a shortcut",
    "Unproven",
    "Not evaluated here",
]


def test_the_page_is_whole_in_itself() -> None:
    _, page = write_card(FULL)

    parsed = Page(page)
    assert parsed.requests == []
    assert parsed.open == []
    assert "script" not in parsed.tags
    assert 'src="data:image/png;base64,iVBOR' in page
    assert "default-src 'none'" in page


def test_a_picture_that_is_higher_than_others_is_not_shrunk_to_their_height() -> None:
    both = (Interval(0.9, 0.8, 0.95), Interval(0.9, 0.8, 0.95))
    tall = plot_comparison({f"figure {n}": both for n in range(9)}, champion="a", candidate="b", n="1")

    _, page = write_card(replace(FULL, plots={**FULL.plots, "comparison.png": tall}))

    assert re.findall(r'<img [^>]*class="([a-z]+)"', page) == ["tall"]


def test_markdown_names_the_pictures_beside_it() -> None:
    markdown, _ = write_card(FULL)

    assert (
        "![ROC curve: sensitivity against false alarms at every threshold, and both thresholds on it](roc.png)"
        in markdown
    )


def test_no_text_becomes_markup() -> None:
    evil = "<script>alert(1)</script> | *x* `y` [z](http://example.org)\n# heading"
    facts = replace(
        FULL,
        version=evil,
        sources=(Trait(evil, 1, 1, evil),),
        training={evil: evil},
        audit=make_audit(AuditVerdict.SUSPECT, evil, Finding(evil, Interval(0.5, 0.4, 0.6), evil, AuditVerdict.CLEAN)),
        champion_version=evil,
        decision=PromotionDecision(Verdict.REJECT, evil, False, ()),
        commands=("```", evil),
        answers={"ethics": evil},
    )

    markdown, page = write_card(facts)

    assert "<script" not in page
    assert Page(page).requests == []
    outside_fences = markdown.split("````")[0]
    assert "<script" not in outside_fences.replace("\\<", "")
    assert "[z](" not in outside_fences
    assert "\n# heading" not in outside_fences
    rows = [line for line in markdown.splitlines() if line.startswith("| ") and "script" in line]
    assert len(rows) == 7
    assert {line.count("|") - line.count("\\|") for line in rows} <= {3, 5}


def test_the_same_facts_give_the_same_card() -> None:
    assert write_card(FULL) == write_card(FULL)


def test_calibration_is_shown_before_and_after_with_what_it_was_chosen_on() -> None:
    markdown, page = write_card(FULL)

    section = markdown.split("## Calibration")[1].split("\n## ")[0]
    assert "| Calibration slope | 0.456 (0.300 to 0.700) | 0.800 (0.500 to 1.200) |" in section
    assert "multiplied by 0.610, then \\+0.120 is added" in section or "multiplied by 0.610, then +0.120" in section
    assert "chosen on 47 validation X-rays and on no others" in section
    assert "0.456 (0.300 to 0.700)" in page


def test_without_a_recalibration_the_card_says_that_there_was_none() -> None:
    markdown, _ = write_card(replace(FULL, recalibration=None))

    assert "It was not recalibrated here" in markdown


def test_what_is_known_of_the_patients_is_counted_by_class() -> None:
    markdown, _ = write_card(FULL)

    assert "| view: PA | 76 | 0 |" in markdown
    assert "| view: unknown | 0 | 100 |" in markdown


def test_slices_under_twenty_say_too_few_in_one_line_and_take_no_row() -> None:
    markdown, _ = write_card(FULL)

    section = markdown.split("## Slices")[1].split("\n## ")[0]
    assert "| view: AP | 30 / 22 | 0.900 (0.800 to 0.950) |" in section
    assert "* view: too few: PA (12)" in section
    assert "| view: PA" not in section


def test_thresholds_show_what_they_came_to_where_they_were_chosen_and_where_they_are_judged() -> None:
    markdown, _ = write_card(FULL)

    section = markdown.split("## Operating point")[1].split("\n## ")[0]
    assert "| Chosen on | validation X-rays (25 covid, 22 normal) |" in section
    assert "| lower, 0.3100 | where it was chosen | 0.950 | 0.550 |" in section
    assert "| lower, 0.3100 | test X-rays | 0.950 (0.820 to 0.990) | 0.650 (0.450 to 0.820) |" in section
    assert "| upper, 0.6200 | where it was chosen | 0.800 | 0.710 |" in section
    assert "| upper, 0.6200 | test X-rays | 0.770 (0.600 to 0.900) | 0.800 (0.600 to 0.920) |" in section


def test_a_figure_that_cannot_be_told_says_so_and_why() -> None:
    markdown, _ = write_card(replace(FULL, audit=None))

    assert "| NPV | cannot be told |" in markdown
    assert "separate the classes so well that no slope exists" in markdown


def test_a_confounded_model_says_first_what_its_figures_are_worth() -> None:
    markdown, _ = write_card(FULL)

    assert "may have learned where films come from, and not disease" in markdown.split("## What it is")[0]
    assert "| PPV | not shown: confounded |" in markdown
    assert "| NPV | not shown: confounded |" in markdown
    assert "| Precision | not shown: confounded |" in markdown


def test_a_confounded_model_says_first_how_many_films_of_ones_own_may_release_it() -> None:
    check = Check("audit", False, "the shortcut audit is confounded", "about 480 more labelled films of your own")
    markdown, _ = write_card(replace(FULL, decision=PromotionDecision(Verdict.REJECT, "No.", False, (check,))))

    assert "* about 480 more labelled films of your own" in markdown.split("## What it is")[0]


def test_what_a_positive_outcome_is_worth_is_drawn_only_beside_an_audit_that_is_not_confounded() -> None:
    plots = dict.fromkeys(("roc.png", "precision_recall.png", "decision.png"), FULL.plots["roc.png"])

    confounded, page = write_card(replace(FULL, plots=plots))
    clean, _ = write_card(replace(FULL, plots=plots, audit=make_audit(AuditVerdict.CLEAN)))

    assert "roc.png" in confounded
    assert page.count("data:image/png") == 1
    for name, words in (
        ("precision_recall.png", "Precision against recall: not shown"),
        ("decision.png", "Net benefit: not"),
    ):
        assert name not in confounded
        assert words in confounded
        assert f"]({name})" in clean
        assert words not in clean


def test_how_to_make_it_again_says_on_which_key_it_hangs_and_when_it_does_not_work() -> None:
    here, elsewhere = split_reproduce(FULL)
    retrained = "".join(split_reproduce(replace(FULL, commands_elsewhere=())))

    assert "xray models reproduce 20260401-b1" in here
    assert "only on one processor with one set of versions and the same code" in here
    assert "xray train DATASET --patients PATIENTS.csv" in elsewhere
    assert "With another site key patients stand on other sides" in elsewhere
    assert "c" * 64 in "".join(split_reproduce(FULL))
    assert "Its labels are not those of one dataset" in retrained
    assert "xray train DATASET" not in retrained
    assert "How to make it again is unknown." in write_card(BARE)[0]


def split_reproduce(facts: CardFacts) -> tuple[str, str]:
    """The section on reproduction: what stands before the other home, and what after."""
    section = write_card(facts)[0].split("## Reproduce and verify")[1]
    here, _, elsewhere = section.partition("In another home")
    return here, elsewhere


@pytest.mark.parametrize(
    ("limit", "words"), [(None, "NOT referred"), (1.59, "farther than 1.59"), (1.6, "so are 3 of the test X-rays")]
)
def test_whether_other_pictures_are_referred_is_a_fact_of_the_model(limit: float | None, words: str) -> None:
    markdown, _ = write_card(replace(FULL, odd_limit=limit, odd_in_test=3))

    assert words in markdown.split("## What it is for")[0]


def test_small_slices_of_one_collection_name_it_once() -> None:
    places = (make_slice("source", f"archive A ({place})", 3, 2, judged=False) for place in ("x.org", "y.org"))
    slices = (*places, make_slice("source", "B", 4, 2, judged=False))

    markdown, _ = write_card(replace(FULL, test=replace(EVALUATION, slices=slices)))

    assert "* source: too few: archive A: x.org (3), y.org (3); B (4)" in markdown
    assert "No slice has 20 X-rays" in markdown


@pytest.mark.processes
def test_a_wheel_carries_the_templates(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, tmp_path)
    shutil.copytree(root / "xray_core", tmp_path / "xray_core", ignore=shutil.ignore_patterns("__pycache__"))

    build = "import setuptools.build_meta as build; build.build_wheel('wheels')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)

    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    there = {path.relative_to(root).as_posix() for path in TEMPLATES.iterdir()}
    assert len(there) == 6
    assert there <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.processes
@pytest.mark.parametrize("module", ["flows.scoring.scan", "flows.cli.app", "xray_core.models.open_model"])
def test_who_scores_never_opens_the_template_engine(module: str) -> None:
    look = f"import sys, {module}; print([name for name in ('jinja2', 'markdown_it') if name in sys.modules])"

    seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout

    assert seen.strip() == "[]"


def test_the_first_page_says_what_a_clinician_asks_in_a_minute() -> None:
    markdown, page = write_card(FULL)

    first = markdown.split("## What it is\n")[0]
    for words in (
        "**What it is.**",
        "**Verdict.** Shortcut audit: confounded. It is not worse than the champion before it",
        "**What it may be used for.**",
        "**Judged on** 22 covid X-rays of 14 patients and 20 normal X-rays of 13 patients",
        "| AUROC | 0.91 | 0.85 to 0.96 |",
        "| Sensitivity at the lower threshold | 0.95 | 0.82 to 0.99 |",
        "| Specificity at the lower threshold | 0.65 | 0.45 to 0.82 |",
        "| Sensitivity at the upper threshold | 0.77 | 0.60 to 0.90 |",
        "| Specificity at the upper threshold | 0.80 | 0.60 to 0.92 |",
        "| Referred | 0.15 | 0.08 to 0.25 |",
        "called 17 positive, left 4 to a reader and missed 1",
        "raised 4 false alarms",
        "* No source gave X-rays of both classes",
        "* Do not use its scores.",
        "* Have a person read every X-ray",
    ):
        assert words in first, words
    assert "<strong>What to do next.</strong>" in page.split("<nav")[0]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            BARE,
            ["Shortcut audit: not done. The gate has not judged it.", "`xray models audit`", "`xray models evaluate"],
        ),
        (replace(FULL, champion_version=None), ["because there was no model before it, not because it beat one"]),
        (
            replace(
                FULL,
                decision=PromotionDecision(
                    Verdict.REJECT, "r", False, (Check("slices", False, "one fell", "label more"),)
                ),
            ),
            ["It failed the gate and scores nothing.", "* one fell"],
        ),
        (
            replace(FULL, decision=PromotionDecision(Verdict.INSUFFICIENT_EVIDENCE, "r", False, ())),
            ["There was too little evidence", "* Label more patients"],
        ),
    ],
)
def test_the_first_page_says_what_became_of_it_and_what_to_do_next(facts: CardFacts, words: list[str]) -> None:
    first = write_card(facts)[0].split("## What it is\n")[0]

    assert [word for word in words if word not in first] == []
