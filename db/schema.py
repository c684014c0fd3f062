"""The tables, as the newest migration leaves them."""

from __future__ import annotations

# Who opens the database knows all of its tables: what is not known is neither sealed nor verified.
import db.reading.tables
import db.registry.tables
import db.scoring.tables  # noqa: F401

# The revision that this code needs; `check_schema` compares it without importing Alembic.
HEAD = "0010"


# Triggers refuse every UPDATE and DELETE here.
APPEND_ONLY = (
    "results",
    "labels",
    "split_members",
    "evaluations",
    "audit_log",
    "site_keys",
    "folders",
    "patient_facts",
    "readers",
    "reading_lists",
    "reading_list_items",
)
