"""What the team says of its study: `study.toml` of the home."""

from __future__ import annotations

from flows.settings import Settings
from xray_core.report.study import STUDY_FILE, Study, parse_study


def read_study(settings: Settings) -> Study:
    """The home's study, one that says nothing where there is no file. Raises RefusedInput for a file with a mistake."""
    path = settings.home / STUDY_FILE
    return parse_study(path.read_bytes()) if path.is_file() else Study()
