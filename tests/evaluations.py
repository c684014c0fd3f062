"""What stands in a model's folder as JSON, read back as the values that were written."""

from __future__ import annotations

from pydantic import TypeAdapter

from xray_core.evaluation.evaluation import Evaluation
from xray_core.evaluation.shortcut_audit import ShortcutAudit


def read_evaluation(text: str) -> Evaluation:
    """An evaluation.json."""
    return TypeAdapter(Evaluation).validate_json(text)


def read_shortcut_audit(text: str) -> ShortcutAudit:
    """An audit.json."""
    return TypeAdapter(ShortcutAudit).validate_json(text)
