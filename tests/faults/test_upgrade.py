"""An upgrade of a home with data: refused until a person asks for it, and whole whenever it is killed.

The next version of the service is made here: a copy of the packages with one more revision that does what
migrations do: it rebuilds a full table, adds a column, fills a new table.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from db.columns import Base
from db.engine import open_engine
from db.schema import HEAD
from flows.home.ledger import find_anchor
from flows.settings import Settings
from tests.db.test_concurrency import wait_for_a_line
from tests.faults.scanners import ROOT, assert_all_scored_once, drop_many
from tests.flows.scoring.test_scan import scan
from tests.patience import here

pytestmark = pytest.mark.processes

NEXT = f"{int(HEAD) + 1:04d}"
NEXT_REVISION = f'''
"""A revision that takes its time."""

import os
import time

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{HEAD}"


def upgrade():
    with open(os.environ["XRAY_TEST_SAID"], "w") as said:
        print("in the middle of it", file=said)
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE TABLE scans_again AS SELECT * FROM scans")
        op.execute("DELETE FROM scans")
        time.sleep(0.05)
        op.execute("INSERT INTO scans SELECT * FROM scans_again")
        op.execute("DROP TABLE scans_again")
    op.add_column("scans", sa.Column("place", sa.Text, nullable=False, server_default="here"))
    time.sleep(0.05)
    op.create_table("sightings", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
    time.sleep(0.05)
    op.execute("INSERT INTO sightings (name) SELECT name FROM incoming_files")
    time.sleep(0.05)
    op.create_index("sightings_by_name", "sightings", ["name"])
'''  # noqa: S608  # no query

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def next_version(tmp_path: Path) -> Run:
    """Starts a command of the next version; what its own revision says goes into `said.txt`."""
    checkout = tmp_path / "next"
    for package in ("db", "flows", "xray_core"):
        shutil.copytree(ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "retraining-policy.toml", checkout)
    schema = checkout / "db" / "schema.py"
    schema.write_text(schema.read_text().replace(f'HEAD = "{HEAD}"', f'HEAD = "{NEXT}"'))
    (checkout / "db/migrations/versions" / f"{NEXT}_next.py").write_text(NEXT_REVISION)
    environment = os.environ | {"PYTHONPATH": str(checkout), "XRAY_TEST_SAID": str(tmp_path / "said.txt")}

    def run(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flows", *arguments],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def count_rows(settings: Settings) -> tuple[str, dict[str, int]]:
    """The revision, and how many rows each table has."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with engine.connect() as connection:
        tables = sorted(inspect(connection).get_table_names())
        rows = {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608
            for table in tables
        }
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        columns = {column["name"] for column in inspect(connection).get_columns("scans")}
    engine.dispose()
    assert ("place" in columns) == ("sightings" in tables) == (revision == NEXT), "between the two"
    return revision, rows


def test_an_upgrade_is_refused_until_it_is_asked_for_and_whole_whenever_it_is_killed(
    settings: Settings, next_version: Run, tmp_path: Path
) -> None:
    said = tmp_path / "said.txt"
    drop_many(settings.incoming_dir, 120)
    scan(settings)
    old = count_rows(settings)
    assert old[0] == HEAD
    assert set(old[1]) == {*Base.metadata.tables, "alembic_version"}

    refused = next_version("scan")
    _, sentence = refused.communicate(timeout=here(60))

    assert refused.returncode == 1
    assert f"at revision {HEAD}; this version of the service needs {NEXT}" in sentence
    assert "xray doctor --migrate" in sentence
    assert len(sentence.strip().splitlines()) == 1
    assert count_rows(settings) == old

    killed = kill_migrations(settings, next_version, said, old)
    migrated = next_version("doctor", "--migrate")
    told, _ = migrated.communicate(timeout=here(60))
    revision, rows = count_rows(settings)

    assert killed >= 3, "no kill met a migration at work"
    assert "FIX database" not in told
    assert revision == NEXT
    # One entry of the audit log says that the history was sealed anew, as the new revision found it.
    assert rows == old[1] | {"sightings": 120, "audit_log": old[1]["audit_log"] + 1}

    drop_many(settings.incoming_dir, 5, seed=1)
    again = next_version("scan")
    _, errors = again.communicate(timeout=here(60))
    assert again.returncode == 0, errors
    assert count_rows(settings)[1]["results"] == 125


def kill_migrations(settings: Settings, next_version: Run, said: Path, old: tuple[str, dict[str, int]]) -> int:
    """SIGKILL at random moments of the next revision until one is through or ten were stopped; how many were."""
    chance = random.Random(12)
    for number in range(10):
        said.write_text("")
        process = next_version("doctor", "--migrate")
        wait_for_a_line([said])
        time.sleep(chance.uniform(0, 0.12 if number < 4 else 0.25))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if count_rows(settings)[0] == NEXT:
            return number
        assert count_rows(settings) == old
    return 10


def test_an_older_version_leaves_a_newer_database_alone_and_says_so(
    settings: Settings, next_version: Run, tmp_path: Path
) -> None:
    drop_many(settings.incoming_dir, 2)
    scan(settings)
    assert_all_scored_once(settings)
    assert next_version("doctor", "--migrate").communicate(timeout=here(60))
    newer = count_rows(settings)

    old = subprocess.run([sys.executable, "-m", "flows", "scan"], capture_output=True, text=True, check=False)

    migrated = subprocess.run(
        [sys.executable, "-m", "flows", "doctor", "--migrate"], capture_output=True, text=True, check=False
    )

    assert (old.returncode, migrated.returncode) == (1, 1)
    for said in (old.stderr, migrated.stderr):
        assert f"at revision {NEXT}; this version of the service knows nothing beyond {HEAD}" in said
        assert "install the newer version" in said
        assert len(said.strip().splitlines()) == 1
    assert count_rows(settings) == newer
