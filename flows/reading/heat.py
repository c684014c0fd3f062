"""Heat maps for the films whose score will be shown: drawn beside the server, and nowhere written."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.records import ModelRecord
from flows.registry.registered import verify_registered
from flows.settings import Settings
from xray_core.imaging.records import Remedy
from xray_core.models.folder import KERAS_FILE
from xray_core.models.records import ModelManifest
from xray_core.processes.decoding import Decoded
from xray_core.processes.helper_process import BackgroundCall, HelperProcess
from xray_core.processes.reading import decode_paths
from xray_core.stores.film import FilmPlace

Maps = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HeatMaps:
    """Maps that are being drawn, each at its film's place in `xray_ids`; none where there is nothing to draw."""

    xray_ids: tuple[int, ...] = ()
    call: BackgroundCall[Maps] | None = field(default=None)

    def is_drawing(self, xray_id: int) -> bool:
        """Whether a film's map is yet to come."""
        return self.call is not None and xray_id in self.xray_ids and not self.call.done.done()

    def find(self, xray_id: int) -> dict[str, Any] | None:
        """A film's map as the page takes it; None while it is not drawn, or where it cannot be."""
        if self.call is None or xray_id not in self.xray_ids or not self.call.done.done():
            return None
        if self.call.done.exception() is not None:
            return None  # a map is an extra: whatever became of it, the verdict is saved and the score is shown
        heat = self.call.done.result()[self.xray_ids.index(xray_id)]
        height, width = heat.shape
        levels = np.rint(heat * 255).astype(np.uint8).tobytes()
        return {"width": width, "height": height, "heat": base64.b64encode(levels).decode("ascii")}


def begin_heat_maps(
    settings: Settings, helper: HelperProcess, model: ModelRecord | None, films: Mapping[int, FilmPlace]
) -> HeatMaps:
    """Have the maps of these films (X-ray id to place) drawn for this model, where it is a Keras network of our own."""
    if model is None or not films:
        return HeatMaps()
    manifest = verify_registered(settings, model)
    if manifest.source_file != KERAS_FILE or Remedy.LUNG_CROP in manifest.preprocessing.remedies:
        return HeatMaps()
    answers = decode_paths(settings.decoder_limits, films.items(), manifest.preprocessing)
    greys = {xray_id: answer.grey for xray_id, answer in answers if isinstance(answer, Decoded)}
    if not greys:
        return HeatMaps()
    folder = settings.models_dir / model.version
    return HeatMaps(tuple(greys), helper.begin(partial(draw_heat_maps, folder, manifest, np.stack([*greys.values()]))))


def draw_heat_maps(folder: Path, manifest: ModelManifest, grey: NDArray[np.uint8]) -> Maps:
    """What runs in the process: heat maps (n, height, width) in 0..1. Raises IncompatibleModel."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from xray_core.networks.heat_maps import grad_cam
    from xray_core.networks.keras_classifier import KerasClassifier, load_untrusted_keras

    network = load_untrusted_keras(folder / KERAS_FILE)
    return grad_cam(KerasClassifier(network, manifest.preprocessing, manifest.output), grey)
