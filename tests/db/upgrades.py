"""Databases of older revisions, and processes that die while they bring one up to date."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, event, text

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
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    before = look()
    with old.connect() as connection:
        older = read_revision(connection)
    old.dispose()
    for killed, statement in enumerate(range(0, 10_000, step)):
        arguments = (old.url.render_as_string(), revision, home, statement)
        upgrading = processes.Process(target=die_while_upgrading, args=arguments)
        upgrading.start()
        upgrading.join()
        with old.connect() as connection:
            found = read_revision(connection)
        if upgrading.exitcode == 0:
            assert found == (HEAD if revision == "head" else revision)
            return killed
        assert upgrading.exitcode == -signal.SIGKILL  # what else it said stands on standard error
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
