"""The results database of a home: made on first use, refused when another version or another key made it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from db.audit import Anchor, read_kept_head, with_anchor
from db.engine import check_schema, open_engine, snapshot, transaction
from db.scoring import folders, site_key
from flows.home.films import name_folder
from flows.home.folders import open_home
from flows.home.site_key import create_site_key, fingerprint, read_site_key, seal_key
from flows.settings import Settings
from xray_core.errors import LedgerAltered, WrongSiteKey
from xray_core.records import FolderKind, escape_name

# The newest entry of the audit log that this home has written, kept outside the database.
HEAD_FILE = "ledger.head"
_ALWAYS_LOOKED_THROUGH = 4 * 2**20
_BYTES_LOOKED_THROUGH_A_SECOND = 100e6


def prepare_ledger(settings: Settings) -> None:
    """Create home and database where there are none; raise SchemaOutOfDate where a person must decide to migrate.

    A site key is made for an empty ledger and for no other. Raises WrongSiteKey where the home's is not the ledger's.
    """
    open_home(settings)
    engine = open_engine(settings.url)
    kept = read_kept_head(settings.home / HEAD_FILE)  # before the look at the database, which another may be making now
    try:
        if inspect(engine).has_table("alembic_version"):
            check_schema(engine)
            _refuse_damage(settings, engine)
        else:
            from db.migrate import migrate

            _refuse_lost_ledger(settings, kept)
            migrate(engine)
        _settle_site_key(settings, engine)
    finally:
        engine.dispose()


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Engine]:
    """The results database inside the block.

    Raises SchemaOutOfDate where it is not of this version, WrongSiteKey where it hangs on another key than the home's.
    """
    engine = open_engine(settings.url)
    try:
        check_schema(engine)
        _check_site_key(settings, engine)
        yield with_anchor(engine, find_anchor(settings))
    finally:
        engine.dispose()


def migrate_ledger(settings: Settings) -> None:
    """Bring the database to this version's schema: what a person asks for after a backup."""
    from db.migrate import migrate

    open_home(settings)
    engine = open_engine(settings.url)
    try:
        if inspect(engine).has_table("xrays"):
            _refuse_lost_key(settings, engine)
        migrate(with_anchor(engine, find_anchor(settings)), _describe_home(settings))
        _settle_site_key(settings, engine)
    finally:
        engine.dispose()


def find_anchor(settings: Settings) -> Anchor | None:
    """What the ledger's chain hangs on outside the database; None while the home has no key yet."""
    if not (settings.home / "site.key").exists():
        return None
    return Anchor(seal_key(read_site_key(settings)), settings.home / HEAD_FILE)


def record_folder(settings: Settings, engine: Engine, kind: FolderKind) -> int:
    """The id under which the ledger knows this home's incoming or archive folder, recorded on first use."""
    place = name_folder(settings, kind)
    with snapshot(engine) as session:
        known = folders.find_folder(session, kind, place)
    if known is not None:
        return known
    with transaction(engine) as session:
        return folders.add_folder(session, kind, place, now=datetime.now(UTC))


def _settle_site_key(settings: Settings, engine: Engine) -> None:
    """Make the key of an empty ledger, and record the fingerprint of the key that a ledger is first opened with."""
    with snapshot(engine) as session:
        known = site_key.read_fingerprint(session)
    if known is None:
        _refuse_lost_key(settings, engine)
        create_site_key(settings)
        with transaction(with_anchor(engine, find_anchor(settings))) as session:
            site_key.record_fingerprint(session, fingerprint(read_site_key(settings)), now=datetime.now(UTC))
    _check_site_key(settings, engine)


def _refuse_damage(settings: Settings, engine: Engine) -> None:
    """Raise LedgerAltered for a database file with a damaged page, before anybody says that there is nothing new.

    A scan reads an index, and would not notice. A small file is looked through at every start; a large one so seldom
    that the looking takes a hundredth of the time.
    """
    path = engine.url.database
    if engine.dialect.name != "sqlite" or path is None:
        return
    size, stamp = Path(path).stat().st_size, settings.home / "run" / "ledger-looked-through"
    if size > _ALWAYS_LOOKED_THROUGH:
        seconds = size / _BYTES_LOOKED_THROUGH_A_SECOND
        if stamp.exists() and 0 <= time.time() - stamp.stat().st_mtime <= 100 * seconds:
            return
    with engine.connect() as connection:
        found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
    if found != "ok":
        with suppress(OSError):
            stamp.unlink()  # the next start looks again, whoever starts it
        raise LedgerAltered(
            f"{path}: the database is damaged ({' '.join(str(found).split())}): "
            "restore the newest backup into a new home (`xray restore`)"
        )
    if size > _ALWAYS_LOOKED_THROUGH:
        with suppress(OSError):
            stamp.touch(mode=0o600)


def _refuse_lost_ledger(settings: Settings, kept: tuple[int, str] | None) -> None:
    """An empty database is a new home's, or what is left of one that somebody emptied; `kept` is its last entry."""
    if kept is not None:
        raise LedgerAltered(
            f"{settings.url.rpartition('@')[2].removeprefix('sqlite:///')}: the database is empty, and this home has "
            f"written {kept[0]} entries into its audit log: restore the newest backup into a new home (`xray restore`)"
        )


def _refuse_lost_key(settings: Settings, engine: Engine) -> None:
    with snapshot(engine) as session:
        if site_key.is_in_use(session) and not (settings.home / "site.key").exists():
            raise WrongSiteKey(_LOST.format(home=settings.home))


def _check_site_key(settings: Settings, engine: Engine) -> None:
    with snapshot(engine) as session:
        known = site_key.read_fingerprint(session)
    if known is None:
        return
    if not (settings.home / "site.key").exists():
        raise WrongSiteKey(_LOST.format(home=settings.home))
    if not os.access(settings.home / "site.key", os.R_OK):
        return  # a person who may only look: nothing is written, and no pseudonym is made
    own = fingerprint(read_site_key(settings))
    if own != known:
        raise WrongSiteKey(
            f"{settings.home / 'site.key'}: its fingerprint is {own[:12]}, the ledger's is {known[:12]}: with another "
            "key every patient would get another name and side; put the ledger's own key there, from a backup or from "
            "the home that made this database"
        )


_LOST = (
    "{home}/site.key is missing, and the ledger's patients and sides hang on it: put it back from a backup, or copy it "
    "from the home that made this database; a new one is never made for a ledger in use"
)


def _describe_home(settings: Settings) -> dict[str, str | None]:
    archive = settings.archive_dir
    return {
        "home": escape_name(os.fsencode(settings.home)),
        "incoming": escape_name(os.fsencode(settings.incoming_dir)),
        "archive": escape_name(os.fsencode(archive)) if archive else None,
        "incoming_place": name_folder(settings, FolderKind.INCOMING),
        "archive_place": name_folder(settings, FolderKind.ARCHIVE),
    }
