"""A registered model is what was registered: thresholds and references are found out when they are altered."""

from __future__ import annotations

import json

import pytest

from flows.operations.verification import find_breach
from flows.settings import Settings
from tests.flows.evidence_home import champion, deliver, scan
from xray_core.errors import ModelAltered
from xray_core.models.folder import MANIFEST_FILE


def test_an_altered_threshold_is_found_at_load_and_by_verify(trained: Settings) -> None:
    deliver(trained, per_class=1)
    path = trained.models_dir / champion(trained).version / MANIFEST_FILE
    manifest = json.loads(path.read_bytes())
    manifest["operating_point"]["upper"] = 1.0
    path.chmod(0o600)
    path.write_text(json.dumps(manifest))

    with pytest.raises(ModelAltered, match=r"model\.json has sha256"):
        scan(trained)

    assert "model.json" in (find_breach(trained)[0] or "")


def test_an_altered_reference_is_found_at_load(trained: Settings) -> None:
    deliver(trained, per_class=1)
    path = trained.models_dir / champion(trained).version / "chest_reference.npz"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    with pytest.raises(ModelAltered, match=r"chest_reference\.npz"):
        scan(trained)
