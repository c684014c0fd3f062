"""How far readers agree, as a picture; PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from xray_core.records import Interval
from xray_core.report.forest import draw_interval, name_lines, write_beside
from xray_core.report.frame import (
    COVID,
    INK,
    MODEL,
    MUTED,
    OTHER_MODEL,
    format_interval,
    name_axes,
    open_figure,
    to_png,
)

_KINDS = (("raw agreement", MODEL, "o"), ("Cohen's kappa", OTHER_MODEL, "D"), ("Gwet's AC1", COVID, "s"))


@dataclass(frozen=True, slots=True)
class AgreementLine:
    """Two readings of the same films: who, on how many films, raw agreement, kappa and AC1, None where unknown."""

    name: str
    films: int
    raw: Interval | None
    kappa: Interval | None
    ac1: Interval | None


def plot_agreement(lines: Sequence[AgreementLine], *, n: str) -> bytes:
    """The three figures of each line beside each other; 0 is what chance gives, but raw agreement knows no chance."""
    height = 2.0 + 0.8 * max(len(lines), 1)
    figure, (axes,) = open_figure("How far readers agree", n=n, width=8.2, height=height)
    for place, line in enumerate(lines):
        for (_, colour, marker), interval, shift in zip(
            _KINDS, (line.raw, line.kappa, line.ac1), (-0.25, 0, 0.25), strict=True
        ):
            draw_interval(axes, interval, place + shift, colour, marker)
            if line.raw is not None:
                write_beside(axes, place + shift, format_interval(interval))
        if line.raw is None:
            write_beside(axes, place, f"{line.films} films: too few")
    for name, colour, marker in _KINDS:
        axes.plot([], [], marker, color=colour, label=name)
    name_lines(axes, [f"{line.name} ({line.films} films)" for line in lines])
    _fit(axes, [figure for line in lines for figure in (line.raw, line.kappa, line.ac1)])
    name_axes(axes, "Agreement with 95 % interval by patient", "")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8.5, frameon=False, borderaxespad=0.1)
    return to_png(figure)


def _fit(axes: Axes, intervals: Sequence[Interval | None]) -> None:
    lowest = min([interval.low for interval in intervals if interval is not None], default=0.0)
    axes.axvline(0, color=MUTED, linewidth=1, linestyle="--")
    axes.axvline(1, color=INK, linewidth=0.6)
    axes.set_xlim(min(-0.02, lowest - 0.05), 1.02)
