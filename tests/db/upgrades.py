"""Databases of older revisions, and processes that die while they bring one up to date."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from unittest.mock import patch

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, event, text

from db import sealing
from db.columns import plain_column
from db.engine import open_engine, read_revision, writing
from db.migrate import migrate
from db.schema import HEAD
from tests.db.rows import ANCHOR, ROOT

Home = Mapping[str, str]


def upgrade(engine: Engine, revision: str, home: Home | None = None) -> None:
    """The migrations up to one revision alone, without the seal that `migrate` sets at the end."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "db" / "migrations"))
    with writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        config.attributes["home"] = home
        command.upgrade(config, revision)


def load_sealed(engine: Engine, revision: str) -> None:
    """Fill an empty SQLite database with a ledger that its version wrote and sealed; there are 0005 and 0009."""
    with closing(sqlite3.connect(str(engine.url.database))) as connection:
        connection.executescript((ROOT / "tests" / "db" / f"sealed_at_{revision}.sql").read_text())


@contextmanager
def sealing_as_text() -> Iterator[None]:
    """Seal as versions did before revision 0010, for a PostgreSQL ledger that is to be one of them."""
    with patch.object(
        sealing, "plain_column", lambda column, is_postgresql, _: plain_column(column, is_postgresql, True)
    ):
        yield


def read(engine: Engine, query: str) -> Sequence[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def kill_upgrades(
    old: Engine, revision: str, look: Callable[[], object], *, home: Home | None = None, step: int = 1
) -> int:
    """Kill an upgrade before its first statement, before the one `step` later and so on; how many kills it took.

    After each kill `look` must give what it gave before the first; the last upgrade is let through. The processes are
    forked from one that has loaded all they need, for starting them is most of the work.
    """
    before = look()
    with old.connect() as connection:
        older = read_revision(connection)
    old.dispose()
    arguments = [old.url.render_as_string(), revision, json.dumps(home)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.db.upgrades", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as forking:
        assert forking.stdin is not None
        assert forking.stdout is not None
        for killed, statement in enumerate(range(0, 10_000, step)):
            print(statement, file=forking.stdin, flush=True)
            ended = int(forking.stdout.readline())
            with old.connect() as connection:
                found = read_revision(connection)
            if ended == 0:
                assert found == (HEAD if revision == "head" else revision)
                return killed
            assert ended == -signal.SIGKILL  # what else it said stands on standard error
            assert (found, look()) == (older, before)
            old.dispose()
    raise AssertionError("no upgrade came through")


def die_while_upgrading(url: str, revision: str, home: Home | None, statements: int) -> None:
    """Upgrade, and die by SIGKILL just before one of the statements that go to the database."""
    engine = open_engine(url, anchor=ANCHOR)
    left = statements

    @event.listens_for(engine, "before_cursor_execute")
    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if revision == "head":
        migrate(engine, home)
    else:
        upgrade(engine, revision, home)


def fork_upgrades(url: str, revision: str, home: Home | None) -> None:
    """For each number on standard input an upgrade that dies before so many statements; how it ended."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            die_while_upgrading(url, revision, home, int(line))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    fork_upgrades(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
