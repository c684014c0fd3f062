"""Where films lie: folders as the ledger records them, and from a film's folder and path to its file.

A home's own folders are where its settings say today, so that a home may move and a restored one reads its own films
only. In a ledger that homes share, each home's folder has a name of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from flows.settings import Settings
from xray_core.records import FilmPath, FolderKind, escape_name, unescape_name
from xray_core.stores.address import is_bucket
from xray_core.stores.bucket import Bucket, open_bucket
from xray_core.stores.film import BucketFilm, FilmPlace

_HOME_ID = "home.id"
_LONGEST_ENDING = 16


def name_folder(settings: Settings, kind: FolderKind) -> str:
    """The place under which the ledger records this home's incoming or archive folder.

    Empty for the folders of the home that the ledger lies in. A folder inside a home carries that home's name, for two
    machines may each have a home at the same path; what lies outside every home may be shared by all.
    """
    if (bucket := _own_bucket(settings, kind)) is not None:
        return escape_name(bucket.encode())
    if settings.database_url is None:
        return ""
    path = own_folder(settings, kind).resolve()
    home = settings.home.resolve() if path.is_relative_to(settings.home.resolve()) else path.parent
    if home == _find_ledger_folder(settings) and path.name == kind.value:
        return ""
    home_id = home / _HOME_ID
    return f"{home_id.read_text().strip()}:{_escape(path)}" if home_id.is_file() else _escape(path)


def name_own_folders(settings: Settings) -> dict[FolderKind, str]:
    """The places that a home's own ledger leaves unsaid, and another must hear; a bucket has one address in both."""
    kinds = (kind for kind in (FolderKind.INCOMING, FolderKind.ARCHIVE) if _own_bucket(settings, kind) is None)
    return {kind: name_folder(settings, kind) for kind in kinds}


def _find_ledger_folder(settings: Settings) -> Path | None:
    """The folder of the database file, which is a home where the ledger is one's own; None on a server."""
    scheme, _, path = (settings.database_url or "").partition(":///")
    return Path(path).resolve().parent if scheme.startswith("sqlite") and path else None


def name_dataset(settings: Settings, root: Path) -> str:
    """The place under which the ledger records a dataset's folder; relative where it lies in the home."""
    inside = settings.database_url is None and root.is_relative_to(settings.home)
    return _escape(root.relative_to(settings.home) if inside else root)


def make_locator(settings: Settings) -> Callable[[FilmPath], FilmPlace]:
    """A function from a film's recorded folder and path to its file's absolute path, or to its object in a bucket.

    Raises NoBucket where that is in a bucket, and the extra for buckets is not installed.
    """
    roots: dict[int, bytes | Bucket] = {}

    def locate(film: FilmPath) -> FilmPlace:
        if film.folder_id not in roots:
            roots[film.folder_id] = _find_root(settings, film)
        root, name = roots[film.folder_id], unescape_name(film.path)
        return os.path.join(root, name) if isinstance(root, bytes) else BucketFilm(root, name)

    return locate


def restored_dataset(settings: Settings, folder_id: int) -> Path:
    """Where a dataset's films lie in a home of their own: here first, where a person has put them back."""
    return settings.home / "datasets" / str(folder_id)


def list_places_on_the_way(settings: Settings, film: FilmPath, sha256: str) -> Iterator[FilmPlace]:
    """Where a film of the incoming folder may lie while a scan moves it, and until the ledger knows where it went."""
    if film.kind is not FolderKind.INCOMING:
        return
    name = unescape_name(film.path)
    if settings.archive_bucket is not None:
        archive_bucket = open_bucket(settings.archive_bucket)
        yield from (BucketFilm(archive_bucket, key) for key in list_archive_keys(name, sha256))
    archive = settings.archive_folder
    if archive is None or not archive.is_dir():
        return
    held = name_held(name, sha256)
    yield from map(os.fsencode, (archive / held, settings.incoming_dir / held))
    yield from map(os.fsencode, list_archive_names(archive, name, sha256))


def name_held(name: bytes, sha256: str) -> str:
    """The name that every scan gives to this film, and to no other, while it moves it; intake passes over it."""
    return f".archiving-{hashlib.blake2b(name + sha256.encode(), digest_size=16).hexdigest()}.part"


def list_archive_names(archive: Path, name: bytes, sha256: str) -> tuple[Path, Path]:
    """A film's place in the archive, and the one that it gets where another content has that name. Raises OSError."""
    own = os.fsdecode(name)
    return archive / fit_name(own, archive), archive / fit_name(f"{sha256[:16]}-{own}", archive)


def list_archive_keys(name: bytes, sha256: str) -> tuple[bytes, bytes]:
    """The same in a bucket: the film's key below the archive's prefix, and that where another content has it."""
    folder, slash, own = name.rpartition(b"/")
    return name, folder + slash + f"{sha256[:16]}-".encode() + own


def fit_name(name: str, folder: Path) -> str:
    """The name, or where it is too long for the folder's file system: cut, with its hash instead of what was cut.

    The ending stays. Names are as Python gives them, stray bytes as surrogates. Raises OSError.
    """
    longest, encoded = os.pathconf(folder, "PC_NAME_MAX"), os.fsencode(name)
    if len(encoded) <= longest:
        return name
    ending = os.fsencode(Path(name).suffix)
    ending = ending if len(ending) <= _LONGEST_ENDING else b""
    mark = b"-" + hashlib.sha256(encoded).hexdigest()[:16].encode() + ending
    cut = encoded[: longest - len(mark)]
    while cut and cut[-1] & 0xC0 == 0x80:
        cut = cut[:-1]  # never half of a character
    return os.fsdecode((cut[:-1] if cut and cut[-1] >= 0xC0 else cut) + mark)


def _find_root(settings: Settings, film: FilmPath) -> bytes | Bucket:
    place = unescape_name(film.place).decode(errors="surrogateescape")
    if film.kind is not FolderKind.DATASET and is_bucket(place):
        return open_bucket(place)
    return os.fsencode(_find_folder(settings, film))


def _find_folder(settings: Settings, film: FilmPath) -> Path:
    if film.kind is FolderKind.DATASET:
        restored = restored_dataset(settings, film.folder_id)
        return restored if restored.is_dir() else settings.home / _unescape(film.place)
    is_from_before_the_bucket = not film.place and _own_bucket(settings, film.kind) is not None
    if is_from_before_the_bucket or film.place == name_folder(settings, film.kind):
        return own_folder(settings, film.kind)
    return _unescape(film.place.partition(":")[2] or film.place)


def own_folder(settings: Settings, kind: FolderKind) -> Path:
    """This home's incoming or archive folder, as its settings say today; the home's own where that is a bucket."""
    is_incoming = kind is FolderKind.INCOMING
    if is_incoming and settings.incoming_bucket is None:
        return settings.incoming_dir
    return (None if is_incoming else settings.archive_folder) or settings.home / kind.value


def _own_bucket(settings: Settings, kind: FolderKind) -> str | None:
    return settings.incoming_bucket if kind is FolderKind.INCOMING else settings.archive_bucket


def _escape(path: Path) -> str:
    return escape_name(os.fsencode(path))


def _unescape(place: str) -> Path:
    return Path(os.fsdecode(unescape_name(place)))
