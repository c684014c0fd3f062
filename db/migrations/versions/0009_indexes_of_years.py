"""Indexes, so that a question about what is new or unknown does not read what a million films left.

No table changes, and no row.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add them; where there are a million films that takes some seconds."""
    op.create_index("ix_xrays_folder_id", "xrays", ["folder_id"])
    _index_some("ix_xrays_unknown_patient", "xrays", ["patient"], where="patient IS NULL")
    _index_some(
        "ix_incoming_files_unscored",
        "incoming_files",
        ["state", "reason_code"],
        where="superseded_at IS NULL AND state <> 'scored'",
    )
    op.create_index("ix_evaluations_model_id", "evaluations", ["model_id", "set_name"])


def _index_some(name: str, table: str, columns: list[str], *, where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
