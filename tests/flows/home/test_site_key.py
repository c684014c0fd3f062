"""The ledger knows which site key it hangs on: a lost or foreign one is refused and never replaced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from db.engine import open_engine, writing
from flows.home.ledger import find_anchor, migrate_ledger, open_ledger, prepare_ledger
from flows.home.site_key import fingerprint, pseudonym, read_site_key
from flows.settings import Settings
from tests.flows.scoring.test_scan import count_results, drop_xrays, read_lines, scan
from xray_core.errors import WrongSiteKey


def test_a_lost_key_is_never_made_anew_for_a_ledger_in_use(settings: Settings) -> None:
    (settings.home / "site.key").unlink()

    with pytest.raises(WrongSiteKey, match=r"site.key is missing, and the ledger's patients .* hang on it"):
        prepare_ledger(settings)
    with pytest.raises(WrongSiteKey, match=r"site.key is missing"), open_ledger(settings):
        pass

    assert not (settings.home / "site.key").exists()


def test_another_key_is_refused_before_anything_is_claimed(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)
    (settings.home / "site.key").write_text("77" * 32 + "\n")

    with pytest.raises(WrongSiteKey, match=r"its fingerprint is [0-9a-f]{12}, the ledger's is [0-9a-f]{12}"):
        scan(settings)

    assert count_rows(settings, "incoming_files") == 0


def test_a_key_that_is_no_key_is_one_sentence(settings: Settings) -> None:
    (settings.home / "site.key").write_text("not hex\n")

    with pytest.raises(WrongSiteKey, match="expected 64 hex digits"):
        prepare_ledger(settings)


def test_a_fingerprint_tells_keys_apart_and_gives_no_pseudonym_away() -> None:
    key = bytes(32)

    assert fingerprint(key) != fingerprint(bytes(31) + b"\1")
    assert fingerprint(key) != pseudonym(key, "P1")
    assert len(fingerprint(key)) == 64


def test_an_older_ledger_gets_the_fingerprint_of_the_key_that_it_has(settings: Settings) -> None:
    own = fingerprint(read_site_key(settings))
    forget_fingerprint(settings)

    migrate_ledger(settings)

    assert read_fingerprints(settings) == [own]


def test_an_older_ledger_without_its_key_is_not_migrated_to_a_new_one(settings: Settings) -> None:
    forget_fingerprint(settings)
    (settings.home / "site.key").unlink()

    with pytest.raises(WrongSiteKey, match="a new one is never made for a ledger in use"):
        migrate_ledger(settings)

    assert not (settings.home / "site.key").exists()
    assert read_fingerprints(settings) == []


def test_two_homes_of_one_database_keep_their_files_of_one_name_apart(settings: Settings, tmp_path: Path) -> None:
    url = settings.database_url or f"sqlite:///{settings.home / 'xray.db'}"
    homes = []
    for name in ("one", "two"):
        shutil.copytree(settings.home, tmp_path / name, ignore=shutil.ignore_patterns("xray.db*"))
        homes.append(Settings(home=tmp_path / name, database_url=url, settle_seconds=0))
    for seed, home in enumerate(homes):
        for path in drop_xrays(home.incoming_dir, 1 + seed, seed=seed):
            path.rename(path.with_name(path.name.replace(f"xray-{seed}-", "same-")))

    for home in homes:
        scan(home)
        scan(home)

    assert count_results(settings) == 3
    assert sum(1 for _ in read_lines(settings)) == 2, "two names"
    assert count_rows(settings, "incoming_files WHERE superseded_at IS NULL") == 3


def test_a_home_with_another_key_cannot_join_a_database(settings: Settings, tmp_path: Path) -> None:
    url = settings.database_url or f"sqlite:///{settings.home / 'xray.db'}"
    newcomer = Settings(home=tmp_path / "newcomer", database_url=url)

    with pytest.raises(WrongSiteKey, match="copy it from the home that made this database"):
        prepare_ledger(newcomer)

    assert not (newcomer.home / "site.key").exists()


def forget_fingerprint(settings: Settings) -> None:
    """As the ledger was before it knew its key."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    sqlite = engine.dialect.name == "sqlite"
    with writing(engine).begin() as connection:
        if sqlite:
            connection.execute(text("DROP TRIGGER site_keys_refuses_delete"))
        else:
            connection.execute(text("ALTER TABLE site_keys DISABLE TRIGGER USER"))
        connection.execute(text("DELETE FROM site_keys"))
    engine.dispose()


def read_fingerprints(settings: Settings) -> list[str]:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with engine.connect() as connection:
        found = list(connection.execute(text("SELECT fingerprint FROM site_keys")).scalars())
    engine.dispose()
    return found


def count_rows(settings: Settings, table: str) -> int:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with engine.connect() as connection:
        found: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608  # our own words
    engine.dispose()
    return found
