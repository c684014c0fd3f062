"""What the database itself puts together of the tables of scoring."""

from __future__ import annotations

from sqlalchemy import Column, Float, MetaData, Table, Text

from db.columns import Digest, Id, UtcTime, word
from xray_core.records import Label, Outcome

# A view: each X-ray with the champion's result (else its newest), shadow ones never, and its latest label.
current_results = Table(
    "current_results",
    MetaData(),
    Column("xray_id", Id),
    Column("sha256", Digest),
    Column("patient", Text),
    Column("result_id", Id),
    Column("model_id", Id),
    Column("model_version", Text),
    Column("preprocessing_version", Text),
    Column("probability", Float(53)),
    Column("outcome", word(Outcome, "outcome")),
    Column("refer_reason", Text),
    Column("scored_at", UtcTime),
    Column("label", word(Label, "label")),
    Column("labelled_by", Text),
    Column("labelled_at", UtcTime),
    Column("study", Digest),
    Column("image", Digest),
)
