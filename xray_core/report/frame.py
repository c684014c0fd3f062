"""The frame that every figure shares: size, colours, the line on research use, and the way to PNG bytes."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from xray_core.records import RESEARCH_USE, Interval

# Okabe and Ito's palette, which colour-blind readers can tell apart.
COVID = "#D55E00"
NORMAL = "#0072B2"
MODEL = "#0072B2"
OTHER_MODEL = "#E69F00"
REFER = "#CC79A7"
GOOD = "#009E73"
MUTED = "#767676"
FAINT = "#E4E4E4"
INK = "#222222"

_DPI = 100
_Corner = Literal["upper left", "upper center", "upper right", "lower left", "lower right"]
_ABOVE, _BELOW = 0.42, 0.32  # inches that the title and the lines below take
_COLOURS = 128


def open_figure(
    title: str, *, n: str, columns: int = 1, rows: int = 1, width: float = 6.4, height: float = 4.8
) -> tuple[Figure, list[Axes]]:
    """A figure (inches, 100 dots each) with a grid of axes, the title above, and n and the research-use line below.

    Made without pyplot: no global state, so figures can be drawn in any thread.
    """
    layout = ConstrainedLayoutEngine(rect=(0.01, _BELOW / height, 0.98, 1 - (_BELOW + _ABOVE) / height))
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")
    figure.suptitle(title, y=1 - 0.10 / height, va="top", fontsize=12.5, fontweight="bold", color=INK)
    figure.text(0.015, 0.09 / height, n, fontsize=8.5, color=MUTED, ha="left", va="bottom")
    figure.text(0.985, 0.09 / height, RESEARCH_USE, fontsize=8.5, color=INK, ha="right", va="bottom", weight="bold")
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(rows * columns)]
    for one in axes:
        _style(one)
    return figure, axes


def to_png(figure: Figure) -> bytes:
    """The figure as PNG bytes: no date, no program name, at most 128 colours; the same figure gives the same bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
    small = image.quantize(_COLOURS, dither=Image.Dither.NONE)
    png = io.BytesIO()
    small.save(png, format="PNG", optimize=True)
    return png.getvalue()


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Say what both axes show, with the unit."""
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)


def span_shares(axes: Axes, *, both: bool = True) -> None:
    """Let an axis of shares run from 0 to 1 with a little air, so that points at the ends stay whole."""
    axes.set_ylim(-0.02, 1.02)
    if both:
        axes.set_xlim(-0.02, 1.02)


def add_legend(axes: Axes, where: _Corner, *, columns: int = 1) -> None:
    """A legend that stands out from what it lies on."""
    axes.legend(loc=where, ncols=columns, fontsize=8.5, framealpha=0.92, edgecolor=FAINT)


def say_empty(axes: Axes, why: str) -> None:
    """Say in the figure why there is nothing to draw."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", fontsize=10, color=MUTED, wrap=True)


def format_interval(interval: Interval | None, digits: int = 2) -> str:
    """`0.91 (0.88 to 0.94)`, or `unknown`."""
    if interval is None:
        return "unknown"
    return f"{interval.value:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def _style(axes: Axes) -> None:
    axes.grid(visible=True, color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
