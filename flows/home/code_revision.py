"""Which commit this code is."""

from __future__ import annotations

import subprocess

from flows.settings import CHECKOUT


def read_code_revision() -> str:
    """The commit that this code is, with `+changes` where files differ from it; `unknown` outside a checkout."""
    asked = ["git", "-C", str(CHECKOUT), "describe", "--always", "--abbrev=40", "--match=", "--dirty=+changes"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
