"""Claims on incoming files: which files are new, who holds them, and until when."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, insert, select, text, update
from sqlalchemy.orm import Session

from db.bulk import pieces, read_rows
from db.columns import UtcTime
from db.records import ClaimedFile
from db.scoring.decisions import DECIDED, UNDECIDED, past
from db.scoring.tables import IS_UNDECIDED, IncomingFileRow
from db.sealing import changing
from xray_core.imaging.records import LONGEST_RETRY, FileSeen
from xray_core.records import FileState, escape_name

# In words, not as parameters: only so does SQLite see that its partial index holds all that is asked.
_DECIDED = (
    "SELECT signature FROM incoming_files WHERE superseded_at IS NULL AND state <> 'new' "
    "AND (retry_at IS NULL OR (retry_at > :now AND retry_at <= :latest))"
)
_TIMES = (bindparam("now", type_=UtcTime), bindparam("latest", type_=UtcTime))
_KNOWN = text(f"{_DECIDED} ORDER BY signature").bindparams(*_TIMES)


_AMONG = text(f"{_DECIDED} AND signature IN :asked ORDER BY signature").bindparams(
    *_TIMES, bindparam("asked", expanding=True)
)


def newest_file_id(session: Session) -> int:
    """The number of the file that was recorded last, 0 before the first: no more than that can be known."""
    return session.scalar(select(func.max(IncomingFileRow.id))) or 0


def decided_among(session: Session, signatures: Sequence[int], now: datetime) -> array[int]:
    """Those of the given signatures, ascending, that `decided_signatures` holds: the cost follows what was asked."""
    known: list[int] = []
    for part in pieces(signatures):
        times = {"now": now, "latest": now + LONGEST_RETRY}
        known += session.connection().execute(_AMONG, times | {"asked": list(part)}).scalars()
    return array("q", sorted(known))


def decided_signatures(session: Session, now: datetime) -> array[int]:
    """The signatures, ascending, of all files that need no work now: scored, rejected, or deferred until later.

    Read from an index alone, row by row: 8 bytes of memory per known file.
    """
    known = array("q")
    for part in read_rows(session, _KNOWN.bindparams(now=now, latest=now + LONGEST_RETRY)):
        known.extend(chain.from_iterable(part))
    return known


def next_look(session: Session, folder_id: int, now: datetime) -> datetime | None:
    """When the first deferred file of a folder is due that is not due yet, or None."""
    row = IncomingFileRow
    return session.scalar(
        select(func.min(row.retry_at)).where(
            row.folder_id == folder_id,
            row.superseded_at.is_(None),
            IS_UNDECIDED,
            row.state == FileState.DEFERRED,
            row.retry_at > now,
        )
    )


def find_free(
    session: Session,
    files: Sequence[FileSeen],
    *,
    folder_id: int,
    scanner: str,
    now: datetime,
    is_alive: Callable[[str], bool],
) -> list[FileSeen]:
    """Those that a claim would get now, by reading alone: nobody waits for whoever only asks."""
    known = {row.name: row for row in _read_current(session, folder_id, [escape_name(seen.name) for seen in files])}
    alive = cache(is_alive)
    return [seen for seen in files if _is_free(known.get(escape_name(seen.name)), seen, scanner, now, alive)]


def claim_files(
    session: Session,
    files: Sequence[tuple[FileSeen, int]],
    *,
    folder_id: int,
    scanner: str,
    now: datetime,
    lease_seconds: float,
    is_alive: Callable[[str], bool],
) -> list[ClaimedFile]:
    """Reserve for this scanner what nobody else works on, and return it; each file comes with its signature.

    A name never seen before gets a row. One whose size or times changed gets a new row if the old version was
    decided (that one is then superseded), else its row starts again. Skipped are files that were decided
    meanwhile, that are deferred until later, or that another living scanner holds.
    """
    offered = {escape_name(seen.name): (seen, signature) for seen, signature in files}
    known = {row.name: row for row in _read_current(session, folder_id, list(offered))}
    alive = cache(is_alive)  # it is the same answer for all files of one scanner
    plan, new = _Plan(), {"folder_id": folder_id, "first_seen_at": now}
    for name, (seen, signature) in offered.items():
        row = known.get(name)
        if not _is_free(row, seen, scanner, now, alive):
            continue
        if row is None:
            plan.added.append(_describe(seen, signature) | new | {"name": name})
        elif _is_unchanged(row, seen):
            plan.taken.append(row.id)
            plan.claimed.append(ClaimedFile(row.id, seen, past(row.deferred_since, now), row.tries))
        elif row.state in DECIDED:
            plan.replaced.append(row.id)
            plan.added.append(_describe(seen, signature) | new | {"name": name})
        else:
            plan.changed.append(_describe(seen, signature) | {"id": row.id})
            plan.claimed.append(ClaimedFile(row.id, seen, None, 0))
    claim = {"claimed_by": scanner, "claimed_until": now + timedelta(seconds=lease_seconds)}
    ids = _apply(session, plan, claim, now)
    added = [ClaimedFile(ids[row["name"]], offered[row["name"]][0], None, 0) for row in plan.added]
    order = {seen.name: place for place, (seen, _) in enumerate(offered.values())}
    return sorted(plan.claimed + added, key=lambda claimed: order[claimed.seen.name])


def renew(session: Session, file_ids: Sequence[int], *, scanner: str, until: datetime) -> None:
    """Prolong the lease of the files that this scanner still holds; one that another has by now stays with it."""
    row = IncomingFileRow
    for part in pieces(file_ids):
        session.execute(
            update(row).where(row.id.in_(part), row.claimed_by == scanner).values(claimed_until=until),
            execution_options={"synchronize_session": False},
        )


@dataclass(slots=True)
class _Plan:
    """What a claim will write, gathered before anything is written."""

    added: list[dict[str, Any]] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    claimed: list[ClaimedFile] = field(default_factory=list)


def _apply(session: Session, plan: _Plan, claim: dict[str, Any], now: datetime) -> dict[str, int]:
    """Write the plan; the ids of the added rows by name. Old versions step aside before the new ones come."""
    row = IncomingFileRow
    if plan.replaced:
        with changing(session, row, plan.replaced):
            session.execute(update(row), [{"id": file_id, "superseded_at": now} for file_id in plan.replaced])
    if plan.changed:
        session.execute(update(row), [UNDECIDED | changed | claim for changed in plan.changed])
    if plan.taken:
        session.execute(update(row), [{"id": file_id} | claim for file_id in plan.taken])
    if not plan.added:
        return {}
    added = session.execute(
        insert(row).returning(row.name, row.id), [UNDECIDED | given | claim for given in plan.added]
    )
    return dict(added.tuples().all())


def _describe(seen: FileSeen, signature: int) -> dict[str, Any]:
    return {"size": seen.size, "mtime_ns": seen.mtime_ns, "ctime_ns": seen.ctime_ns, "signature": signature}


def _read_current(session: Session, folder_id: int, names: Sequence[str]) -> Iterator[_Current]:
    row = IncomingFileRow
    columns = (
        row.id,
        row.name,
        row.size,
        row.mtime_ns,
        row.ctime_ns,
        row.state,
        row.retry_at,
        row.deferred_since,
        row.tries,
    )
    for part in pieces(names):
        found = session.execute(
            select(*columns, row.claimed_by, row.claimed_until).where(
                row.name.in_(part), row.folder_id == folder_id, row.superseded_at.is_(None)
            )
        )
        yield from (_Current(*values) for values in found.tuples())


class _Current(NamedTuple):
    """The current version of a file, as far as a claim must know it."""

    id: int
    name: str
    size: int
    mtime_ns: int
    ctime_ns: int
    state: FileState
    retry_at: datetime | None
    deferred_since: datetime | None
    tries: int
    claimed_by: str | None
    claimed_until: datetime | None


def _must_wait(retry_at: datetime | None, now: datetime) -> bool:
    """Whether a deferred file is not due yet. One later than any pause was put there by a clock that was wrong."""
    return retry_at is not None and now < retry_at <= now + LONGEST_RETRY


def _is_free(
    row: _Current | None, seen: FileSeen, scanner: str, now: datetime, is_alive: Callable[[str], bool]
) -> bool:
    """Whether there is something to do about a file that nobody else does."""
    if row is None:
        return True
    if _is_held(row, scanner, now, is_alive):
        return False
    return not _is_unchanged(row, seen) or (row.state not in DECIDED and not _must_wait(row.retry_at, now))


def _is_unchanged(row: _Current, seen: FileSeen) -> bool:
    return (row.size, row.mtime_ns, row.ctime_ns) == (seen.size, seen.mtime_ns, seen.ctime_ns)


def _is_held(row: _Current, scanner: str, now: datetime, is_alive: Callable[[str], bool]) -> bool:
    """Whether another scanner that still lives has the file, within its lease."""
    if row.claimed_by is None or row.claimed_until is None or row.claimed_by == scanner:
        return False
    return row.claimed_until > now and is_alive(row.claimed_by)
