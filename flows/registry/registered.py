"""A registered model, opened for scoring: its folder's bytes are the ones that the registry knows."""

from __future__ import annotations

from db.records import ModelRecord
from flows.settings import Settings
from xray_core.models.open_model import OpenModel, open_model, verify_model_folder
from xray_core.models.records import ModelManifest


def open_registered(settings: Settings, model: ModelRecord) -> OpenModel:
    """Load the model for scoring. Raises ModelAltered when anything in its folder is not what was registered."""
    return open_model(
        settings.models_dir / model.version,
        expected_onnx_sha256=model.onnx_sha256,
        expected_manifest_sha256=model.manifest_sha256,
    )


def verify_registered(settings: Settings, model: ModelRecord) -> ModelManifest:
    """Check every byte of the model's folder against the registry. Raises ModelAltered."""
    return verify_model_folder(
        settings.models_dir / model.version,
        expected_onnx_sha256=model.onnx_sha256,
        expected_keras_sha256=model.keras_sha256,
        expected_manifest_sha256=model.manifest_sha256,
    )
