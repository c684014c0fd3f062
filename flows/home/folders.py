"""The data home: its folders and its free space."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from flows.home.damage import refuse_lost_file
from flows.settings import Settings
from xray_core.errors import LowDisk, NoHome, RefusedInput
from xray_core.exchange.atomic_file import UNFINISHED, remove_asides, write_once


def open_home(settings: Settings) -> None:
    """Create what is missing of the home: private folders and its own name. Existing folders keep their modes.

    A folder that the settings name elsewhere must be there: it is never made.
    """
    os.umask(0o077)
    for folder in (settings.home, *([] if settings.incoming else [settings.incoming_dir])):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_own_folders(settings)
    write_once(settings.home / "home.id", f"{secrets.token_hex(8)}\n".encode())


def enter_home(settings: Settings) -> None:
    """Go into a home to write in it; raises NoHome where there is none, RefusedInput for who may only look."""
    view_home(settings)
    key = settings.home / "site.key"
    if not os.access(settings.home, os.W_OK | os.X_OK) or (key.exists() and not os.access(key, os.R_OK)):
        raise RefusedInput(
            f"{settings.home}: this user may look (`xray status`, `xray why`, `xray models list`) and not work in it; "
            "this command is for its owner"
        )
    _make_own_folders(settings)


def view_home(settings: Settings) -> None:
    """Look into a home, whoever may only read it; raises NoHome where there is none."""
    os.umask(0o077)
    refuse_lost_file(settings)
    marks = ("xray.db",) if settings.database_url is None else ("site.key", "home.id")
    if not any((settings.home / mark).exists() for mark in marks):
        raise NoHome(
            f"no home at {settings.home}: `xray init` makes one there; XRAY_HOME says where else to look", public=False
        )


def _make_own_folders(settings: Settings) -> None:
    for folder in (settings.labels_dir, settings.exports_dir, settings.models_dir, settings.home / "run"):
        folder.mkdir(mode=0o700, exist_ok=True)


def tidy_home(settings: Settings) -> None:
    """Remove what killed processes left half written a day ago or earlier: models, exports, films, problems, lists."""
    if any(path.name.startswith(".") for path in settings.models_dir.iterdir()):
        from xray_core.models.folder import remove_unfinished  # a scan that finds nothing need not import it

        remove_unfinished(settings.models_dir)
    for folder in folders_of_asides(settings):
        remove_asides(folder)


def folders_of_asides(settings: Settings) -> list[Path]:
    """The folders in which files are written under a name of their own until they are whole."""
    archived = [settings.archive_folder / UNFINISHED] if settings.archive_folder else []
    own = (settings.home, settings.home / "run")
    folders = (
        *own,
        settings.exports_dir,
        settings.models_dir,
        settings.greys_dir,
        settings.labels_dir / "refused",
        *archived,
    )
    return [folder for folder in folders if folder.is_dir()]


def refuse_output(settings: Settings, path: Path, *, option: str = "--out") -> None:
    """Raise RefusedInput as `refuse_place` does, and for a file that is there: it may be somebody's only copy."""
    refuse_place(settings, path, option=option)
    if path.exists():
        raise RefusedInput(
            f"{option}: received {path}, which is there already and is never overwritten; expected a new file: move it "
            "away, or give another name"
        )


def refuse_place(settings: Settings, path: Path, *, option: str = "--out") -> None:
    """Raise RefusedInput where a person must not, or cannot, have a file written: a device, a folder, our own files."""
    folder = path.absolute().parent
    if path.is_dir():
        raise RefusedInput(f"{option}: received {path}, which is a folder; expected a file, as {path / 'results.csv'}")
    if os.path.lexists(path) and not path.is_file():  # a link to nothing too
        raise RefusedInput(f"{option}: received {path}, which is no file that can be replaced; expected a new file")
    if not folder.is_dir():
        raise RefusedInput(
            f"{option}: received {path}, and {folder} is no folder; expected a file in one that is there"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RefusedInput(f"{option}: received {path}, and this user may not write into {folder}")
    if kept_in := _find_kept(settings, folder):
        raise RefusedInput(
            f"{option}: received {path}, which lies among what the service keeps in {kept_in}; expected a file in "
            f"{settings.exports_dir}, or elsewhere"
        )


def refuse_folder(settings: Settings, folder: Path, *, option: str) -> None:
    """Raise RefusedInput for a folder to write that has files, or lies where a person must not, or cannot, have it."""
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise RefusedInput(f"{option}: received {folder}, where something is already; expected a new or empty folder")
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise RefusedInput(f"{option}: received {folder}, and {there} is no folder; expected a new folder in one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RefusedInput(f"{option}: received {folder}, and this user may not write into {there}")
    if kept_in := _find_kept(settings, folder):
        raise RefusedInput(
            f"{option}: received {folder}, which lies among what the service keeps in {kept_in}; expected a folder in "
            f"{settings.exports_dir}, or elsewhere"
        )


def _find_kept(settings: Settings, folder: Path) -> Path | None:
    """Which place of the service a folder lies in; None in none of them, and in `exports`, which is for people."""
    incoming = [] if settings.incoming_bucket else [settings.incoming_dir]
    ours = [settings.home, *incoming, *filter(None, [settings.archive_folder])]
    if folder.resolve().is_relative_to(settings.exports_dir.resolve()):
        return None
    return next((place for place in ours if folder.resolve().is_relative_to(place.resolve())), None)


def check_free_space(settings: Settings) -> None:
    """Raise LowDisk while the home's disk has less free space than the watermark, before anything is written."""
    free_mib = shutil.disk_usage(settings.home).free // 2**20
    if free_mib < settings.min_free_mib:
        raise LowDisk(
            f"{free_mib} MiB free on the disk of {settings.home}; intake pauses below {settings.min_free_mib} MiB "
            "(XRAY_MIN_FREE_MIB): free some space, nothing was lost"
        )
