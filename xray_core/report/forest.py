"""Figures with intervals side by side: slices, the shortcut audit, champion against candidate; PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from matplotlib.axes import Axes

from xray_core.records import AuditVerdict, Interval
from xray_core.report.frame import (
    COVID,
    GOOD,
    INK,
    MODEL,
    MUTED,
    OTHER_MODEL,
    format_interval,
    name_axes,
    open_figure,
    say_empty,
    to_png,
)

_WIDTH = 8.2
_VERDICT_COLOURS = {AuditVerdict.CLEAN: GOOD, AuditVerdict.SUSPECT: OTHER_MODEL, AuditVerdict.CONFOUNDED: COVID}
_VERDICT_MARKERS = {AuditVerdict.CLEAN: "o", AuditVerdict.SUSPECT: "^", AuditVerdict.CONFOUNDED: "s"}


@dataclass(frozen=True, slots=True)
class ForestLine:
    """One line of a forest plot: what it is of, its figure or None, and what stands beside it.

    `zones` says on which sides of 0.5 the audit judges the figure; "none": it is there for comparison.
    """

    name: str
    interval: Interval | None
    remark: str = ""
    zones: Literal["above", "both", "none"] = "above"


def plot_slices(lines: Sequence[ForestLine], *, overall: Interval | None, figure_name: str = "AUROC", n: str) -> bytes:
    """A figure by slice of the X-rays with its interval, and that of all of them as a band behind."""
    figure, (axes,) = open_figure(f"{figure_name} by slice", n=n, width=_WIDTH, height=_height(len(lines)))
    if overall is not None:
        axes.axvspan(overall.low, overall.high, color=MODEL, alpha=0.10)
        axes.axvline(overall.value, color=MODEL, linewidth=1.2, label=f"all X-rays {format_interval(overall)}")
    _draw_lines(axes, lines, [MODEL] * len(lines))
    _fit_shares(axes, [line.interval for line in lines] + [overall], reference=0.5 if figure_name == "AUROC" else None)
    name_axes(axes, f"{figure_name} with 95 % interval", "")
    if overall is not None:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=8.5, frameon=False, borderaxespad=0.1)
    return to_png(figure)


def plot_shortcut_audit(
    lines: Sequence[ForestLine],
    verdicts: Sequence[AuditVerdict],
    *,
    suspect_from: float,
    confounded_from: float,
    verdict: str,
    n: str,
) -> bytes:
    """What predicts the label without the lungs, each probe with its interval and its verdict in words and by marker.

    A probe is judged by the end of its interval that is nearer to 0.5, which is chance. The zones of the verdicts lie
    behind those lines only that they judge; what is there for comparison comes last and is grey.
    """
    pairs = sorted(zip(lines, verdicts, strict=True), key=lambda pair: pair[0].zones == "none")
    title = f"Shortcut audit: {verdict}"
    figure, (axes,) = open_figure(title, n=n, width=_WIDTH, height=_height(len(lines)) + 0.35)
    _fit_shares(axes, [line.interval for line in lines], reference=0.5)
    for place, (line, _) in enumerate(pairs):
        _shade_zones(axes, place, line.zones, suspect_from, confounded_from)
    shown = [line if line.remark else replace(line, remark=one.value) for line, one in pairs]
    colours = [MUTED if line.zones == "none" else _VERDICT_COLOURS[one] for line, one in pairs]
    markers = ["D" if line.zones == "none" else _VERDICT_MARKERS[one] for line, one in pairs]
    _draw_lines(axes, shown, colours, markers)
    judged = sum(line.zones != "none" for line in shown)
    if 0 < judged < len(shown):
        axes.axhline(judged - 0.5, color=INK, linewidth=0.8)
    for name, colour in _VERDICT_COLOURS.items():
        axes.plot([], [], _VERDICT_MARKERS[name], color=colour, label=name.value)
    axes.plot([], [], "D", color=MUTED, label="for comparison")
    name_axes(axes, f"AUC for the label with 95 % interval; the end nearer to chance (0.5) is judged:\n"
              f"suspect from {suspect_from:.2f} (light), confounded from {confounded_from:.2f} (dark)", "")  # fmt: skip
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8.5, frameon=False, borderaxespad=0.1)
    return to_png(figure)


def _shade_zones(axes: Axes, place: int, zones: str, suspect_from: float, confounded_from: float) -> None:
    left, right = axes.get_xlim()
    spans = [(suspect_from, confounded_from, "#FBEBCB"), (confounded_from, right, "#F2C6A8")]
    if zones == "both":
        spans += [(1 - confounded_from, 1 - suspect_from, "#FBEBCB"), (left, 1 - confounded_from, "#F2C6A8")]
    for start, end, colour in spans if zones != "none" else []:
        if max(start, left) < end:
            axes.barh(
                place, end - max(start, left), left=max(start, left), height=1, color=colour, linewidth=0, zorder=0
            )


def plot_comparison(
    figures: Mapping[str, tuple[Interval | None, Interval | None]],
    *,
    champion: str,
    candidate: str,
    difference: Interval | None = None,
    margin: float = 0.0,
    n: str,
) -> bytes:
    """What decides, above; below it each figure of the champion (first) and of the candidate (second), 0..1.

    `difference` is the paired difference of the AUROCs, candidate minus champion on the same X-rays, between its two
    one-sided bounds. The candidate is not worse when the lower one stays above minus `margin` (0..1).
    """
    title = "Champion and candidate on the same X-rays"
    height = _height(1.6 * len(figures)) + 1.5
    figure, (deciding, axes) = open_figure(title, n=n, rows=2, width=_WIDTH, height=height)
    grid = axes.get_gridspec()
    assert grid is not None
    grid.set_height_ratios([1, 1.0 * len(figures)])
    _draw_difference(deciding, difference, margin)
    for place, (first, second) in enumerate(figures.values()):
        draw_interval(axes, first, place - 0.17, OTHER_MODEL, "D")
        draw_interval(axes, second, place + 0.17, MODEL, "o")
        for interval, shift in ((first, -0.17), (second, 0.17)):
            write_beside(axes, place + shift, format_interval(interval))
    for colour, marker, name in ((OTHER_MODEL, "D", f"champion {champion}"), (MODEL, "o", f"candidate {candidate}")):
        axes.plot([], [], marker, color=colour, label=name)
    name_lines(axes, list(figures))
    _fit_shares(axes, [interval for pair in figures.values() for interval in pair], reference=None)
    name_axes(axes, "Figure with 95 % interval", "")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8.5, frameon=False, borderaxespad=0.1)
    return to_png(figure)


def _draw_difference(axes: Axes, difference: Interval | None, margin: float) -> None:
    name_lines(axes, ["AUROC: candidate minus champion"])
    axes.axvline(0, color=MUTED, linewidth=1, linestyle="--")
    axes.axvline(-margin, color=COVID, linewidth=1.6, label=f"margin -{margin:.2f}: worse than this is worse")
    draw_interval(axes, difference, 0, INK, "o")
    if difference is None:
        say_empty(axes, "Too few X-rays to compare")
    else:
        write_beside(axes, 0, f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})")
    ends = (0.0, 0.0) if difference is None else (difference.low, difference.high)
    reach = 1.25 * max(2 * margin, *map(abs, ends), 0.01)
    axes.set_xlim(-reach, reach)
    name_axes(axes, "Paired difference between its one-sided bounds; it decides", "")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=8.5, frameon=False, borderaxespad=0.1)


def _draw_lines(
    axes: Axes, lines: Sequence[ForestLine], colours: Sequence[str], markers: Sequence[str] | None = None
) -> None:
    if not lines:
        say_empty(axes, "Nothing to compare")
    for place, (line, colour) in enumerate(zip(lines, colours, strict=True)):
        draw_interval(axes, line.interval, place, colour, markers[place] if markers else "o")
        figure = "" if line.interval is None else format_interval(line.interval)
        write_beside(axes, place, "   ".join(part for part in (figure, line.remark) if part))
    name_lines(axes, [line.name for line in lines])


def draw_interval(axes: Axes, interval: Interval | None, place: float, colour: str, marker: str) -> None:
    """A figure and its interval at a place of the vertical axis; nothing for None."""
    if interval is None:
        return
    axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
    axes.plot(interval.value, place, marker, color=colour, markersize=7, markeredgecolor="white", zorder=4)


def write_beside(axes: Axes, place: float, text: str) -> None:
    """Words right of the frame, at a place of the vertical axis."""
    axes.annotate(
        text, (1, place), xycoords=("axes fraction", "data"), xytext=(8, 0), textcoords="offset points",
        va="center", fontsize=8.5, color=INK, annotation_clip=False,
    )  # fmt: skip


def name_lines(axes: Axes, names: Sequence[str]) -> None:
    """The lines' names at the vertical axis, the first one on top."""
    axes.set_yticks(range(len(names)), [name if len(name) <= 44 else f"{name[:43]}…" for name in names], fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _fit_shares(axes: Axes, intervals: Sequence[Interval | None], *, reference: float | None) -> None:
    """As much of 0..1 as the intervals need, in steps of a tenth: small differences should not vanish."""
    lowest = min([interval.low for interval in intervals if interval is not None], default=0.0)
    if reference is not None:
        lowest = min(lowest, reference)
        axes.axvline(reference, color=MUTED, linewidth=1, linestyle="--")
    axes.set_xlim(max(0.0, int(lowest * 10 - 0.5) / 10) - 0.02, 1.02)


def _height(lines: float) -> float:
    return 1.9 + 0.34 * max(lines, 2)
