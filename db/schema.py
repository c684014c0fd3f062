"""The tables, as the newest migration leaves them."""

from __future__ import annotations

# The revision that this code needs; `check_schema` compares it without importing Alembic.
HEAD = "0003"


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
)
