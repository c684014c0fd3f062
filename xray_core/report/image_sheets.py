"""Sheets of X-rays for people: the first of each class, and where a network looked; PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from xray_core.records import Label
from xray_core.report.frame import open_figure, say_empty, to_png

_CELL = 1.12
_MOST = 6


def plot_contact_sheet(covid: NDArray[np.uint8], normal: NDArray[np.uint8], *, n: str) -> bytes:
    """The first six X-rays of each class, (n, height, width) uint8 each, side by side; no name and no mark of whose."""
    figure, axes = open_figure(
        "The first X-rays of each class", n=n, columns=_MOST, rows=2, width=_MOST * _CELL + 0.6, height=2 * _CELL + 1.2
    )
    for row, (images, label) in enumerate(((covid, Label.COVID), (normal, Label.NORMAL))):
        line = axes[row * _MOST : (row + 1) * _MOST]
        for place, one in enumerate(line):
            _show(one, images[place] if place < len(images) else None)
        line[0].set_ylabel(label.value, fontsize=11, fontweight="bold")
        if not len(images):
            say_empty(line[0], "none")
    return to_png(figure)


def plot_heat_sheet(
    grey: NDArray[np.uint8],
    heat: NDArray[np.floating],
    labels: Sequence[Label | None],
    probabilities: Sequence[float],
    *,
    n: str,
) -> bytes:
    """Up to six X-rays (n, height, width) uint8 above the same with what spoke for covid, (n, height, width) 0..1.

    `labels` and `probabilities` P(covid) stand above each; a heat map shows coarse attention, not lesions.
    """
    shown = min(len(grey), _MOST)
    figure, axes = open_figure(
        "Where the network looked (Grad-CAM)", n=n, columns=max(shown, 1), rows=2,
        width=max(shown * _CELL + 0.7, 5.2), height=2 * _CELL + 1.5,
    )  # fmt: skip
    for place in range(shown):
        plain, heated = axes[place], axes[shown + place]
        _show(plain, grey[place])
        plain.set_title(f"{labels[place] or 'no label'}\nP(covid) {probabilities[place]:.2f}", fontsize=8.5)
        _show(heated, grey[place])
        heated.imshow(heat[place], cmap="inferno", vmin=0, vmax=1, alpha=0.45 * np.sqrt(heat[place]).clip(0, 1))
    if not shown:
        for one in axes:
            _show(one, None)
        say_empty(axes[0], "No X-ray to explain")
    else:
        axes[0].set_ylabel("X-ray", fontsize=10)
        axes[shown].set_ylabel("speaks for covid", fontsize=10)
    return to_png(figure)


def _show(axes: Axes, image: NDArray[np.uint8] | None) -> None:
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if image is not None:
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
