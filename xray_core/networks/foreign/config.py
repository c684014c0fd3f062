"""The configuration of a `.keras` file from elsewhere, rewritten so that it holds what scores and nothing else.

Pure: a configuration (the JSON of config.json) goes in, another one comes out, before Keras sees either. The
file itself is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

# They act in training alone; in an export they leave operations that no runtime knows (keras-team/keras#21346).
_TRAINING_ONLY: Final = frozenset(
    (
        *("ActivityRegularization", "AlphaDropout", "AugMix", "CutMix", "Dropout", "GaussianDropout", "GaussianNoise"),
        *("MixUp", "RandAugment", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    )
)
_HALF_PRECISION: Final = frozenset({"mixed_float16", "mixed_bfloat16", "float16", "bfloat16"})
_KERAS_2_HOMES: Final = {
    "keras.src.engine.functional": "keras.src.models.functional",
    "keras.src.engine.sequential": "keras.src.models.sequential",
    "keras.engine.functional": "keras.src.models.functional",
    "keras.engine.sequential": "keras.src.models.sequential",
    "keras.src.engine.training": "keras.src.models.model",
}


@dataclass(frozen=True, slots=True)
class MendedConfig:
    """The configuration to load, what was changed in it as sentences, and whether it computed in half precision."""

    config: dict[str, Any]
    notes: tuple[str, ...]
    half_precision: str | None


def mend_config(config: dict[str, Any], *, keep_precision: bool = False) -> MendedConfig:
    """Rewrite a configuration for scoring.

    * Layers that act in training alone become identities, also where a call asked for training.
    * Half precision becomes float32 (keras-team/keras#20710: an export needs it) unless `keep_precision`.
    * A fixed batch becomes any batch.
    * Constants become part of the graph; else the export makes a second input of them.
    * Keras 2 homes of the two model classes become those of Keras 3.
    """
    changes = _Changes(_read_fixed_batch(config), keep_precision=keep_precision)
    mended: dict[str, Any] = changes.mend(config)
    notes = []
    if changes.removed:
        notes.append(f"left out for scoring, for it acts in training alone: {', '.join(sorted(changes.removed))}")
    if changes.half_precision:
        notes.append(f"computes in float32 here; it was trained in {changes.half_precision}")
    if changes.batch is not None:
        notes.append(f"its fixed batch of {changes.batch} was opened: it scores any number of X-rays")
    return MendedConfig(mended, tuple(notes), changes.half_precision)


class _Changes:
    """One walk through a configuration, and what it changed."""

    def __init__(self, batch: int | None, *, keep_precision: bool) -> None:
        self.batch = batch
        self._half = frozenset() if keep_precision else _HALF_PRECISION
        self.removed: set[str] = set()
        self.half_precision: str | None = None

    def mend(self, part: Any, key: str = "") -> Any:
        if isinstance(part, dict):
            return self._mend_object(part)
        if isinstance(part, list):
            if key in ("batch_shape", "batch_input_shape", "input_shape", "shape") and self._has_fixed_batch(part):
                return [None, *part[1:]]
            return [self.mend(each) for each in part]
        if key == "dtype" and isinstance(part, str) and part in self._half:
            self.half_precision = self.half_precision or part
            return "float32"
        return part

    def _mend_object(self, part: dict[str, Any]) -> dict[str, Any]:
        name = part.get("class_name")
        if name == "__tensor__":
            part = part | {"class_name": "__numpy__"}
        if name == "DTypePolicy" and (policy := part.get("config", {}).get("name")) in self._half:
            self.half_precision = self.half_precision or policy
            part = part | {"config": {"name": "float32"}}
        if part.get("module") in _KERAS_2_HOMES:
            part = part | {"module": _KERAS_2_HOMES[part["module"]]}
        if isinstance(name, str) and part.get("module") in ("keras.layers", None) and _acts_in_training_alone(name):
            self.removed.add(name)
            part = _to_identity(part)
        mended = {key: self.mend(value, key) for key, value in part.items()}
        if "kwargs" in mended and isinstance(mended["kwargs"], dict):
            mended["kwargs"] = {key: value for key, value in mended["kwargs"].items() if key != "training"}
        return mended

    def _has_fixed_batch(self, shape: list[Any]) -> bool:
        return self.batch is not None and len(shape) > 1 and shape[0] == self.batch


def _acts_in_training_alone(class_name: str) -> bool:
    # RandomCrop crops the centre when it scores.
    return class_name in _TRAINING_ONLY or (class_name.startswith("Random") and class_name != "RandomCrop")


def _to_identity(layer: dict[str, Any]) -> dict[str, Any]:
    config = layer.get("config", {})
    kept = {key: config[key] for key in ("name", "trainable", "dtype", "batch_input_shape") if key in config}
    return layer | {"module": "keras.layers", "class_name": "Identity", "config": kept}


def _read_fixed_batch(config: Any) -> int | None:
    """The first batch size that an input layer fixes."""
    if isinstance(config, dict):
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        if isinstance(shape, list) and shape and isinstance(shape[0], int):
            return shape[0]
        parts = list(config.values())
    elif isinstance(config, list):
        parts = config
    else:
        return None
    return next((batch for part in parts if (batch := _read_fixed_batch(part)) is not None), None)
