"""Where films lie: folders as the ledger records them, and from a film's folder and path to its file.

A home's own folders are where its settings say today, so that a home may move and a restored one reads its own films
only. In a ledger that homes share, each home's folder has a name of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from flows.settings import Settings
from xray_core.records import FilmPath, FolderKind, escape_name, unescape_name

_HOME_ID = "home.id"


def name_folder(settings: Settings, kind: FolderKind) -> str:
    """The place under which the ledger records this home's incoming or archive folder.

    Empty for the folders of the home that the ledger lies in. A folder inside a home carries that home's name, for two
    machines may each have a home at the same path; what lies outside every home may be shared by all.
    """
    if settings.database_url is None:
        return ""
    path = own_folder(settings, kind).resolve()
    home = settings.home.resolve() if path.is_relative_to(settings.home.resolve()) else path.parent
    if home == _find_ledger_folder(settings) and path.name == kind.value:
        return ""
    home_id = home / _HOME_ID
    return f"{home_id.read_text().strip()}:{_escape(path)}" if home_id.is_file() else _escape(path)


def _find_ledger_folder(settings: Settings) -> Path | None:
    """The folder of the database file, which is a home where the ledger is one's own; None on a server."""
    scheme, _, path = (settings.database_url or "").partition(":///")
    return Path(path).resolve().parent if scheme.startswith("sqlite") and path else None


def name_dataset(settings: Settings, root: Path) -> str:
    """The place under which the ledger records a dataset's folder; relative where it lies in the home."""
    inside = settings.database_url is None and root.is_relative_to(settings.home)
    return _escape(root.relative_to(settings.home) if inside else root)


def make_locator(settings: Settings) -> Callable[[FilmPath], bytes]:
    """A function from a film's recorded folder and path to the absolute path of its file."""
    roots: dict[int, bytes] = {}

    def locate(film: FilmPath) -> bytes:
        if film.folder_id not in roots:
            roots[film.folder_id] = os.fsencode(_find_root(settings, film))
        return os.path.join(roots[film.folder_id], unescape_name(film.path))

    return locate


def restored_dataset(settings: Settings, folder_id: int) -> Path:
    """Where a dataset's films lie in a home of their own: here first, where a person has put them back."""
    return settings.home / "datasets" / str(folder_id)


def _find_root(settings: Settings, film: FilmPath) -> Path:
    if film.kind is FolderKind.DATASET:
        restored = restored_dataset(settings, film.folder_id)
        return restored if restored.is_dir() else settings.home / _unescape(film.place)
    if film.place == name_folder(settings, film.kind):
        return own_folder(settings, film.kind)
    return _unescape(film.place.partition(":")[2] or film.place)


def own_folder(settings: Settings, kind: FolderKind) -> Path:
    """This home's incoming or archive folder, as its settings say today."""
    return settings.incoming_dir if kind is FolderKind.INCOMING else settings.archive_dir or settings.home / "archive"


def _escape(path: Path) -> str:
    return escape_name(os.fsencode(path))


def _unescape(place: str) -> Path:
    return Path(os.fsdecode(unescape_name(place)))
