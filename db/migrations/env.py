"""Runs the migrations on the connection that `db.migrate` opened, inside its one transaction."""

from __future__ import annotations

from alembic import context

# SQLite can undo DDL like PostgreSQL; Alembic does not assume so by itself.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
