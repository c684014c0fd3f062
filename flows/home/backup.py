"""Backup and restore of a home: ledger, models, site key, policy, words, guide; consistent while scoring runs."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from db import invariants
from db.audit import Anchor
from db.backup import backup_database, release_claims
from db.engine import check_schema, is_older, open_engine, read_revision, snapshot, transaction
from db.registry import models
from db.schema import HEAD
from db.transfer import refuse_used, transfer
from flows.home.carried_films import (
    carry_films,
    carry_written,
    count_left_out,
    plan_return,
    refuse_target,
    return_films,
    settle_moved,
)
from flows.home.damage import HEAD_FILE, refuse_damaged_copy
from flows.home.films import name_own_folders
from flows.home.folders import open_home
from flows.home.ledger import find_anchor, open_ledger
from flows.home.site_key import read_site_key, seal_key
from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.exchange.atomic_file import sync_tree
from xray_core.imaging.content import hash_file

_DATABASE = "xray.db"
_KEY = "site.key"
_MANIFEST = "backup.json"
_UNFINISHED = ".xray-backup.part"
_NOT_HASHED = {_MANIFEST, *(f"{_DATABASE}-{end}" for end in ("journal", "wal", "shm"))}


@dataclass(frozen=True, slots=True)
class Backup:
    """How many files a backup holds, and how many films of its ledger's were nowhere to be found when asked for."""

    files: int
    left_out: int = 0


def back_up(
    settings: Settings,
    target: Path,
    *,
    with_xrays: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Backup:
    """Write a new folder `target` that `restore` can make a home of.

    The ledger is copied as of one moment, one on PostgreSQL into a SQLite file; after it the model folders that it
    names, the home's policy, label words, study and review guide. X-rays and exports only `with_xrays`. The folder
    appears whole or not at all. Raises RefusedInput when it exists.
    """
    target = target.absolute()  # a database is opened by an absolute path alone
    _refuse_target(settings, target, with_xrays=with_xrays)
    _remove_unfinished(target.parent)
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}{_UNFINISHED}")
    aside.mkdir(mode=0o700, parents=True)
    try:
        _copy_ledger(settings, aside / _DATABASE, on_progress)
        refuse_damaged_copy(aside / _DATABASE)
        shutil.copy2(settings.home / _KEY, aside / _KEY)
        for version in _registered_versions(aside / _DATABASE):
            shutil.copytree(settings.models_dir / version, aside / "models" / version)
        carry_written(settings, aside)
        files, left_out = _add_films(settings, aside, on_progress) if with_xrays else (_hash_files(aside), 0)
        (aside / _MANIFEST).write_text(json.dumps(files, indent=1, sort_keys=True))
        sync_tree(aside)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Backup(len(files), left_out)


def _remove_unfinished(folder: Path) -> None:
    """What backups that were killed a day ago or earlier left beside this one: each holds the site key."""
    for path in folder.glob(f".*{_UNFINISHED}"):
        if path.lstat().st_mtime < time.time() - 86_400:
            shutil.rmtree(path, ignore_errors=True)


def _refuse_target(settings: Settings, target: Path, *, with_xrays: bool) -> None:
    if target.exists():
        raise RefusedInput(f"{target}: exists already; expected a new folder for the backup")
    above = next(folder for folder in target.absolute().parents if folder.exists())
    if not above.is_dir():
        raise RefusedInput(f"{target}: {above} is no folder; expected a new folder for the backup in one")
    inside, home = target.resolve(), settings.home.resolve()
    if inside.is_relative_to(home) or home.is_relative_to(inside):
        raise RefusedInput(f"{target}: lies in the home {home}, and would be lost with it; expected a folder elsewhere")
    if with_xrays and settings.database_url is not None:
        raise RefusedInput(
            "--with-xrays: homes may share the ledger of XRAY_DATABASE_URL; back up their folders of X-rays yourself"
        )
    if with_xrays:
        refuse_target(settings, target)


def _copy_ledger(settings: Settings, target: Path, on_progress: Callable[[int], None]) -> None:
    """One on SQLite that waits for a migration is copied as it is: a backup comes before it."""
    with _opened(settings.url) as found:
        waits = found.dialect.name == "sqlite" and is_older(found)
    with _opened(settings.url) if waits else open_ledger(settings) as engine:
        if engine.dialect.name == "sqlite":
            backup_database(engine, target)
            return
        own = dict.fromkeys(name_own_folders(settings).items(), "")
        with _opened(f"sqlite:///{target}", Anchor(seal_key(read_site_key(settings)))) as copy:
            transfer(engine, copy, own, on_progress=on_progress)


def _add_films(settings: Settings, aside: Path, on_progress: Callable[[int], None]) -> tuple[dict[str, str], int]:
    """The hashes of everything in the backup once its films are, and how many films are not."""
    with _opened(f"sqlite:///{aside / _DATABASE}") as engine, snapshot(engine) as session:
        check_schema(engine)
        carry_films(settings, session, aside, on_progress=on_progress)
        files = _hash_files(aside)
        files |= settle_moved(session, aside, files)
        return files, count_left_out(session, files)


def restore(settings: Settings, source: Path, *, on_progress: Callable[[int], None] = lambda _: None) -> int:
    """Make a home of a backup, once every byte of it and every invariant of its ledger holds; its models are counted.

    Films and exports that it carries go where this home looks for them; with XRAY_DATABASE_URL its ledger goes into
    that database, row by row. Raises RefusedInput when home or database has a ledger already, when a file is in the
    way of another, or when the backup is no whole one.
    """
    _refuse_ledger_there(settings)
    plan = plan_return(settings, _check_bytes(source))
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = settings.home / f".{_DATABASE}.part"
    _copy(source / _DATABASE, aside)
    try:
        _check_ledger(source, aside)  # the copy: a backup may lie on a medium that nobody can write to
    except RefusedInput:
        aside.unlink()
        raise
    if (source / "models").exists():
        shutil.copytree(source / "models", settings.models_dir, copy_function=_copy, dirs_exist_ok=True)
        for folder in (settings.models_dir, *settings.models_dir.iterdir()):
            folder.chmod(0o700)
    _copy(source / _KEY, settings.home / _KEY)
    _release_claims(source, aside)
    return_films(source, plan, on_progress=on_progress)
    (settings.home / HEAD_FILE).unlink(missing_ok=True)  # a ledger that was here before had other entries
    versions = _registered_versions(aside)
    _put_ledger(settings, aside, on_progress)  # last: a home without a ledger can be restored into again
    return len(versions)


def _refuse_ledger_there(settings: Settings) -> None:
    if (settings.home / _DATABASE).exists():
        raise RefusedInput(f"{settings.home}: has a ledger already; expected a new XRAY_HOME to restore into")
    if settings.database_url is not None:
        with _opened(settings.url) as engine, engine.connect() as connection:
            refuse_used(connection)


def _put_ledger(settings: Settings, aside: Path, on_progress: Callable[[int], None]) -> None:
    """The checked copy becomes the home's ledger, or its rows become that of the database that the settings name."""
    if settings.database_url is None:
        aside.rename(settings.home / _DATABASE)
        return
    open_home(settings)  # a home that shares a ledger has a name of its own
    own = {(kind, ""): place for kind, place in name_own_folders(settings).items()}
    anchor = find_anchor(settings)
    with _opened(f"sqlite:///{aside}", anchor) as copy, _opened(settings.url, anchor) as engine:
        transfer(copy, engine, own, on_progress=on_progress)
    aside.unlink()


@contextmanager
def _opened(url: str, anchor: Anchor | None = None) -> Iterator[Engine]:
    engine = open_engine(url, anchor=anchor)
    try:
        yield engine
    finally:
        engine.dispose()


def _check_bytes(source: Path) -> dict[str, str]:
    """The backup's files and their SHA-256, as it was written and as it is."""
    try:
        expected: dict[str, str] = json.loads((source / _MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise RefusedInput(
            f"{source}: has no readable {_MANIFEST}; expected a folder that `xray backup` wrote"
        ) from error
    found = _hash_files(source)
    if found != expected:
        differing = sorted({name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)})
        raise RefusedInput(f"{source}: {differing[0]} is not as it was written; this backup is damaged")
    return expected


def _check_ledger(source: Path, database: Path) -> None:
    """Everything that `xray verify` asks of a ledger; of an older version's only that it is undamaged."""
    with _opened(f"sqlite:///{database}", _anchor_in(source)) as engine, snapshot(engine) as session:
        is_current = read_revision(session.connection()) == HEAD
        find = invariants.find_breaches if is_current else invariants.find_damage
        breach = next(find(session), None)
    if breach:
        raise RefusedInput(f"{source}: {breach}")


def _release_claims(source: Path, database: Path) -> None:
    """A claim in a backup is of a process that nobody can ask; without this its files would wait for the lease."""
    with _opened(f"sqlite:///{database}", _anchor_in(source)) as engine, transaction(engine) as session:
        release_claims(session)


def _anchor_in(source: Path) -> Anchor:
    return Anchor(seal_key(bytes.fromhex((source / _KEY).read_text().strip())))


def _copy(source: str | Path, target: str | Path) -> None:
    """The bytes alone, for this user: a read-only medium's modes would stay."""
    Path(target).unlink(missing_ok=True)  # a model's file that is there may only be read
    Path(shutil.copyfile(source, target)).chmod(0o600)


def _registered_versions(database: Path) -> list[str]:
    with _opened(f"sqlite:///{database}") as engine, snapshot(engine) as session:
        return [model.version for model in models.list_models(session)]


def _hash_files(folder: Path) -> dict[str, str]:
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: hash_file(path) for name, path in paths.items() if name not in _NOT_HASHED}
