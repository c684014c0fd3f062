"""The figures of a training and its evaluation, as PNG bytes; every one says n and that it is for research only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from xray_core.evaluation.intervals import clopper_pearson
from xray_core.records import Interval
from xray_core.report.frame import (
    COVID,
    FAINT,
    GOOD,
    INK,
    MODEL,
    MUTED,
    NORMAL,
    REFER,
    add_legend,
    find_falls,
    format_interval,
    name_axes,
    open_figure,
    say_empty,
    span_shares,
    to_png,
)

_MEANINGS = (("right", "to a reader", "missed"), ("false alarm", "to a reader", "right"))
Points = Sequence[tuple[float, float]]
_WIDE = 9.6
_SQUARE = 5.4
FEWEST_FOR_A_LINE = 100


def plot_learning_curves(
    *,
    train_accuracy: Sequence[float],
    held_out_accuracy: Sequence[float],
    train_loss: Sequence[float],
    held_out_loss: Sequence[float],
    n: str,
) -> bytes:
    """Accuracy (0..1) and loss per epoch, of the training X-rays and of the held-out ones; one value per epoch."""
    figure, (accuracy, loss) = open_figure("Learning curves", n=n, columns=2, width=_WIDE, height=4.2)
    _draw_epochs(accuracy, train_accuracy, held_out_accuracy)
    _draw_epochs(loss, train_loss, held_out_loss)
    span_shares(accuracy, both=False)
    loss.set_ylim(bottom=0)
    name_axes(accuracy, "Epoch", "Accuracy (share called rightly)")
    name_axes(loss, "Epoch", "Loss (binary cross-entropy)")
    add_legend(accuracy, "lower right")
    loss.set_ylim(top=1.3 * loss.get_ylim()[1])  # room for the legend above the curves
    add_legend(loss, "upper right")
    return to_png(figure)


def plot_roc(points: Points, *, auroc: Interval | None, operating: Points = (), n: str) -> bytes:
    """The ROC curve through (1 - specificity, sensitivity), and both thresholds on it: the upper, then the lower."""
    figure, (axes,) = open_figure("Receiver operating characteristic", n=n, width=_SQUARE, height=5.5)
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="chance", zorder=1)
    _draw_curve(axes, points, f"AUROC {format_interval(auroc)}")
    for (x, y), marker, which in zip(operating, "o^", ("upper", "lower"), strict=False):
        name = f"{which} threshold: sensitivity {y:.2f}, specificity {1 - x:.2f}"
        axes.plot(x, y, marker, color=COVID, markersize=8, markeredgecolor="white", label=name, zorder=5)
    span_shares(axes)
    axes.set_aspect("equal")
    name_axes(axes, "1 - specificity (normal X-rays above a threshold)", "Sensitivity (covid X-rays above it)")
    add_legend(axes, "lower right")
    return to_png(figure)


def plot_precision_recall(points: Points, *, auprc: Interval | None, share_covid: float, n: str) -> bytes:
    """Precision against recall through (recall, precision); `share_covid` of these X-rays is what chance reaches."""
    figure, (axes,) = open_figure("Precision and recall", n=n, width=_SQUARE, height=5.5)
    axes.axhline(share_covid, color=MUTED, linestyle="--", linewidth=1, label=f"chance {share_covid:.2f}")
    _draw_curve(axes, points, f"average precision {format_interval(auprc)}")
    span_shares(axes)
    axes.set_aspect("equal")
    name_axes(axes, "Recall (covid X-rays found)", "Precision (share of covid among those called positive)")
    add_legend(axes, "lower left")
    return to_png(figure)


def plot_confusion(covid: tuple[int, int, int], normal: tuple[int, int, int], *, n: str) -> bytes:
    """What the X-rays of each class were called at the operating point: (positive, refer, negative) counts."""
    figure, (axes,) = open_figure("Outcomes at the operating point", n=n, width=6.2, height=3.9)
    counts = np.array([covid, normal])
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    colours = ((GOOD, REFER, COVID), (COVID, REFER, GOOD))
    axes.grid(visible=False)
    for row in range(2):
        for column in range(3):
            axes.add_patch(_cell(column, row, colours[row][column], float(shares[row, column])))
            meaning = _MEANINGS[row][column]
            text = f"{counts[row, column]}\n{shares[row, column]:.0%}\n{meaning}"
            axes.text(column, row, text, ha="center", va="center", fontsize=12, color=INK)
    axes.set(xlim=(-0.5, 2.5), ylim=(1.5, -0.5))
    axes.set_xticks(range(3), ["positive", "refer", "negative"], fontsize=10)
    axes.set_yticks(range(2), ["covid", "normal"], fontsize=10)
    name_axes(axes, "Outcome of the model", "Label")
    axes.tick_params(length=0)
    return to_png(figure)


def plot_calibration(
    mean_probability: Sequence[float],
    share_covid: Sequence[float],
    xrays: Sequence[int],
    *,
    slope: Interval | None = None,
    error: Interval | None = None,
    n: str,
) -> bytes:
    """Reliability: the share of covid among X-rays with similar scores against their mean score, bin by bin.

    Each share has its exact 95 % interval as if every X-ray were another patient's. Below 100 X-rays no line joins the
    points: it would draw chance as a zigzag.
    """
    figure, (axes, counts) = open_figure("Calibration", n=n, rows=2, width=_SQUARE, height=6.3)
    grid = axes.get_gridspec()
    assert grid is not None
    grid.set_height_ratios([4, 1])
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfect")
    if sum(xrays) >= FEWEST_FOR_A_LINE:
        axes.plot(mean_probability, share_covid, "-", color=MODEL, linewidth=1.2)
    for x, share, count in zip(mean_probability, share_covid, xrays, strict=True):
        axes.plot([x, x], clopper_pearson(share * count, count), color=MODEL, linewidth=1.6, solid_capstyle="butt")
    figures = f"slope {format_interval(slope)}\nexpected error {format_interval(error)}"
    axes.plot(mean_probability, share_covid, "o", color=MODEL, markersize=6.5, markeredgecolor="white", label=figures)
    counts.bar(mean_probability, xrays, width=0.04, color=MODEL, edgecolor="white")
    for x, count in zip(mean_probability, xrays, strict=True):
        counts.annotate(
            str(count), (x, count), (0, 1), textcoords="offset points", ha="center", fontsize=7.5, color=INK
        )
    counts.set_ylim(top=1.3 * max([*xrays, 1]))
    counts.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    span_shares(axes)
    counts.set_xlim(-0.02, 1.02)
    name_axes(axes, "", "Share that is covid, with 95 % interval")
    name_axes(counts, "P(covid) by the model, mean of the bin", "X-rays")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8.5, frameon=False, borderaxespad=0.1)
    return to_png(figure)


def plot_scores(covid: Sequence[float], normal: Sequence[float], *, lower: float, upper: float, n: str) -> bytes:
    """How the scores P(covid) of both classes are spread, with the thresholds; between them lies the refer band.

    A threshold of 0 or less, or above 1, is none: that side is referred to its end.
    """
    figure, (axes,) = open_figure("Scores by class", n=n, width=7.4, height=4.6)
    bins = np.linspace(0, 1, 26).tolist()
    if upper > lower:
        axes.axvspan(lower, min(upper, 1), color=REFER, alpha=0.15, label=f"refer: {lower:.3f} to {min(upper, 1):.3f}")
    axes.hist(normal, bins=bins, color=NORMAL, alpha=0.65, edgecolor="white", label=f"normal ({len(normal)})")
    axes.hist(covid, bins=bins, color=COVID, alpha=0.65, edgecolor="white", hatch="////", label=f"covid ({len(covid)})")
    below = f"negative below {lower:.3f}" if lower > 0 else "nothing is called negative"
    beyond = f"positive from {upper:.3f}" if upper <= 1 else "nothing is called positive"
    axes.axvline(lower, color=INK, linestyle=":", linewidth=1.4, label=below)
    axes.axvline(upper, color=INK, linestyle="--", linewidth=1.4, label=beyond)
    axes.set_xlim(0, 1)
    axes.set_ylim(top=1.4 * axes.get_ylim()[1])  # room for the legend above the bars
    name_axes(axes, "P(covid) by the model", "X-rays")
    add_legend(axes, "upper center", columns=3)
    return to_png(figure)


def plot_decision(
    thresholds: Sequence[float],
    model: Sequence[float],
    everybody: Sequence[float],
    *,
    prevalence: float,
    band: Sequence[tuple[float, float] | None] = (),
    n: str,
) -> bytes:
    """Net benefit over threshold probabilities, of the model and of calling everybody or nobody positive.

    Vickers and Elkin, Med Decis Making 2006;26:565-574. The threshold says how many false alarms a found case is
    worth: 0.1 means nine. `band` is the 95 % interval of the model at each threshold. Where a line falls below the
    frame stands a triangle.
    """
    title = f"Decision curve, scores moved to a prevalence of {prevalence:.0%}"
    figure, (axes,) = open_figure(title, n=n, width=6.8, height=4.8)
    top = 1.15 * max([*model, *(ends[1] for ends in band if ends), prevalence])
    bottom = -0.35 * top
    axes.set_ylim(bottom, 1.45 * top)  # room for the legend
    if not len(thresholds):
        say_empty(axes, "No decision curve: one class only, or scores of an unknown mix")
    known = [(x, *ends) for x, ends in zip(thresholds, band, strict=False) if ends]
    if known:
        x, low, high = zip(*known, strict=True)
        clipped = np.clip([low, high], bottom, None)
        axes.fill_between(x, *clipped, color=MODEL, alpha=0.18, linewidth=0, label="its 95 % interval")
    for values, style in ((model, _MODEL_LINE), (everybody, _EVERYBODY_LINE)):
        axes.plot(thresholds, values, **style)
        falls = find_falls(bottom, thresholds, values)
        (mark,) = axes.plot(falls, [bottom] * len(falls), "v", color=style["color"], markersize=8, clip_on=False)
        mark.set(zorder=5, in_layout=False)  # else room is kept for marks far below the frame
    axes.axhline(0, color=MUTED, linewidth=1.4, linestyle=":", label="nobody positive")
    axes.set_xlim(0, max(thresholds, default=1))
    name_axes(axes, "Threshold probability (0.1: one case found is worth nine false alarms)", "Net benefit per X-ray")
    add_legend(axes, "upper right", columns=2)
    return to_png(figure)


_MODEL_LINE: dict[str, Any] = {"color": MODEL, "linewidth": 2, "label": "the model"}
_EVERYBODY_LINE: dict[str, Any] = {
    "color": COVID, "linewidth": 1.4, "linestyle": "--", "label": "everybody positive (▼ goes on below)",
}  # fmt: skip


def _draw_epochs(axes: Axes, train: Sequence[float], held_out: Sequence[float]) -> None:
    epochs = range(1, len(train) + 1)
    axes.plot(epochs, train, "o-", color=MODEL, markersize=4, linewidth=1.6, label="training (augmented)")
    axes.plot(epochs, held_out, "s--", color=COVID, markersize=4, linewidth=1.6, label="held out")
    axes.set_xlim(0.5, max(len(train), 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_curve(axes: Axes, points: Points, label: str) -> None:
    if not len(points):
        say_empty(axes, "Only one class: no curve")
        return
    x, y = zip(*points, strict=True)
    axes.plot(x, y, color=MODEL, linewidth=2, label=label)


def _cell(column: int, row: int, colour: str, share: float) -> Rectangle:
    face = Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, edgecolor=FAINT)
    face.set_alpha(0.10 + 0.70 * share)
    return face
