"""Sheets of X-rays for people: the first of each class, and where a network looked; PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from xray_core.records import Label
from xray_core.report.frame import add_foot_sentence, open_figure, say_empty, to_png

_CELL = 1.12
_MOST = 6
_HEAT = "inferno"


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
    outcomes: Sequence[str] = (),
    n: str,
) -> bytes:
    """Up to six X-rays (n, height, width) uint8 above the same with what spoke for covid, (n, height, width) 0..1.

    `labels`, `probabilities` P(covid) and what the `outcomes` mean stand above each. The maps share one scale; a heat
    map shows coarse attention, not lesions, and proves nothing.
    """
    shown = min(len(grey), _MOST)
    figure, axes = open_figure(
        "Where the network looked (Grad-CAM)", n=n, columns=max(shown, 1), rows=2,
        width=max(shown * _CELL + 1.2, 5.8), height=2 * _CELL + 1.9,
    )  # fmt: skip
    shared = Normalize(0, 1)
    for place in range(shown):
        plain, heated = axes[place], axes[shown + place]
        _show(plain, grey[place])
        title = f"{labels[place] or 'no label'}\nP(covid) {probabilities[place]:.2f}"
        plain.set_title("\n".join([title, *outcomes[place : place + 1]]), fontsize=8.5)
        _show(heated, grey[place])
        heated.imshow(heat[place], cmap=_HEAT, norm=shared, alpha=0.75 * np.sqrt(heat[place]).clip(0, 1))
    if not shown:
        for one in axes:
            _show(one, None)
        say_empty(axes[0], "No X-ray to explain")
    else:
        axes[0].set_ylabel("X-ray", fontsize=10)
        axes[shown].set_ylabel("speaks for covid", fontsize=10)
        bar = figure.colorbar(ScalarMappable(shared, _HEAT), ax=axes[shown:], shrink=0.9, pad=0.02)
        bar.set_label("one scale for all", fontsize=8.5)
        bar.ax.tick_params(labelsize=8)
        add_foot_sentence(figure, "Such maps look right on confounded models too: they prove nothing.")
    return to_png(figure, photographs=True)


def _show(axes: Axes, image: NDArray[np.uint8] | None) -> None:
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if image is not None:
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
