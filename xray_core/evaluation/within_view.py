"""What the view of films has to do with how a model ranks them, as it is kept and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from xray_core.records import Interval

# From here on the view says so much of the class that a model may have learned the view: 65 of 100 pairs.
_TELLS: Final = 0.65


@dataclass(frozen=True, slots=True)
class WithinView:
    """What the view has to do with the figures.

    Of `xrays` the view is `known` of so many. `view_alone` is the AUROC (0.5..1) of ranking those by the share of
    covid in their view: the most that knowing nothing but the view can give here. `auroc` is the model's over pairs of
    a covid and a normal film of one view. Both are None where no such films are known.
    """

    xrays: int
    known: int
    view_alone: float | None
    auroc: Interval | None

    @property
    def tells(self) -> bool:
        """Whether films of one class are mostly of one view."""
        return self.view_alone is not None and self.view_alone >= _TELLS

    @property
    def sentence(self) -> str:
        """What must be said beside the AUROC."""
        unknown = self.xrays - self.known
        if self.view_alone is None:
            known = f"The view is known of {self.known} of {self.xrays} X-rays"
            return f"{known}{', all of one class' if self.known else ''}: whether it tells the class cannot be told."
        among = "" if not unknown else f", known of {self.known} of {self.xrays} X-rays,"
        if not self.tells:
            return f"The view{among} hardly tells the class by itself (AUROC {self.view_alone:.2f})."
        mostly = f"The view{among} tells the class by itself (AUROC {self.view_alone:.2f})"
        if self.auroc is None:
            return f"{mostly}, and too few patients of both classes share one: disease and view cannot be told apart."
        return f"{mostly}: judge by pairs of one view, AUROC {self.auroc}."
