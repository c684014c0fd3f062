from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from xray_core.records import RESEARCH_USE, AuditVerdict, Interval, Label
from xray_core.report import curves, forest
from xray_core.report.curves import (
    plot_calibration,
    plot_confusion,
    plot_decision,
    plot_learning_curves,
    plot_precision_recall,
    plot_roc,
    plot_scores,
)
from xray_core.report.forest import ForestLine, plot_comparison, plot_shortcut_audit, plot_slices
from xray_core.report.frame import find_falls, format_interval, open_figure
from xray_core.report.image_sheets import plot_contact_sheet, plot_heat_sheet
from xray_core.synthetic.xrays import draw_xray

pytestmark = pytest.mark.lengthy

INTERVAL = Interval(0.9, 0.8, 0.95)
FILMS = np.stack([draw_xray(np.random.default_rng(seed), Label.COVID, 150) for seed in range(7)])
HEAT = np.linspace(0, 1, 150 * 150, dtype=np.float32).reshape(1, 150, 150).repeat(7, axis=0)
NONE = FILMS[:0]

Plot = Callable[..., bytes]
PLOTS: dict[str, Plot] = {
    "learning curves": partial(
        plot_learning_curves,
        train_accuracy=[0.5, 0.7, 0.9],
        held_out_accuracy=[0.5, 0.6, 0.8],
        train_loss=[0.7, 0.5, 0.2],
        held_out_loss=[0.7, 0.6, 0.4],
    ),
    "roc": partial(plot_roc, [(0, 0), (0.1, 0.8), (1, 1)], auroc=INTERVAL, operating=[(0.1, 0.8), (0.2, 0.9)]),
    "precision and recall": partial(plot_precision_recall, [(0, 1), (1, 0.5)], auprc=INTERVAL, share_covid=0.5),
    "confusion": partial(plot_confusion, (8, 1, 1), (0, 2, 8)),
    "calibration": partial(plot_calibration, [0.1, 0.9], [0.2, 0.8], [5, 9], slope=INTERVAL, error=INTERVAL),
    "scores": partial(plot_scores, [0.9, 0.8, 0.4], [0.1, 0.2, 0.5], lower=0.3, upper=0.6),
    "decision": partial(plot_decision, [0.1, 0.5], [0.1, 0.05], [0.0, -0.8], prevalence=0.1, band=[(0.02, 0.12), None]),
    "slices": partial(
        plot_slices, [ForestLine("view: AP", INTERVAL), ForestLine("x" * 99, None, "too few")], overall=INTERVAL
    ),
    "audit": partial(
        plot_shortcut_audit,
        [ForestLine("corners", None, "too few", "none"), ForestLine("border", INTERVAL, zones="both")],
        [AuditVerdict.CLEAN, AuditVerdict.CONFOUNDED],
        suspect_from=0.6,
        confounded_from=0.75,
        verdict=AuditVerdict.CONFOUNDED.value,
    ),
    "comparison": partial(
        plot_comparison,
        {"AUROC": (INTERVAL, INTERVAL)},
        champion="m1",
        candidate="m2",
        difference=Interval(0.01, -0.03, 0.06),
        margin=0.05,
    ),
    "contact sheet": partial(plot_contact_sheet, FILMS, FILMS[:2]),
    "heat sheet": partial(plot_heat_sheet, FILMS, HEAT, [Label.COVID, None] * 4, [0.5] * 7, outcomes=["MISSED"] * 7),
}
EMPTY: dict[str, Plot] = {
    "learning curves": partial(
        plot_learning_curves, train_accuracy=[], held_out_accuracy=[], train_loss=[], held_out_loss=[]
    ),
    "roc": partial(plot_roc, [], auroc=None),
    "precision and recall": partial(plot_precision_recall, [], auprc=None, share_covid=0.0),
    "confusion": partial(plot_confusion, (0, 0, 0), (0, 0, 0)),
    "calibration": partial(plot_calibration, [], [], []),
    "scores": partial(plot_scores, [], [], lower=0.5, upper=0.5),
    "decision": partial(plot_decision, [], [], [], prevalence=0.1),
    "slices": partial(plot_slices, [], overall=None),
    "audit": partial(plot_shortcut_audit, [], [], suspect_from=0.6, confounded_from=0.75, verdict=AuditVerdict.CLEAN),
    "comparison": partial(plot_comparison, {"AUROC": (None, None)}, champion="m1", candidate="m2"),
    "contact sheet": partial(plot_contact_sheet, NONE, NONE),
    "heat sheet": partial(plot_heat_sheet, NONE, HEAT[:0], [], []),
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_figure_is_a_small_png_that_says_nothing_of_when_or_where(name: str) -> None:
    png = PLOTS[name](n="12 X-rays of 9 patients")

    with Image.open(io.BytesIO(png)) as image:
        image.load()
        assert image.format == "PNG"
        assert 600 < image.width < 2200
        assert not image.info.keys() - {"transparency"}
    assert len(png) < (400_000 if "sheet" in name else 150_000)  # photographs at twice the resolution


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_values_give_the_same_bytes_and_n_is_in_the_picture(name: str) -> None:
    first, again, other = (PLOTS[name](n=n) for n in ("12 X-rays", "12 X-rays", "99 X-rays"))

    assert first == again
    assert first != other


@pytest.mark.parametrize("name", PLOTS)
def test_no_paper_is_wasted_between_a_figure_and_the_lines_below_it(name: str) -> None:
    with Image.open(io.BytesIO(PLOTS[name](n="n"))) as image:
        inked = np.flatnonzero((np.asarray(image.convert("L")) < 200).any(axis=1))

    assert np.diff(inked).max() < 80, "0.4 inches"


@pytest.mark.parametrize("name", EMPTY)
def test_a_figure_of_nothing_is_drawn_all_the_same(name: str) -> None:
    assert EMPTY[name](n="0 X-rays").startswith(b"\x89PNG")


def test_a_line_that_leaves_the_frame_is_marked_where_it_falls_and_may_come_back() -> None:
    assert find_falls(-1, [0, 1, 2, 3], [0, -2, 0, -4]) == [0.5, 2.25]
    assert find_falls(-1, [0, 1], [0, -1]) == []


@pytest.mark.parametrize(("xrays", "lines"), [([5, 9], 0), ([50, 60], 1)])
def test_points_of_a_calibration_are_joined_from_a_hundred_xrays(
    xrays: list[int], lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "to_png", lambda figure: drawn.append(figure) or b"")

    curves.plot_calibration([0.1, 0.9], [0.2, 0.8], xrays, n="n")

    joined = [line for line in drawn[0].axes[0].lines if line.get_linestyle() == "-" and len(set(line.get_xdata())) > 1]
    assert len(joined) == lines


def test_the_zones_of_the_audit_lie_behind_what_they_judge_and_its_verdict_is_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(forest, "to_png", lambda figure: drawn.append(figure) or b"")

    PLOTS["audit"](n="n")

    axes = drawn[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["border", "corners"]
    assert {round(bar.get_y() + bar.get_height() / 2) for bar in axes.patches} == {0}
    assert "0.90 (0.80 to 0.95)   confounded" in [text.get_text() for text in axes.texts]


def test_white_stays_white_and_small_colours_stay_colours() -> None:
    with Image.open(io.BytesIO(PLOTS["heat sheet"](n="n"))) as image:
        pixels = np.asarray(image.convert("RGB"))

    assert pixels[2, 2].tolist() == [255, 255, 255]
    assert (np.ptp(pixels, axis=2) > 60).any()


def test_every_figure_has_the_frame_with_the_research_use_line() -> None:
    figure, _ = open_figure("Title", n="12 X-rays")

    assert [text.get_text() for text in figure.texts] == ["Title", "12 X-rays", RESEARCH_USE]


def test_an_interval_is_written_with_its_ends() -> None:
    assert format_interval(INTERVAL) == "0.90 (0.80 to 0.95)"
    assert format_interval(None) == "unknown"


def test_drawing_touches_no_global_state_of_matplotlib() -> None:
    program = (
        "import sys, xray_core.report.curves, xray_core.report.forest, xray_core.report.image_sheets\n"
        "xray_core.report.curves.plot_roc([(0, 0), (1, 1)], auroc=None, n='1')\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
