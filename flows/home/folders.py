"""The data home: its folders and its free space."""

from __future__ import annotations

import os
import secrets
import shutil

from flows.home.secret_file import create_secret
from flows.settings import Settings
from xray_core.errors import LowDisk


def open_home(settings: Settings) -> None:
    """Create what is missing of the home: private folders and its own name. Existing folders keep their modes."""
    os.umask(0o077)
    folders = (
        settings.home,
        settings.incoming_dir,
        settings.labels_dir,
        settings.exports_dir,
        settings.models_dir,
    )
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (settings.home / "run").mkdir(mode=0o700, exist_ok=True)
    create_secret(settings.home / "home.id", secrets.token_hex(8))


def check_free_space(settings: Settings) -> None:
    """Raise LowDisk while the home's disk has less free space than the watermark, before anything is written."""
    free_mib = shutil.disk_usage(settings.home).free // 2**20
    if free_mib < settings.min_free_mib:
        raise LowDisk(
            f"{free_mib} MiB free on the disk of {settings.home}; intake pauses below {settings.min_free_mib} MiB "
            "(XRAY_MIN_FREE_MIB): free some space, nothing was lost"
        )
