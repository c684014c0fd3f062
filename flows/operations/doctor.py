"""Is this machine and this home fit for the service? Each finding that is not comes with its fix."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db.engine import check_schema, open_engine, show_url
from flows.home.api_login import LOGIN_FILE
from flows.home.damage import find_damage, refuse_absent_database, refuse_lost_ledger
from flows.home.mounts import find_file_system
from flows.operations.dependencies import examine_dependencies
from flows.operations.growth import say_growth
from flows.operations.history import find_history, measure_history
from flows.operations.schedule import ask_page, read_schedule
from flows.registry.policy import find_mistakes
from flows.settings import Settings, describe_sources
from xray_core.errors import NoHome, PersonNeeded, RefusedInput
from xray_core.stores.bucket import examine_buckets

# Ninety days of a run a minute at 30 kB each would be 3.7 GiB; nobody's do all find something.
_MUCH_HISTORY_MIB = 2048


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One thing that was looked at; `fix` says what to do, or is None when all is well."""

    what: str
    fix: str | None = None


def examine(settings: Settings, *, mounts: Path = Path("/proc/mounts")) -> list[HealthCheck]:
    """Look at everything; changes nothing, and works where there is no home yet.

    `mounts` is the system's list of mounted file systems; where there is none, nobody tells of network shares.
    """
    return [
        *_check_python(),
        *(HealthCheck(*found) for found in examine_dependencies()),
        *_check_environment(),
        *_check_home(settings),
        *_check_files(settings),
        *_check_written(settings),
        *_check_disk(settings, mounts),
        *_check_database(settings),
        *_check_history(settings),
        *_check_buckets(settings),
        *_check_page(settings),
    ]


def _check_python() -> Iterator[HealthCheck]:
    found = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield HealthCheck(
        f"Python {found}", None if fits else "use Python 3.11, 3.12 or 3.13: make clean install PYTHON=python3.12"
    )


def _check_environment() -> Iterator[HealthCheck]:
    yield HealthCheck(describe_sources())
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        yield HealthCheck(
            "PYTHONDONTWRITEBYTECODE is set: every scheduled run starts two to three times slower",
            "unset PYTHONDONTWRITEBYTECODE",
        )
    if os.environ.get("PREFECT_SERVER_ANALYTICS_ENABLED", "").lower() in ("1", "true"):
        yield HealthCheck("Prefect's analytics are switched on", "unset PREFECT_SERVER_ANALYTICS_ENABLED")
    if os.environ.get("DO_NOT_TRACK", "1").lower() in ("0", "false", ""):
        yield HealthCheck("DO_NOT_TRACK is off: Prefect's client may tell others of its use", "unset DO_NOT_TRACK")


def _check_home(settings: Settings) -> Iterator[HealthCheck]:
    if not settings.home.is_dir():
        yield HealthCheck(f"no home yet at {settings.home}; `xray init` makes it")
        return
    for path, mode, closed in _list_private(settings):
        if path.exists():
            found = stat.S_IMODE(path.stat().st_mode)
            yield HealthCheck(f"{path} has mode {found:o}", f"chmod {mode:o} {path}" if found & closed else None)
    if not (settings.home / "site.key").exists():
        yield HealthCheck("the site key is missing", "restore site.key from a backup: patients' pseudonyms hang on it")


def _list_private(settings: Settings) -> Iterator[tuple[Path, int, int]]:
    """Our folders and files, the mode that each should have, and what of any mode is too open."""
    for folder in _list_private_folders(settings):
        yield folder, 0o700, 0o077
    for name in ("site.key", LOGIN_FILE):
        yield settings.home / name, 0o600, 0o077
    # Whom the owner lets look may read these by their group (docs/second-person.md).
    incoming = () if settings.incoming_bucket else (settings.incoming_dir,)
    for folder in (settings.home, *incoming, settings.models_dir):
        yield folder, 0o700, 0o027
    for name in (".env", "xray.db", "xray.db-wal", "xray.db-shm", "xray.db-journal"):
        yield settings.home / name, 0o600, 0o027


def _list_private_folders(settings: Settings) -> tuple[Path, ...]:
    return tuple(settings.home / name for name in ("labels", "exports", "greys", "run", "prefect"))


def _check_files(settings: Settings) -> Iterator[HealthCheck]:
    """What lies in our folders, but for the X-rays: their modes are the senders' business."""
    for folder, closed in (*((one, 0o077) for one in _list_private_folders(settings)), (settings.models_dir, 0o027)):
        files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        open_to_others = sum(bool(path.stat().st_mode & closed) for path in files)
        if open_to_others:
            yield HealthCheck(f"{open_to_others} files below {folder} can be read by others", f"chmod -R go= {folder}")


def _check_written(settings: Settings) -> Iterator[HealthCheck]:
    """Policy, label words and study, which a person writes: a mistake would stop a training weeks later."""
    for mistake in find_mistakes(settings):
        yield HealthCheck(" ".join(str(mistake).split()), "mend that file")


def _check_disk(settings: Settings, mounts: Path) -> Iterator[HealthCheck]:
    place = settings.home if settings.home.exists() else settings.home.parent
    if not place.exists():
        return
    free = shutil.disk_usage(place).free // 2**20
    fix = f"free some space: intake pauses below {settings.min_free_mib} MiB" if free < settings.min_free_mib else None
    yield HealthCheck(f"{free} MiB free on the disk of the home", fix)
    kept = sum(path.lstat().st_size for path in settings.greys_dir.glob("*")) // 2**20
    yield HealthCheck(f"{kept} MiB of grey levels kept for trainings, {settings.kept_mib} MiB at most; derived")
    kind = find_file_system(place, mounts)
    remote = kind in ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs")
    if remote and settings.url.startswith("sqlite"):
        yield HealthCheck(
            f"the home is on {kind}: SQLite's locks cannot be trusted there",
            "move XRAY_HOME to a local disk, or use PostgreSQL by XRAY_DATABASE_URL",
        )


def _check_database(settings: Settings) -> Iterator[HealthCheck]:
    try:
        refuse_absent_database(settings)
        engine = open_engine(settings.url)
    except NoHome:
        yield HealthCheck(f"no database yet at {settings.url}; `xray init` makes it")
        return
    except RefusedInput as refusal:
        yield HealthCheck(str(refusal), "mend XRAY_DATABASE_URL")
        return
    try:
        yield (examined := _examine_database(settings, engine))
        if examined.fix is None:
            yield HealthCheck(say_growth(engine))
    finally:
        engine.dispose()


def _examine_database(settings: Settings, engine: Engine) -> HealthCheck:
    shown = show_url(engine.url)
    try:
        if (damage := find_damage(engine)) is not None:
            return HealthCheck(f"database {shown} is damaged: {damage}", "restore the newest backup into a new home")
        refuse_lost_ledger(settings, engine)
        check_schema(engine)
    except PersonNeeded as error:
        what, _, fix = str(error).rpartition(": ")
        return HealthCheck(what, fix)
    except DBAPIError as error:
        return HealthCheck(
            f"database {shown} does not answer: {type(error.orig).__name__}", "start it, or mend its URL"
        )
    with engine.connect() as connection:
        version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
    return HealthCheck(f"database {shown} ({'SQLite' if engine.dialect.name == 'sqlite' else 'PostgreSQL'} {version})")


def _check_history(settings: Settings) -> Iterator[HealthCheck]:
    """What Prefect has written down of its runs; where it keeps a PostgreSQL database, nobody looks into it."""
    file = find_history(settings)
    if file is None:
        return
    try:
        found = measure_history(file)
    except sqlite3.Error as error:
        yield HealthCheck(f"Prefect's history {file} does not answer ({type(error).__name__})", "ask again")
        return
    size, free = found.size / 2**20, found.free / 2**20
    is_much = found.is_stuck or size > _MUCH_HISTORY_MIB
    yield HealthCheck(
        f"Prefect's history: {size:.0f} MiB of {found.runs} runs in {file}, {free:.0f} MiB of them free",
        f"stop the service and delete {file.parent}: no result is in it" if is_much else None,
    )


def _check_buckets(settings: Settings) -> Iterator[HealthCheck]:
    """Whether the films' buckets answer, and may be listed."""
    yield from starmap(HealthCheck, examine_buckets(settings.incoming_bucket, settings.archive_bucket))


def _check_page(settings: Settings) -> Iterator[HealthCheck]:
    """Whether the page of a running service keeps its browser to this machine, and strangers out."""
    schedule = read_schedule(settings)
    url = schedule.api.removesuffix("/api") if schedule else ""
    page = ask_page(f"{url}/") if schedule else None
    if page is None:
        return
    fix = "stop what serves it there, and start `xray up` of this version"
    kept = "connect-src 'self'" in page.headers.get("content-security-policy", "")
    yield HealthCheck(
        f"the page at {url} asks {'nothing' if kept else 'whatever it likes'} of other hosts", None if kept else fix
    )
    second = ask_page(f"{url}/v2")
    if second is not None and second.status == 200:
        yield HealthCheck(f"{url}/v2 is served, and calls an outside address", fix)
    stranger = ask_page(f"{url}/api/csrf-token?client=doctor")
    if stranger is not None and stranger.status == 200:
        yield HealthCheck(f"{url} takes orders from every user of this machine", fix)
