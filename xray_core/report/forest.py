"""Figures with intervals side by side: slices, the shortcut audit, champion against candidate; PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class ForestLine:
    """One line of a forest plot: what it is of, its figure or None, and what stands beside it."""

    name: str
    interval: Interval | None
    remark: str = ""


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
    verdict: AuditVerdict,
    n: str,
) -> bytes:
    """What predicts the label without the lungs, each probe with its interval and the colour of its verdict.

    0.5 is chance; a probe far from it on either side tells the classes apart.
    """
    title = f"Shortcut audit: {verdict.value}"
    figure, (axes,) = open_figure(title, n=n, width=_WIDTH, height=_height(len(lines)))
    for start, colour in ((suspect_from, OTHER_MODEL), (confounded_from, COVID)):
        for edge, end in ((start, 1.02), (1 - start, -0.02)):
            axes.axvspan(*sorted((edge, end)), color=colour, alpha=0.10, linewidth=0)
            axes.axvline(edge, color=colour, linewidth=1, linestyle=":")
    colours = [_VERDICT_COLOURS[one] for one in verdicts]
    for place, (line, colour) in enumerate(zip(lines, colours, strict=True)):
        if line.interval is not None:
            axes.barh(place, line.interval.value - 0.5, left=0.5, height=0.5, color=colour, alpha=0.45)
    _draw_lines(axes, lines, colours)
    for name, colour in _VERDICT_COLOURS.items():
        axes.plot([], [], "o", color=colour, label=name.value)
    _fit_shares(axes, [line.interval for line in lines], reference=0.5)
    axes.set_xlim(right=1.02)
    name_axes(axes, "AUC for the label with 95 % interval (0.5 is chance)", "")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8.5, frameon=False, borderaxespad=0.1)
    return to_png(figure)


def plot_comparison(
    figures: Mapping[str, tuple[Interval | None, Interval | None]], *, champion: str, candidate: str, n: str
) -> bytes:
    """Each figure of the champion (first) and of the candidate (second) on the same held-out X-rays, 0..1."""
    title = "Champion and candidate on the same X-rays"
    figure, (axes,) = open_figure(title, n=n, width=_WIDTH, height=_height(1.6 * len(figures)))
    for place, (first, second) in enumerate(figures.values()):
        _draw_interval(axes, first, place - 0.17, OTHER_MODEL, "D")
        _draw_interval(axes, second, place + 0.17, MODEL, "o")
        for interval, shift in ((first, -0.17), (second, 0.17)):
            _write_beside(axes, place + shift, format_interval(interval))
    for colour, marker, name in ((OTHER_MODEL, "D", f"champion {champion}"), (MODEL, "o", f"candidate {candidate}")):
        axes.plot([], [], marker, color=colour, label=name)
    _name_lines(axes, list(figures))
    _fit_shares(axes, [interval for pair in figures.values() for interval in pair], reference=None)
    name_axes(axes, "Figure with 95 % interval", "")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8.5, frameon=False, borderaxespad=0.1)
    return to_png(figure)


def _draw_lines(axes: Axes, lines: Sequence[ForestLine], colours: Sequence[str]) -> None:
    if not lines:
        say_empty(axes, "Nothing to compare")
    for place, (line, colour) in enumerate(zip(lines, colours, strict=True)):
        _draw_interval(axes, line.interval, place, colour, "o")
        figure = "" if line.interval is None else format_interval(line.interval)
        _write_beside(axes, place, "   ".join(part for part in (figure, line.remark) if part))
    _name_lines(axes, [line.name for line in lines])


def _draw_interval(axes: Axes, interval: Interval | None, place: float, colour: str, marker: str) -> None:
    if interval is None:
        return
    axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
    axes.plot(interval.value, place, marker, color=colour, markersize=7, markeredgecolor="white", zorder=4)


def _write_beside(axes: Axes, place: float, text: str) -> None:
    axes.annotate(
        text, (1, place), xycoords=("axes fraction", "data"), xytext=(8, 0), textcoords="offset points",
        va="center", fontsize=8.5, color=INK, annotation_clip=False,
    )  # fmt: skip


def _name_lines(axes: Axes, names: Sequence[str]) -> None:
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
