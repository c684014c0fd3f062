from __future__ import annotations

import resource
import time
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select

from db.engine import snapshot, transaction
from db.records import ClaimedFile
from db.scoring import claims, decisions, file_history
from db.scoring.tables import IncomingFileRow, ResultRow, XrayRow
from tests.db.rows import (
    NOW,
    add_champion,
    add_incoming,
    claim,
    file_seen,
    record,
    refused_file,
    score_files,
    scored_file,
    sha256_of,
    signed,
)
from xray_core.records import FileState, ReasonCode, unescape_name

LATER = NOW + timedelta(minutes=5)


def names(claimed: list[ClaimedFile]) -> list[bytes]:
    return [file.seen.name for file in claimed]


def known(engine: Engine, now: datetime) -> list[int]:
    with snapshot(engine) as session:
        return claims.decided_signatures(session, now).tolist()


def states(engine: Engine) -> dict[str, int]:
    with snapshot(engine) as session:
        return {state.value: count for state, count in file_history.count_states(session)[0].items() if count}


def test_a_claimed_file_is_nobody_elses(engine: Engine) -> None:
    mine = claim(engine, "b.png", "a.png", scanner="a")

    theirs = claim(engine, "a.png", "b.png", "c.png", scanner="b")

    assert names(mine) == [b"b.png", b"a.png"]
    assert names(theirs) == [b"c.png"]


def test_a_dead_scanners_claim_is_free_at_once_and_a_silent_ones_after_its_lease(engine: Engine) -> None:
    claim(engine, "a.png", scanner="a")

    assert names(claim(engine, "a.png", scanner="b", alive=["a", "b"])) == []
    assert names(claim(engine, "a.png", scanner="b", alive=["b"])) == [b"a.png"]
    assert names(claim(engine, "a.png", scanner="a", now=NOW + timedelta(seconds=601))) == [b"a.png"]


def test_what_is_free_by_reading_alone_is_what_a_claim_then_gets(engine: Engine) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"scored.png": "A", "rewritten.png": "B"})
    (deferred, due) = claim(engine, "deferred.png", "due.png")
    record(
        engine,
        refused=[
            refused_file(deferred.file_id, ReasonCode.TRUNCATED, retry_at=LATER + timedelta(hours=1)),
            refused_file(due.file_id, ReasonCode.TRUNCATED, retry_at=LATER),
        ],
    )
    claim(engine, "held.png", scanner="b")
    claim(engine, "of the dead.png", scanner="c")
    claim(engine, "mine.png", scanner="a")
    expected = [b"rewritten.png", b"due.png", b"of the dead.png", b"mine.png", b"\xff new.png"]
    others = ["scored.png", "deferred.png", "held.png"]
    listed = [file_seen(name) for name in (*others, *expected)]
    listed = [file_seen(one.name, size=200) if one.name == b"rewritten.png" else one for one in listed]

    with snapshot(engine) as session:
        free = claims.find_free(
            session,
            listed,
            folder_id=1,
            scanner="a",
            now=LATER,
            is_alive=lambda name: name in ("a", "b"),
        )

    assert [seen.name for seen in free] == expected
    assert names(claim(engine, *listed, now=LATER)) == expected


def test_a_name_that_is_listed_twice_is_claimed_once(engine: Engine) -> None:
    claimed = claim(engine, "a.png", "a.png")

    assert names(claimed) == [b"a.png"]


def test_a_scored_file_is_known_and_not_claimed_again(engine: Engine) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A", "b.png": "B"})

    again = claim(engine, "a.png", "b.png")

    assert again == []
    assert known(engine, NOW) == sorted(signed(file_seen(name))[1] for name in ("a.png", "b.png"))
    assert states(engine) == {"scored": 2}


def test_a_deferred_file_is_known_until_its_next_look(engine: Engine) -> None:
    (file,) = claim(engine, "a.png")
    record(engine, refused=[refused_file(file.file_id, ReasonCode.TRUNCATED, retry_at=LATER)])

    assert len(known(engine, NOW)) == 1
    assert claim(engine, "a.png") == []
    assert known(engine, LATER) == []
    (again,) = claim(engine, "a.png", now=LATER)
    assert (again.file_id, again.deferred_since, again.tries) == (file.file_id, NOW, 1)


def test_a_retry_that_a_wrong_clock_put_years_ahead_is_due_and_its_deferral_begins_anew(engine: Engine) -> None:
    """A clock ten years fast for one scan, then set right."""
    wrong = NOW + timedelta(days=3650)
    (file,) = claim(engine, "a.png", now=wrong)
    record(
        engine,
        refused=[refused_file(file.file_id, ReasonCode.TRUNCATED, retry_at=wrong + timedelta(minutes=1))],
        now=wrong,
    )

    assert known(engine, NOW) == []
    (again,) = claim(engine, "a.png", now=NOW)
    assert (again.file_id, again.deferred_since) == (file.file_id, None)
    record(engine, refused=[refused_file(file.file_id, ReasonCode.TRUNCATED, retry_at=LATER)])
    (third,) = claim(engine, "a.png", now=LATER)
    assert third.deferred_since == NOW


def test_a_second_deferral_counts_and_keeps_the_time_of_the_first(engine: Engine) -> None:
    (file,) = claim(engine, "a.png")
    record(engine, refused=[refused_file(file.file_id, ReasonCode.TRUNCATED, retry_at=LATER)])
    claim(engine, "a.png", now=LATER)
    much_later = LATER + timedelta(hours=1)
    record(engine, refused=[refused_file(file.file_id, ReasonCode.EMPTY, retry_at=much_later)], now=LATER)

    (again,) = claim(engine, "a.png", now=much_later)

    assert (again.deferred_since, again.tries) == (NOW, 2)


def test_a_deferred_file_that_changed_starts_again_in_its_own_row(engine: Engine) -> None:
    (file,) = claim(engine, "a.png")
    record(engine, refused=[refused_file(file.file_id, ReasonCode.TRUNCATED, retry_at=LATER)])

    (again,) = claim(engine, file_seen("a.png", size=200))

    assert (again.file_id, again.deferred_since, again.tries) == (file.file_id, None, 0)
    assert states(engine) == {"new": 1}


def test_new_content_under_a_scored_name_gets_a_new_row_and_the_old_one_stays(engine: Engine) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A"})
    (file,) = claim(engine, file_seen("a.png", size=200), now=LATER)
    record(engine, scored=[scored_file(file.file_id, "B", 0.1)], model=model, now=LATER)

    with snapshot(engine) as session:
        newest, oldest = file_history.explain_file(session, "a.png")

    assert (newest.xray_sha256, newest.probability, newest.superseded_at) == (sha256_of("B"), 0.1, None)
    assert (oldest.xray_sha256, oldest.probability, oldest.superseded_at) == (sha256_of("A"), 0.9, LATER)
    assert states(engine) == {"scored": 1}


def test_one_content_under_two_names_has_one_xray_and_one_result(engine: Engine) -> None:
    model = add_champion(engine)
    score_files(engine, model, {"a.png": "A", "copy.png": "A"})
    (file,) = claim(engine, "third.png")
    record(engine, scored=[scored_file(file.file_id, "A", None)], model=model)

    with snapshot(engine) as session:
        counts = [session.scalar(select(func.count()).select_from(row)) for row in (XrayRow, ResultRow)]
        path = session.scalar(select(XrayRow.path))
        found = decisions.find_scored(
            session, [sha256_of("A"), sha256_of("B")], model.model_id, model.preprocessing_version
        )

    assert counts == [1, 1]
    assert path == "third.png"
    assert found == {sha256_of("A")}
    assert states(engine) == {"scored": 3}


def test_a_scanner_that_lost_its_claim_writes_nothing(engine: Engine) -> None:
    model = add_champion(engine)
    (file,) = claim(engine, "a.png", scanner="a")
    claim(engine, "a.png", scanner="b", alive=["b"])

    record(engine, scored=[scored_file(file.file_id, "A")], scanner="a", model=model)
    record(engine, refused=[refused_file(file.file_id, ReasonCode.EMPTY)], scanner="a")

    assert states(engine) == {"new": 1}
    with snapshot(engine) as session:
        assert session.scalar(select(func.count()).select_from(ResultRow)) == 0


@pytest.mark.parametrize(
    "name", [b"=cmd.png", b"a\nb\t.png", b"\xff\xfe.png", "\u202egnp.exe".encode(), b"x" * 255, b"a\\x41"]
)
def test_a_hostile_name_is_kept_reversibly(engine: Engine, name: bytes) -> None:

    (file,) = claim(engine, file_seen(name))
    record(engine, refused=[refused_file(file.file_id, ReasonCode.BAD_NAME)])

    with snapshot(engine) as session:
        stored = session.scalar(select(IncomingFileRow.name))

    assert stored is not None
    assert stored.isprintable()
    assert unescape_name(stored) == name
    assert claim(engine, file_seen(name)) == []


def test_a_file_that_went_away_is_closed_and_comes_back_as_new(engine: Engine) -> None:
    (file,) = claim(engine, "a.png")
    record(engine, refused=[refused_file(file.file_id, ReasonCode.TRUNCATED, retry_at=LATER)])
    tomorrow = NOW + timedelta(days=1)

    with transaction(engine) as session:
        overdue = decisions.find_overdue(session, folder_id=add_incoming(session), before=tomorrow)
        decisions.mark_gone(session, [file_id for file_id, _ in overdue], now=tomorrow)

    assert overdue == [(file.file_id, "a.png")]
    assert states(engine) == {FileState.REJECTED: 1}
    (back,) = claim(engine, "a.png", now=tomorrow)
    assert back.file_id != file.file_id


def test_reasons_are_counted(engine: Engine) -> None:
    first, second = claim(engine, "a.png", "b.png")
    record(engine, refused=[refused_file(file.file_id, ReasonCode.CORRUPT_IMAGE) for file in (first, second)])

    with snapshot(engine) as session:
        assert file_history.count_states(session)[1] == {ReasonCode.CORRUPT_IMAGE: 2}
    assert states(engine) == {FileState.REJECTED: 2}


def test_no_signature_is_lost_between_the_parts_that_are_read(engine: Engine) -> None:
    wanted = 10_001
    with transaction(engine) as session:
        folder = {"folder_id": add_incoming(session)}
        rows = [decided_row(number) | folder for number in range(wanted)]
        session.connection().execute(IncomingFileRow.__table__.insert(), rows)

    found = known(engine, NOW)

    assert found == sorted(row["signature"] for row in rows)


def test_a_lookup_of_some_files_knows_of_them_what_the_whole_history_does(engine: Engine) -> None:
    with transaction(engine) as session:
        folder = {"folder_id": add_incoming(session)}
        waiting = {"state": FileState.DEFERRED, "reason_code": ReasonCode.UNSETTLED, "retry_at": LATER}
        rows = [decided_row(number) | folder | {"retry_at": None} for number in range(5_000)]
        rows[::3] = [row | waiting for row in rows[::3]]
        session.connection().execute(IncomingFileRow.__table__.insert(), rows)
    asked: list[int] = [row["signature"] for row in rows[::2]] + [row["signature"] ^ 1 for row in rows[:10]]

    for now in (NOW, LATER + timedelta(seconds=1)):
        with snapshot(engine) as session:
            some = claims.decided_among(session, asked, now).tolist()
            assert claims.newest_file_id(session) == 5_000
        assert some == sorted(set(known(engine, now)) & set(asked))
        assert some


@pytest.mark.slow
def test_a_million_known_files_are_read_in_a_second_and_16_mib(engine: Engine) -> None:
    with transaction(engine) as session:
        for start in range(0, 1_000_000, 50_000):
            folder = {"folder_id": add_incoming(session)}
            rows = [decided_row(number) | folder for number in range(start, start + 50_000)]
            session.connection().execute(IncomingFileRow.__table__.insert(), rows)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    found = known_array_length(engine)
    seconds = time.perf_counter() - started
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"1,000,000 signatures: {seconds:.2f} s, {grown_mib:.0f} MiB more")

    assert found == 1_000_000
    assert grown_mib < 16
    assert seconds < 10  # far above what it takes, so that a busy machine does not fail it


def known_array_length(engine: Engine) -> int:
    with snapshot(engine) as session:
        return len(claims.decided_signatures(session, NOW))


def decided_row(number: int) -> dict[str, object]:
    return {
        "name": f"xray-{number:07}.png",
        "size": 1,
        "mtime_ns": 1,
        "ctime_ns": 1,
        "signature": (number * 0x9E3779B97F4A7C15) % 2**64 - 2**63,
        "state": FileState.REJECTED,
        "reason_code": ReasonCode.EMPTY,
        "first_seen_at": NOW,
        "decided_at": NOW,
        "tries": 1,
    }
