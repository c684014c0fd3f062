"""The times that models were champion, and what each scored in them."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.records import ChampionTerm
from db.registry.tables import ChampionTermRow, ModelRow


def history(session: Session) -> list[ChampionTerm]:
    """Every time as champion, the first one first, with the X-rays that the model scored in it."""
    term = ChampionTermRow
    scored = _count_scored(session)
    rows = session.execute(
        select(term.id, ModelRow.version, term.since, term.until, term.actor, term.reason, term.evaluation_id)
        .join(ModelRow, ModelRow.id == term.model_id)
        .order_by(term.id)
    )
    return [ChampionTerm(*row[1:], scored[row[0]]) for row in rows.tuples()]


_IN_TERM = (
    "r.model_id = t.model_id AND r.scored_at >= t.since AND (t.until IS NULL OR r.scored_at < t.until) AND NOT r.shadow"
)
# Results in pieces of a thousand numbers, each with a term that it has a result of, and how many of its results are of
# that one: less than none where any is of another. Shadow results are of none.
_BY_PIECE = text(
    "WITH RECURSIVE pieces (first, last) AS (SELECT min(id), min(id) + 999 FROM results UNION ALL "  # noqa: S608
    "SELECT first + 1000, last + 1000 FROM pieces WHERE last < (SELECT max(id) FROM results)) "
    f"SELECT p.first, p.last, t.id, (SELECT sum(CASE WHEN r.shadow THEN 0 WHEN {_IN_TERM} THEN 1 ELSE -1000 END) "
    "FROM results r WHERE r.id BETWEEN p.first AND p.last) FROM pieces p LEFT JOIN champion_terms t ON t.id = "
    f"(SELECT t.id FROM results r CROSS JOIN champion_terms t WHERE r.id BETWEEN p.first AND p.last AND {_IN_TERM} "
    "ORDER BY r.id LIMIT 1)"
)
# CROSS JOIN has SQLite pass over the results once. Left to itself it goes from term to term.
_OF_PIECE = text(
    "SELECT t.id, count(*) FROM results r CROSS JOIN champion_terms t "  # noqa: S608
    f"WHERE r.id BETWEEN :first AND :last AND {_IN_TERM} GROUP BY t.id"
)


def _count_scored(session: Session) -> Counter[int]:
    """By the id of every term, the results that its model wrote in it.

    One model after the other is champion, so of a million results nearly every piece is of one term: only the others
    are sorted by terms, and to sort all takes twice as long as to pass over them. Nothing is taken on trust.
    """
    scored: Counter[int] = Counter()
    for first, last, term, count in session.execute(_BY_PIECE).tuples().all():
        if count is None or count >= 0:
            scored[term] += count or 0
        else:
            scored.update(dict(session.execute(_OF_PIECE, {"first": first, "last": last}).tuples().all()))
    return scored
