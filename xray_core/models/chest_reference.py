"""What a chest film looks like to a model: statistics of its training X-rays, and how far another picture is from them.

A network gives a photograph, a tibia or a negative a probability like any other; this says that it should not have.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_core.errors import IncompatibleModel
from xray_core.models.records import REFERENCE_FILE, Oddity

FEWEST_XRAYS: Final = 40  # of the training side; fewer describe no chest film
MOST_XRAYS: Final = 1500  # of a side; more describe it no better

_SIDE = 24  # a film is compared at 24 x 24: lungs, heart, shoulders, and nothing of one patient
_COMPONENTS = 20
_FOLDS = 5
_QUANTILE = 0.98
_TURNED_BY = 1.1  # so many times nearer to a chest film another way up: chance alone turns 1 in 100 films round
_WAYS_UP = {1: "clockwise by 90", 2: "by 180", 3: "anticlockwise by 90"}  # np.rot90 turns anticlockwise
_TEXTURES = 8
_AT_A_TIME = 256

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChestReference:
    """The statistics of a model's training X-rays, all float64.

    `mean` (576,) is their mean thumbnail, `axes` (k, 576) the directions in which they differ most, `spread` (k,)
    their standard deviations along these, `rest` their usual distance from what the axes can draw, `middle` and
    `width` (8,) the usual brightness and texture figures. `limit` is the largest distance that still is a chest film.
    """

    mean: _Numbers
    axes: _Numbers
    spread: _Numbers
    rest: _Numbers
    middle: _Numbers
    width: _Numbers
    limit: _Numbers

    def find_oddities(self, greys: NDArray[np.uint8]) -> list[Oddity]:
        """How far each fitted X-ray (n, height, width) uint8 is from a chest film, and why that is too far, if it is.

        The distance is about 1 for an ordinary chest film and has no unit. A negative, and a film on its side or its
        head, are told by being nearer to a chest film the other way round. Measured on 240 real films of 171 patients,
        five times with other patients to learn from: 2.4 % of upright films are called odd, 99 % of turned ones, all
        negatives, all photographs. A mirrored film cannot be told: the heart's side is within what films differ by
        (of 100 mirrored films 32 would be found where 1 upright one is blamed).
        """
        if not len(greys):
            return []
        thumbnails, textures = _look_at(greys)
        distances = self.measure(thumbnails, textures)
        likeness = thumbnails @ self.mean
        inverted = self.measure(-thumbnails, _invert_texture(textures))
        turned = np.stack([self.measure(*_turn(thumbnails, textures, -quarters)) for quarters in _WAYS_UP], axis=1)
        return [
            Oddity(
                float(distances[place]),
                _explain(
                    float(distances[place]),
                    float(self.limit),
                    inverted=float(inverted[place]) if likeness[place] < 0 else np.inf,
                    turned=dict(zip(_WAYS_UP, turned[place].tolist(), strict=True)),
                ),
            )
            for place in range(len(greys))
        ]

    def measure(self, thumbnails: _Numbers, textures: _Numbers) -> _Numbers:
        """The root of the mean of three squares: along the axes, off the axes, and in brightness and texture."""
        centred = thumbnails - self.mean
        along = centred @ self.axes.T
        off = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        parts = (
            ((along / self.spread) ** 2).mean(axis=1),
            off / self.rest,
            (((textures - self.middle) / self.width) ** 2).mean(axis=1),
        )
        distances: _Numbers = np.sqrt(np.mean(parts, axis=0))
        return distances


def learn_reference(
    training: NDArray[np.uint8], groups: Sequence[str], validation: NDArray[np.uint8]
) -> ChestReference | None:
    """Learn what a chest film is from fitted X-rays (n, height, width) uint8 of the training side; None where too few.

    The limit is the 98th percentile of the distances of X-rays that the statistics have not seen: those of the
    validation side, and those of the training side cross-validated by patient (`groups`, one entry per X-ray).
    The test side is not looked at: it judges. Of a side with more than MOST_XRAYS so many are enough: `choose_films`.
    """
    if len(training) < FEWEST_XRAYS or len(set(groups)) < _FOLDS:
        return None
    seen = _look_at(training)
    whole = _describe(*seen, limit=np.inf)
    patients = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)[1]
    folds = np.random.default_rng(0).permutation(int(patients.max()) + 1)[patients] % _FOLDS
    unseen = []
    for fold in range(_FOLDS):
        others, those = ([part[chosen] for part in seen] for chosen in (folds != fold, folds == fold))
        unseen.append(_describe(*others, limit=np.inf).measure(*those))
    if len(validation):
        unseen.append(whole.measure(*_look_at(validation)))
    return replace(whole, limit=np.asarray(float(np.quantile(np.concatenate(unseen), _QUANTILE))))


def dump_reference(reference: ChestReference) -> bytes:
    """The statistics as the bytes of an .npz file; `read_reference` gives back equal ones."""
    file = io.BytesIO()
    np.savez(file, **{field.name: getattr(reference, field.name) for field in fields(ChestReference)})
    return file.getvalue()


def read_reference(content: bytes) -> ChestReference:
    """Read what `dump_reference` wrote. Raises IncompatibleModel on anything else."""
    names = [field.name for field in fields(ChestReference)]
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            found = {name: np.asarray(stored[name], dtype=np.float64) for name in names}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise IncompatibleModel(f"{REFERENCE_FILE} is damaged; expected the statistics {', '.join(names)}") from error
    cells, count = _SIDE * _SIDE, len(found["axes"])
    shapes = {"mean": (cells,), "axes": (count, cells), "spread": (count,), "rest": (), "limit": ()}
    shapes |= {"middle": (_TEXTURES,), "width": (_TEXTURES,)}
    if any(found[name].shape != shapes[name] or not np.isfinite(found[name]).all() for name in names):
        raise IncompatibleModel(f"{REFERENCE_FILE} holds statistics of other shapes, or no numbers")
    return ChestReference(**found)


def _look_at(greys: NDArray[np.uint8]) -> tuple[_Numbers, _Numbers]:
    """Thumbnails and textures of films, some at a time: as floats they take ten times the memory."""
    parts = []
    for start in range(0, len(greys), _AT_A_TIME):
        some = greys[start : start + _AT_A_TIME]
        thumbnails = _draw_thumbnails(some)
        parts.append((thumbnails, _measure_texture(some, thumbnails)))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _describe(thumbnails: _Numbers, textures: _Numbers, *, limit: float) -> ChestReference:
    """The statistics of films, by medians and robust scales: one odd film among them changes little."""
    mean = np.median(thumbnails, axis=0)
    centred = thumbnails - mean
    axes = np.linalg.svd(centred, full_matrices=False)[2][:_COMPONENTS]
    along = centred @ axes.T
    off = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0)
    middle = np.median(textures, axis=0)
    return ChestReference(
        mean=mean,
        axes=axes,
        spread=_scale(along),
        rest=np.asarray(max(float(np.median(off)), 1e-9)),
        middle=middle,
        width=_scale(textures - middle),
        limit=np.asarray(limit),
    )


def _scale(deviations: _Numbers) -> _Numbers:
    """A standard deviation of columns: the mean of the robust one (1.4826 MAD) and the plain one, never zero."""
    robust = 1.4826 * np.median(np.abs(deviations), axis=0)
    scale: _Numbers = np.maximum((robust + np.sqrt((deviations**2).mean(axis=0))) / 2, 1e-6)
    return scale


def _draw_thumbnails(greys: NDArray[np.uint8]) -> _Numbers:
    """Mean grey levels (n, 576) of cells, each film with mean 0 and length 1: exposure and contrast do not count."""
    size = (_SIDE, _SIDE)
    small = np.stack([np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX)) for grey in greys])
    flat = small.reshape(len(small), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    thumbnails: _Numbers = flat / np.maximum(length, 1e-9)
    return thumbnails


def _measure_texture(greys: NDArray[np.uint8], thumbnails: _Numbers) -> _Numbers:
    """Brightness and texture (n, 8): quantiles of the grey levels, detail at three scales, left-right likeness."""
    values = greys.astype(np.float32)
    flat = values.reshape(len(values), -1)
    low, middle, high = np.quantile(flat[:, ::7], (0.05, 0.5, 0.95), axis=1)
    contrast = np.maximum(flat.std(axis=1), 1.0)
    details = []
    for step in (1, 4, 12):  # every third row and column say the same as all of them
        across = np.abs(values[:, ::3, step:] - values[:, ::3, :-step]).mean(axis=(1, 2))
        down = np.abs(values[:, step:, ::3] - values[:, :-step, ::3]).mean(axis=(1, 2))
        details.append(np.log(((across + down) / 2 + 0.5) / contrast))
    mirrored = _liken_halves(thumbnails.reshape(-1, _SIDE, _SIDE))
    columns = (low / 255, middle / 255, high / 255, np.log(contrast), *details, mirrored)
    return np.stack(columns, axis=1).astype(np.float64)


def _invert_texture(textures: _Numbers) -> _Numbers:
    """The figures of the negative of the same picture: dark and bright change places, the rest stays."""
    inverted = textures.copy()
    inverted[:, :3] = 1 - textures[:, 2::-1]
    return inverted


def _turn(thumbnails: _Numbers, textures: _Numbers, quarters: int) -> tuple[_Numbers, _Numbers]:
    """The same pictures turned anticlockwise by quarters; of the textures only the left-right likeness changes."""
    turned = np.rot90(thumbnails.reshape(-1, _SIDE, _SIDE), quarters, axes=(1, 2))
    return turned.reshape(thumbnails.shape), np.column_stack((textures[:, :-1], _liken_halves(turned)))


def _liken_halves(pictures: _Numbers) -> _Numbers:
    likeness: _Numbers = (pictures * pictures[:, :, ::-1]).sum(axis=(1, 2))
    return likeness


def _explain(distance: float, limit: float, *, inverted: float, turned: dict[int, float]) -> str | None:
    """Why a picture is no chest film, in words that go into the result, or None.

    `inverted` and `turned` (by quarters) are its distances as a negative and turned back.
    """
    if inverted < distance and inverted <= limit:
        return (
            f"looks like a negative: inverted it is as near to a chest X-ray as {inverted:.2f} (limit {limit:.2f}), "
            f"as it is {distance:.2f}"
        )
    way = min(turned, key=lambda quarters: turned[quarters])
    if turned[way] * _TURNED_BY < distance and turned[way] <= limit:
        return (
            f"looks turned: turned {_WAYS_UP[way]} degrees it is as near to a chest X-ray as {turned[way]:.2f} "
            f"(limit {limit:.2f}), as it is {distance:.2f}"
        )
    if distance > limit:
        return f"is unlike the chest X-rays that the model was trained on: distance {distance:.2f}, limit {limit:.2f}"
    return None
