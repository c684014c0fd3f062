"""A file with a secret that is made once and never changes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def create_secret(path: Path, secret: str) -> None:
    """Write a secret for this user alone, unless the file is there already.

    Written aside and linked into place: two processes that start together agree on one secret.
    """
    if path.exists():
        return
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
