"""The real X-rays that some tests read: the folder that XRAY_TEST_FILMS names, or ../shared/xrays beside the checkout.

Tests that read it carry the mark `films`. Where the folder is not there they are skipped, and pytest's summary says
how many.
"""

from __future__ import annotations

import os
from pathlib import Path

FILMS = Path(os.environ.get("XRAY_TEST_FILMS") or Path(__file__).parents[1] / "../shared/xrays").resolve()
MISSING = f"the real X-rays are not at {FILMS} (XRAY_TEST_FILMS)"
