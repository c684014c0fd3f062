"""Results carry the pseudonyms of their study and image, so that they join with a PACS without a name.

Results of before keep none: what was written once is never changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

CURRENT_RESULTS = """
CREATE VIEW current_results AS
SELECT x.id AS xray_id, x.sha256 AS sha256, x.patient AS patient,
       r.id AS result_id, r.model_id AS model_id, m.version AS model_version,
       r.preprocessing_version AS preprocessing_version, r.probability AS probability, r.outcome AS outcome,
       r.refer_reason AS refer_reason, r.scored_at AS scored_at,
       l.label AS label, l.reader AS labelled_by, l.labelled_at AS labelled_at,
       r.study AS study, r.image AS image
FROM xrays AS x
LEFT JOIN results AS r ON r.id = coalesce(
    (SELECT max(c.id) FROM results AS c
     WHERE c.xray_id = x.id AND NOT c.shadow AND c.model_id = (SELECT id FROM models WHERE stage = 'champion')),
    (SELECT max(n.id) FROM results AS n WHERE n.xray_id = x.id AND NOT n.shadow))
LEFT JOIN models AS m ON m.id = r.model_id
LEFT JOIN labels AS l ON l.id = (SELECT max(k.id) FROM labels AS k WHERE k.xray_id = x.id)
"""


def upgrade() -> None:
    """Add the columns, and show them in the view."""
    op.execute("DROP VIEW current_results")
    for name in ("study", "image"):
        op.add_column("results", sa.Column(name, sa.String(32)))
    op.execute(CURRENT_RESULTS)
