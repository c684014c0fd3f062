"""The frame that every figure shares: size, colours, the line on research use, and the way to PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
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

_DPI = 200  # sharp in print and on dense screens
_Corner = Literal["upper left", "upper center", "upper right", "lower left", "lower right"]
_ABOVE, _BELOW = 0.42, 0.32  # inches that the title and the lines below take
_COLOURS = 128
_COLOURED_FROM = 12  # levels between the strongest and the weakest of red, green and blue


def open_figure(
    title: str, *, n: str, columns: int = 1, rows: int = 1, width: float = 6.4, height: float = 4.8
) -> tuple[Figure, list[Axes]]:
    """A figure (inches, 200 dots each) with a grid of axes, the title above, and n and the research-use line below.

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


def add_foot_sentence(figure: Figure, sentence: str) -> None:
    """A sentence that must be read with the plot, on a line of its own above n and the research-use line."""
    height = figure.get_figheight()
    figure.text(0.5, 0.36 / height, sentence, fontsize=9.5, color=INK, ha="center", va="bottom", weight="bold")
    layout = ConstrainedLayoutEngine(rect=(0.01, 2 * _BELOW / height, 0.98, 1 - (2 * _BELOW + _ABOVE) / height))
    figure.set_layout_engine(layout)


def to_png(figure: Figure, *, photographs: bool = False) -> bytes:
    """The figure as PNG bytes: no date, no program name, few colours; the same figure gives the same bytes.

    With `photographs` half of 256 colours are greys and the others those of what is coloured, however small.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
    small = _spare_greys(image) if photographs else image.quantize(_COLOURS, dither=Image.Dither.NONE)
    png = io.BytesIO()
    small.save(png, format="PNG", optimize=True)
    return png.getvalue()


def _spare_greys(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    coloured = pixels[np.ptp(pixels, axis=2) > _COLOURED_FROM].reshape(1, -1, 3)
    palette = np.linspace(0, 255, _COLOURS).round().astype(np.uint8).repeat(3).tolist()
    if coloured.size:
        palette += Image.fromarray(coloured).quantize(_COLOURS, Image.Quantize.MAXCOVERAGE).getpalette() or []
    chosen = Image.new("P", (1, 1))
    chosen.putpalette(palette)
    places = np.array(image.quantize(palette=chosen, dither=Image.Dither.NONE))
    places[(pixels == 255).all(axis=2)] = _COLOURS - 1  # Pillow looks colours up roughly: the paper stays white
    small = Image.fromarray(places)
    small.putpalette(palette)
    return small


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


def find_falls(bottom: float, x: Sequence[float], y: Sequence[float]) -> list[float]:
    """Where a line falls below `bottom`: the frame cuts it there, and a mark should say so."""
    points = list(zip(x, y, strict=True))
    return [
        left + (right - left) * (high - bottom) / (high - low)
        for (left, high), (right, low) in pairwise(points)
        if low < bottom <= high
    ]


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
