"""Databases of a test's own on the PostgreSQL server that XRAY_TEST_DATABASE_URL names."""

from __future__ import annotations

import os
from uuid import uuid4

from sqlalchemy import create_engine, make_url, text


def server_url() -> str | None:
    """The server to test on; None means SQLite."""
    return os.environ.get("XRAY_TEST_DATABASE_URL")


def with_database(server: str, name: str) -> str:
    """The URL of one database of the server."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def create_database(server: str, template: str = "template0") -> str:
    """A new database, empty or a copy of another one; its name."""
    name = f"xray_test_{uuid4().hex}"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


def drop_database(server: str, name: str) -> None:
    """Gone, whoever is still connected."""
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(server: str, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
