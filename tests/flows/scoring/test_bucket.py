"""Films that arrive in a bucket: listed, fetched, scored and moved as those of a folder are, on a real server."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update

from db.engine import open_engine, snapshot, transaction
from db.scoring import whereabouts
from db.scoring.folders import find_folder
from db.scoring.tables import IncomingFileRow
from flows.home.films import make_locator, name_folder
from flows.home.ledger import find_anchor
from flows.operations.file_story import explain
from flows.operations.missing_films import let_missing_go
from flows.operations.verification import find_breach
from flows.scoring import bucket_store, listing
from flows.scoring.arrivals import find_arrivals
from flows.scoring.scan import open_scan
from flows.settings import Settings
from tests.buckets import OwnBucket
from tests.factories import write_xray
from tests.films import FILMS
from tests.flows.scoring.test_scan import count_results, read_lines, scan
from xray_core.errors import NoBucket, UnreadableXray
from xray_core.processes.records import DecoderLimits
from xray_core.reading.film_reader import FilmOrder, FilmReader
from xray_core.records import FileState, FolderKind, PatientSource, ReasonCode, Refusal
from xray_core.stores import bucket as buckets
from xray_core.stores.bucket import examine_buckets, open_bucket


def film(folder: Path, seed: int = 0) -> bytes:
    return write_xray(folder / f"seed-{seed}.png", seed=seed).read_bytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def incoming(settings: Settings, bucket: OwnBucket, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("XRAY_INCOMING", bucket.incoming)
    return settings.but({"incoming": bucket.incoming})


def make_due(settings: Settings) -> None:
    """The pause of what was deferred is over."""
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        session.execute(text("UPDATE incoming_files SET retry_at = deferred_since WHERE state = 'deferred'"))
    engine.dispose()


def test_every_film_below_the_prefix_gets_one_result_and_a_second_scan_writes_none(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    for seed, key in enumerate(("in/a.png", "in/2026/05/b c#1%.png", "in/ü.png", "elsewhere/d.png")):
        bucket.put(key, film(tmp_path, seed))
    bucket.put("in/notes.txt.part", b"not a delivery")
    bucket.put_raw("in/made-by-a-console/", b"")
    bucket.put_raw("in/ü.png/", b"")  # beside a film of that name

    assert find_arrivals(incoming).is_waiting
    first, second = scan(incoming), scan(incoming)

    assert (first.scored, first.files, second.files) == (3, 3, 0)
    assert not find_arrivals(incoming).is_waiting
    assert set(read_lines(incoming)) == {"a.png", "2026/05/b c#1%.png", "ü.png"}
    assert count_results(incoming) == 3
    assert find_breach(incoming)[0] is None
    assert "scored: P(covid)" in " ".join(explain(incoming, f"{bucket.incoming}/2026/05/b c#1%.png").lines)
    assert "no scan has ever seen it" in " ".join(explain(incoming, "nowhere/b.png").lines)


@pytest.mark.films
def test_a_real_film_gets_the_same_score_from_a_bucket_as_from_a_folder(
    settings: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    other = settings.but({"home": tmp_path / "other", "incoming": bucket.incoming})
    if settings.database_url is not None:
        pytest.skip("two homes with a ledger each")
    shutil.copytree(settings.home, other.home)
    for path in sorted((FILMS / "incoming").iterdir())[:6]:
        shutil.copy(path, settings.incoming_dir)
        bucket.put(f"in/{path.name}", path.read_bytes())

    scan(settings)
    scan(other)

    from_folder, from_bucket = read_lines(settings), read_lines(other)
    assert len(from_folder) == 6
    assert {name: (line.xray_sha256, line.probability_covid) for name, line in from_folder.items()} == {
        name: (line.xray_sha256, line.probability_covid) for name, line in from_bucket.items()
    }


def test_what_is_overwritten_between_listing_and_reading_is_deferred_and_its_new_content_scored(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    old, new = film(tmp_path, 1), film(tmp_path, 2)
    bucket.put("in/a.png", old)
    bucket.put("in/gone.png", film(tmp_path, 3))

    with open_scan(incoming) as one:
        for batch in one.find_batches():
            bucket.put("in/a.png", new)
            bucket.remove("in/gone.png")
            one.score(batch)

    assert one.counts.deferred == {"CHANGED_DURING_READ": 1, "GONE": 1}
    assert count_results(incoming) == 0
    assert scan(incoming).scored == 1
    assert read_lines(incoming)["a.png"].xray_sha256 == sha256(new)
    assert read_lines(incoming)["gone.png"].state is FileState.DEFERRED


def test_what_the_store_does_not_hand_over_is_asked_for_again_and_nothing_is_lost(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    bucket.put("in/b.png", film(tmp_path, 1))
    scan(incoming)
    bucket.put("in/a.png", film(tmp_path, 2))

    with bucket.without_reading():
        refused = scan(incoming)
        with pytest.raises(NoBucket, match="nobody can tell which films are there"):
            let_missing_go(incoming)
    make_due(incoming)

    assert refused.deferred == {"UNREADABLE": 1}
    assert "the store does not hand it over (HTTP 403)" in " ".join(explain(incoming, "a.png").lines)
    assert scan(incoming).scored == 1
    assert find_breach(incoming)[0] is None


def test_a_bucket_without_rights_or_that_is_not_there_is_one_sentence(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("in/a.png", film(tmp_path))
    nowhere = incoming.but({"incoming": "s3://no-such-bucket/in"})

    with bucket.without_rights(), pytest.raises(NoBucket, match="may not list it"):
        scan(incoming)
    with pytest.raises(NoBucket, match=r"^s3://no-such-bucket/in: there is no such bucket"):
        scan(nowhere)
    open_bucket.cache_clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://203.0.113.1")
    with pytest.raises(NoBucket, match="plain http:// on another machine"):
        scan(incoming)

    assert count_results(incoming) == 0


def test_in_a_terminal_it_is_exit_code_2_and_no_traceback(
    incoming: Settings, bucket: OwnBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_INCOMING", "s3://no-such-bucket/in")

    done = subprocess.run([sys.executable, "-m", "flows", "scan"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.strip().endswith("mend XRAY_INCOMING, or the endpoint (docs/scale.md)")
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_the_extra_it_says_what_to_install(incoming: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    open_bucket.cache_clear()

    with pytest.raises(NoBucket, match=r"pip install 'xray-scoring\[s3\]'"):
        scan(incoming)


@pytest.mark.parametrize("key", ["in/a//b.png", "in/a/./b.png", "in/../b.png", "in/a\x7fb.png"])
def test_a_key_that_no_listing_gets_past_is_named_wherever_it_lies(
    incoming: Settings, bucket: OwnBucket, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "_PAGE", 2)
    for name in ("0", "1", "2"):
        bucket.put(f"in/{name}.part", b"x")
    bucket.put_raw(key, b"x")
    named = re.escape(f"the key {key!r} has a part that is empty, `.` or `..`, or a control character")

    with pytest.raises(NoBucket, match=named):
        scan(incoming)
    ((what, way_out),) = examine_buckets(bucket.incoming, None)

    assert re.search(named, what)
    assert way_out == "rename that object"
    assert "no scan has ever seen it" in " ".join(explain(incoming, "b.png").lines)  # the bucket is there


@pytest.mark.parametrize("name", ["./a.png", "a//b.png", "s3://other/a.png", "a\nb.png", "../a.png", b"\xff.png"])
def test_what_can_be_no_key_is_a_film_that_nobody_has_seen(
    incoming: Settings, bucket: OwnBucket, name: str | bytes
) -> None:
    story = explain(incoming, os.fsdecode(name)).lines

    assert f"not in {bucket.incoming}, and no scan has ever seen it" in " ".join(story)
    with pytest.raises(UnreadableXray) as caught:
        open_bucket(bucket.incoming).read(os.fsencode(name))
    assert caught.value.reason is ReasonCode.GONE


def test_what_lies_beside_a_film_counts_in_a_bucket_too(incoming: Settings, bucket: OwnBucket, tmp_path: Path) -> None:
    cut, whole = film(tmp_path, 1), film(tmp_path, 2)
    bucket.put("in/cut.png", cut)
    bucket.put("in/cut.png.sha256", f"{'0' * 64}  cut.png\n".encode())
    bucket.put("in/whole.png", whole)
    bucket.put("in/whole.png.sha256", f"{sha256(whole)}  whole.png\n".encode())
    bucket.put("in/whole.png.patient", b"PATIENT-7\n")

    counts = scan(incoming.but({"patient_from": PatientSource.SIDECAR}))

    assert (counts.scored, counts.deferred) == (1, {"TRUNCATED": 1})
    assert read_lines(incoming)["whole.png"].patient


def test_a_scored_film_moves_below_the_archives_prefix_and_no_other_does(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    archiving = incoming.but({"archive_dir": f"s3://{bucket.name}/scored"})
    contents = {key: film(tmp_path, seed) for seed, key in enumerate(("a.png", "2026/b.png", "taken.png"))}
    for key, content in contents.items():
        bucket.put(f"in/{key}", content)
    bucket.put("in/a.png.sha256", f"{sha256(contents['a.png'])}  a.png\n".encode())
    bucket.put("in/broken.png", b"no film")
    bucket.put("scored/taken.png", b"another film has this name")

    counts = scan(archiving)

    other = f"scored/{sha256(contents['taken.png'])[:16]}-taken.png"
    assert counts.scored == 3
    assert counts.unarchived == {}
    assert bucket.keys() == sorted(
        ["in/broken.png", "scored/2026/b.png", "scored/a.png", "scored/a.png.sha256", other, "scored/taken.png"]
    )
    assert bucket.get("scored/taken.png") == b"another film has this name"
    assert find_breach(archiving)[0] is None
    assert find_breach(incoming)[0] is None  # the ledger knows where they went


def test_a_film_that_is_replaced_while_it_is_archived_stays_and_is_scored(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    old, new = film(tmp_path, 1), film(tmp_path, 2)
    bucket.put("in/a.png", old)
    assert scan(incoming).scored == 1
    bucket.put("in/a.png", new)

    counts = scan(incoming.but({"archive_dir": f"s3://{bucket.name}/scored"}))

    assert counts.scored == 1
    assert bucket.keys() == ["scored/a.png"]
    assert bucket.get("scored/a.png") == new


def test_a_move_that_was_killed_is_finished_and_one_without_rights_is_asked_for_again(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    archiving = incoming.but({"archive_dir": f"s3://{bucket.name}/scored"})
    bucket.put("in/a.png", film(tmp_path, 1))
    bucket.put("in/b.png", film(tmp_path, 2))
    assert scan(incoming).scored == 2
    bucket.put("scored/a.png", bucket.get("in/a.png"))  # killed after the copy
    bucket.put("scored/b.png", bucket.get("in/b.png"))
    bucket.remove("in/b.png")  # and before the ledger knew

    with bucket.without_reading():
        refused = scan(archiving)
    finished = scan(archiving)

    assert refused.unarchived == {"EACCES": 2}
    assert finished.unarchived == {}
    assert bucket.keys() == ["scored/a.png", "scored/b.png"]
    assert find_breach(archiving)[0] is None


def test_a_film_that_vanishes_from_the_bucket_is_missed_and_may_be_let_go(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    bucket.put("in/a.png", film(tmp_path))
    scan(incoming)
    bucket.remove("in/a.png")

    breach, _ = find_breach(incoming)

    assert breach is not None
    assert f"{bucket.incoming}/a.png (GONE)" in breach
    assert let_missing_go(incoming) == 1
    assert find_breach(incoming)[0] is None


def test_a_bucket_that_is_not_there_lets_no_film_go_and_closes_none_that_waits(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    bucket.put("in/a.png", film(tmp_path, 1))
    bucket.put("in/cut.png", film(tmp_path, 2)[:900])
    assert scan(incoming).scored == 1
    engine = open_engine(incoming.url, anchor=find_anchor(incoming))
    with transaction(engine) as session:
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        session.execute(update(IncomingFileRow).where(IncomingFileRow.state == "deferred").values(retry_at=long_ago))
    engine.dispose()
    bucket.vanish()

    for ask in (find_breach, let_missing_go, scan, lambda settings: explain(settings, "b.png")):
        with pytest.raises(NoBucket, match="there is no such bucket: mend XRAY_INCOMING, or the endpoint"):
            ask(incoming)

    assert read_lines(incoming)["cut.png"].state is FileState.DEFERRED


def test_a_bucket_that_goes_away_while_films_are_looked_for_lets_none_go(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    for seed in range(2):
        bucket.put(f"in/{seed}.png", film(tmp_path, seed))
    scan(incoming)

    with pytest.raises(NoBucket, match="there is no such bucket"):
        let_missing_go(incoming, on_progress=lambda _: bucket.vanish())


def test_a_page_shows_a_film_from_the_bucket_while_it_holds_that_picture(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    content = film(tmp_path)
    bucket.put("in/a.png", content)
    scan(incoming)
    engine = open_engine(incoming.url, anchor=find_anchor(incoming))
    with snapshot(engine) as session:
        (recorded,) = whereabouts.iter_films(session)
        assert find_folder(session, FolderKind.INCOMING, name_folder(incoming, FolderKind.INCOMING)) is not None
    engine.dispose()
    order = FilmOrder("1", make_locator(incoming)(recorded.path), recorded.sha256)
    films = FilmReader(DecoderLimits(1, 20, 512))

    shown, small = films.read(order), films.shrink(order)
    bucket.put("in/a.png", film(tmp_path, 5))
    other = films.read(order)
    bucket.remove("in/a.png")
    gone = films.read(order)
    films.close()

    assert isinstance(shown, bytes)
    assert isinstance(small, bytes)
    assert small.startswith(b"\x89PNG")
    assert [answer.reason for answer in (other, gone) if isinstance(answer, Refusal)] == [ReasonCode.GONE] * 2


def test_a_large_bucket_is_listed_from_the_last_key_on_and_what_was_deferred_is_asked_for_by_its_key(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "CHEAP_KEYS", 1)
    monkeypatch.setattr(listing, "LATE", timedelta(0))
    bucket.put("in/2026-05-01/a.png", film(tmp_path, 1))
    bucket.put("in/2026-05-01/cut.png", film(tmp_path, 2)[:900])
    first = scan_scheduled(incoming)
    bucket.put("in/2026-05-02/c.png", film(tmp_path, 3))
    bucket.put("in/2025-01-01/old.png", film(tmp_path, 4))
    bucket.put("in/2026-05-01/cut.png", film(tmp_path, 2))
    make_due(incoming)

    second, asked = scan_scheduled(incoming), scan(incoming)

    assert first == {"scored": 1, "deferred": 1}
    assert second == {"scored": 2, "deferred": 0}
    assert asked.scored == 1  # by a person: all of it
    assert set(read_lines(incoming)) == {
        "2026-05-01/a.png",
        "2026-05-01/cut.png",
        "2026-05-02/c.png",
        "2025-01-01/old.png",
    }


def test_a_film_whose_key_sorts_before_one_that_was_scored_a_moment_ago_is_seen_by_the_very_next_run(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path
) -> None:
    note = incoming.home / "run" / "listing.json"
    an_hour_ago = listing.Listing(bucket.incoming, datetime.now(UTC).isoformat(), 20_000, "2026-05-01/0900.png")
    listing.write_listing(note, an_hour_ago)
    bucket.put("in/2026-05-01/1001-b.png", film(tmp_path, 1))
    assert scan_scheduled(incoming)["scored"] == 1
    bucket.put("in/2026-05-01/1000-a.png", film(tmp_path, 2))
    bucket.put("in/2026-05-01/0800.png", film(tmp_path, 3))

    assert scan_scheduled(incoming)["scored"] == 1

    assert set(read_lines(incoming)) == {"2026-05-01/1000-a.png", "2026-05-01/1001-b.png"}
    assert scan_scheduled(incoming)["scored"] == 0
    found = listing.read_listing(note, bucket.incoming)
    assert found is not None
    assert found.last == "2026-05-01/0900.png"  # nothing behind it is an hour old


def test_films_that_are_gone_keep_no_deferred_one_of_a_large_bucket_from_its_turn(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "CHEAP_KEYS", 1)
    monkeypatch.setattr(listing, "LATE", timedelta(0))
    monkeypatch.setattr(bucket_store, "_MOST_LOOKED_UP", 2)
    for seed, key in enumerate(("in/a.png", "in/b.png", "in/c.png", "in/d.png", "in/z.png")):
        bucket.put(key, film(tmp_path, seed)[:900])
    assert scan_scheduled(incoming)["deferred"] == 5
    for key in ("in/a.png", "in/b.png", "in/c.png"):
        bucket.remove(key)
    bucket.put("in/d.png", film(tmp_path, 9))
    make_due(incoming)

    assert scan_scheduled(incoming)["scored"] == 1


def test_a_run_that_ended_before_it_had_scored_what_it_listed_leaves_it_to_the_next_one(
    incoming: Settings, bucket: OwnBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "CHEAP_KEYS", 0)
    monkeypatch.setattr(listing, "LATE", timedelta(0))
    bucket.put("in/a.png", film(tmp_path, 1))
    assert scan_scheduled(incoming)["scored"] == 1
    bucket.put("in/b.png", film(tmp_path, 2))

    with pytest.raises(KeyboardInterrupt):
        list_and_be_interrupted(incoming)

    assert scan_scheduled(incoming)["scored"] == 1


def list_and_be_interrupted(settings: Settings) -> None:
    with open_scan(settings, flow_run_id="00000000-0000-0000-0000-000000000002") as one:
        assert [seen.name for batch in one.find_batches() for seen in batch.files] == [b"b.png"]
        raise KeyboardInterrupt


def scan_scheduled(settings: Settings) -> dict[str, int]:
    """As a run of Prefect's does."""
    with open_scan(settings, flow_run_id="00000000-0000-0000-0000-000000000001") as one:
        for batch in one.find_batches():
            one.score(batch)
    return {"scored": one.counts.scored, "deferred": one.counts.deferred.total()}
