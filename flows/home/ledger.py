"""The results database of a home: made on first use, refused when another version or another key made it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from sqlalchemy import Engine, inspect

from db.audit import Anchor, with_anchor
from db.engine import check_schema, open_engine, snapshot, transaction
from db.scoring import folders, site_key
from flows.home.damage import HEAD_FILE, refuse_absent_database, refuse_damage, refuse_lost_file, refuse_lost_ledger
from flows.home.films import name_folder
from flows.home.folders import open_home
from flows.home.site_key import create_site_key, fingerprint, read_site_key, seal_key
from flows.settings import Settings
from xray_core.errors import WrongSiteKey
from xray_core.records import FolderKind, escape_name


def prepare_ledger(settings: Settings) -> None:
    """Create home and database where there are none; raise SchemaOutOfDate where a person must decide to migrate.

    A site key is made for an empty ledger and for no other. Raises WrongSiteKey where the home's is not the ledger's.
    """
    refuse_lost_file(settings)
    open_home(settings)
    engine = open_engine(settings.url)
    try:
        refuse_damage(settings, engine)
        refuse_lost_ledger(settings, engine)
        if inspect(engine).has_table("alembic_version"):
            check_schema(engine)
        else:
            from db.migrate import migrate

            migrate(engine)
        _settle_site_key(settings, engine)
    finally:
        engine.dispose()


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Engine]:
    """The results database inside the block.

    Raises NoHome where it is not there, LedgerAltered where it is damaged or emptied, SchemaOutOfDate where it is not
    of this version, WrongSiteKey where it hangs on another key than the home's.
    """
    refuse_absent_database(settings)
    engine = open_engine(settings.url)
    try:
        refuse_damage(settings, engine)
        refuse_lost_ledger(settings, engine)
        check_schema(engine)
        _check_site_key(settings, engine)
        yield with_anchor(engine, find_anchor(settings))
    finally:
        engine.dispose()


def migrate_ledger(settings: Settings) -> None:
    """Bring the database to this version's schema: what a person asks for after a backup."""
    from db.growth import give_back
    from db.migrate import migrate

    refuse_lost_file(settings)
    open_home(settings)
    engine = open_engine(settings.url)
    try:
        refuse_damage(settings, engine)
        refuse_lost_ledger(settings, engine)
        if inspect(engine).has_table("xrays"):
            _refuse_lost_key(settings, engine)
        migrate(with_anchor(engine, find_anchor(settings)), _describe_home(settings))
        _settle_site_key(settings, engine)
        with suppress(
            sqlite3.OperationalError
        ):  # no room for it, or somebody at work: `xray doctor` tells what is free
            give_back(engine)
    finally:
        engine.dispose()


def find_anchor(settings: Settings) -> Anchor | None:
    """What the ledger's chain hangs on outside the database; None without a key, or for somebody who may only look."""
    if not os.access(settings.home / "site.key", os.R_OK):
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
    incoming, archive = settings.incoming_bucket or settings.incoming_dir, settings.archive_dir
    return {
        "home": escape_name(os.fsencode(settings.home)),
        "incoming": escape_name(os.fsencode(incoming)),
        "archive": escape_name(os.fsencode(archive)) if archive else None,
        "incoming_place": name_folder(settings, FolderKind.INCOMING),
        "archive_place": name_folder(settings, FolderKind.ARCHIVE),
    }
