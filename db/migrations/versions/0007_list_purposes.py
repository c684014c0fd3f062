"""What a reading list is for: reading, adjudicating disputes, or reading disputed films again."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0005"

_PURPOSES = "'reading', 'adjudication', 'again'"


def upgrade() -> None:
    """Add the column; every list that is there was for reading."""
    op.execute(
        "ALTER TABLE reading_lists ADD COLUMN purpose VARCHAR(32) NOT NULL DEFAULT 'reading' "
        f"CONSTRAINT ck_reading_lists_purpose CHECK (purpose IN ({_PURPOSES}))"
    )
