"""The pages as text: one template each, the same for the server and for a folder that is taken elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from xray_core.records import RESEARCH_USE

PARTS = Path(__file__).parent / "page"

# Own scripts, style and pictures, and nothing else in the world; no frame, no form, no base.
SERVED_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def render(template: str, **values: Any) -> str:
    """A page as HTML; every value is escaped, and one that is missing is an error."""
    environment = Environment(
        loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(research_use=RESEARCH_USE, **values)
