"""What the shortcut audit shows to its small models: everything about a film but its lungs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.evaluation.bootstrap import Cohort, make_cohort
from xray_core.imaging.records import ImageFacts
from xray_core.processes.grey_rows import Greys
from xray_core.processes.resources import one_thread
from xray_core.records import is_content_group

_CELLS = (
    40  # the picture is seen as 40 x 40 mean grey levels: coarse for a lung, fine for a letter or a collimator edge
)


_MARGIN = 6  # of them, 15 %, are border on each side


_FOLDS = 5


Features = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AuditImages:
    """Fitted X-rays (n, height, width) uint8 with one entry each of what is known of them; an unknown source is "".

    `unremedied` are the same as they were before the remedies, None where there was none.
    """

    greys: Greys
    facts: tuple[ImageFacts, ...]
    is_covid: NDArray[np.bool_]
    groups: NDArray[np.str_]
    sources: NDArray[np.str_]
    unremedied: Greys | None = None

    @property
    def patients(self) -> int:
        """How many known people they show."""
        return sum(not is_content_group(group) for group in np.unique(self.groups).tolist())

    def take(self, chosen: NDArray[np.bool_]) -> AuditImages:
        """The chosen ones (n,) bool."""
        facts = tuple(fact for fact, is_chosen in zip(self.facts, chosen, strict=True) if is_chosen)
        return AuditImages(
            self.greys[chosen],
            facts,
            self.is_covid[chosen],
            self.groups[chosen],
            self.sources[chosen],
            None if self.unremedied is None else self.unremedied[chosen],
        )


def describe_files(facts: Sequence[ImageFacts]) -> Features:
    """Size, aspect, format, mode and scale rule of each file as numbers (n, features)."""
    numbers = [[fact.width, fact.height, fact.width / fact.height] for fact in facts]
    words = [(fact.file_format.value, fact.mode, fact.scale_rule.value) for fact in facts]
    kinds = [sorted({word[place] for word in words}) for place in range(3)]
    one_hot = [[float(word[place] == kind) for place in range(3) for kind in kinds[place]] for word in words]
    return np.hstack((np.array(numbers, dtype=np.float64), np.array(one_hot, dtype=np.float64)))


def measure_brightness(greys: Greys) -> Features:
    """Mean grey level of the whole picture and of its border (n, 2)."""
    cells = _pool(greys)
    return np.stack((cells.mean(axis=(1, 2)), cells[:, _is_border()].mean(axis=1)), axis=1)


def cut_out(greys: Greys, *, border: bool | None) -> Features:
    """Mean grey levels of the cells of the outer 15 % (True), of the rest (False), or of the whole picture (None)."""
    cells = _pool(greys)
    if border is None:
        return cells.reshape(len(cells), -1)
    return cells[:, _is_border() == border]


def predict_by_patient(
    features: Features, is_true: NDArray[np.bool_], groups: NDArray[np.str_], *, linear: bool, seed: int
) -> Features:
    """P(true) (n,) of each X-ray by a model that never saw its patient: cross-validated, stratified by class.

    `linear` takes logistic regression (many cells, few X-rays); else a small random forest, which also finds "exactly
    1024 pixels wide".
    """
    from sklearn.ensemble import RandomForestClassifier  # a third of a second: a training has it done elsewhere
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fewest = min(len(np.unique(groups[is_true == truth])) for truth in (True, False))
    folds = StratifiedGroupKFold(min(_FOLDS, fewest), shuffle=True, random_state=seed)
    scores = np.full(len(is_true), 0.5)
    with one_thread():
        for learn, judge in folds.split(features, is_true, groups):
            if is_true[learn].all() or not is_true[learn].any():
                continue
            model = (
                make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
                if linear
                else RandomForestClassifier(50, min_samples_leaf=3, max_features=None, random_state=seed)
            )
            scores[judge] = model.fit(features[learn], is_true[learn]).predict_proba(features[judge])[:, 1]
    return scores


def _pool(greys: Greys) -> Features:
    size = (_CELLS, _CELLS)
    pooled = [np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX)) for grey in greys[:]]
    return np.stack(pooled).astype(np.float64)


def _is_border() -> NDArray[np.bool_]:
    is_border = np.ones((_CELLS, _CELLS), dtype=np.bool_)
    is_border[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = False
    return is_border


Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating]]


def score(images: AuditImages, predict: Predict, greys: Greys) -> Cohort:
    scores = np.concatenate([predict(greys[start : start + 64]) for start in range(0, len(greys), 64)])
    return make_images_cohort(images, scores.astype(np.float64))


def make_images_cohort(images: AuditImages, scores: NDArray[np.float64]) -> Cohort:
    """The X-rays as a model's scores P(covid) (n,) of them are evaluated."""
    return make_cohort(scores, images.is_covid.tolist(), images.groups.tolist())


def paint_centre(greys: Greys) -> NDArray[np.uint8]:
    """All but the outer 15 % replaced by the median grey of that border."""
    painted = greys[:].copy()
    top, left = _margins(painted)
    for grey, fill in zip(painted, _border_median(painted), strict=True):
        grey[top:-top, left:-left] = fill
    return painted


def paint_corners(greys: Greys) -> NDArray[np.uint8]:
    """The four corners, 15 % of each side, replaced by the median grey of the border."""
    painted = greys[:].copy()
    top, left = _margins(painted)
    for grey, fill in zip(painted, _border_median(painted), strict=True):
        grey[:top, :left] = grey[:top, -left:] = grey[-top:, :left] = grey[-top:, -left:] = fill
    return painted


def _border_median(greys: NDArray[np.uint8]) -> NDArray[np.uint8]:
    top, left = _margins(greys)
    is_border = np.ones(greys.shape[1:], dtype=np.bool_)
    is_border[top:-top, left:-left] = False
    medians: NDArray[np.uint8] = np.median(greys[:, is_border], axis=1).astype(np.uint8)
    return medians


def _margins(greys: NDArray[np.uint8]) -> tuple[int, int]:
    return max(1, round(0.15 * greys.shape[1])), max(1, round(0.15 * greys.shape[2]))


def choose(groups: NDArray[np.str_], most: int, seed: int) -> NDArray[np.bool_]:
    """Patients by chance until there are `most` X-rays; `groups` (n,) says whose each is."""
    patients = np.random.default_rng(seed).permutation(np.unique(groups))
    places = np.argsort(patients)[np.searchsorted(np.sort(patients), groups)]
    chosen: NDArray[np.bool_] = places <= np.sort(places)[min(most, len(places)) - 1]
    return chosen
