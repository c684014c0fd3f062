"""A home whose films arrive in a bucket: examined, backed up, trained from, and looked into by `xray up`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from db.engine import open_engine, snapshot
from db.reading.labelled import read_labelled
from flows.home.backup import back_up, restore
from flows.home.films import make_locator, name_folder
from flows.home.folders import enter_home, refuse_output
from flows.home.initiation import initiate
from flows.home.ledger import find_anchor
from flows.operations.doctor import examine
from flows.operations.verification import find_breach
from flows.registry.policy import read_policy
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from tests.buckets import OwnBucket
from tests.factories import write_xray
from tests.flows.scoring.test_scan import count_results, drop_xrays, scan
from xray_core.errors import RefusedInput
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.processes.reading import read_xrays
from xray_core.records import FolderKind


@pytest.fixture
def scored(settings: Settings, bucket: OwnBucket, tmp_path: Path) -> Settings:
    """A home with two scored films in its bucket."""
    for seed in range(2):
        bucket.put(f"in/{seed}.png", write_xray(tmp_path / "film.png", seed=seed).read_bytes())
    home = settings.but({"incoming": bucket.incoming})
    assert scan(home).scored == 2
    return home


def test_the_doctor_asks_the_bucket_and_says_what_to_do_where_it_refuses(scored: Settings, bucket: OwnBucket) -> None:
    well = {check.what: check.fix for check in examine(scored)}
    archiving = scored.but({"archive_dir": f"s3://{bucket.name}/scored"})
    with bucket.without_rights():
        ill = {check.what: check.fix for check in examine(scored)}

    assert well[f"bucket {bucket.incoming} answers, and is listed to its end"] is None
    assert ill[f"{bucket.incoming}: these credentials may not list it (HTTP 403)"] == (
        "give them the rights to list and to read"
    )
    assert "is lost, unless the bucket keeps versions" in "".join(check.what for check in examine(archiving))


def test_a_backup_holds_all_but_the_films_which_a_restored_home_finds_where_they_are(
    scored: Settings, bucket: OwnBucket, tmp_path: Path, sqlite_home: None
) -> None:
    with pytest.raises(RefusedInput, match="which a backup does not copy"):
        back_up(scored, tmp_path / "with-films", with_xrays=True)

    back_up(scored, tmp_path / "backup")
    moved = scored.but({"home": tmp_path / "new"})
    restore(moved, tmp_path / "backup")
    enter_home(moved)

    assert find_breach(moved)[0] is None
    assert scan(moved).files == 0


def test_a_home_that_moves_its_films_into_a_bucket_scores_none_of_them_again(
    settings: Settings, bucket: OwnBucket
) -> None:
    films = drop_xrays(settings.incoming_dir, 3)
    assert scan(settings).scored == 3
    for film in films:
        bucket.put(f"in/{film.name}", film.read_bytes())
    home = settings.but({"incoming": bucket.incoming})

    assert find_breach(home)[0] is None  # before the first scan: in the folder, where they lie
    counts = scan(home)
    shutil.rmtree(settings.incoming_dir)

    assert (counts.scored, counts.known) == (0, 3)
    assert count_results(home) == 3
    assert "were replaced" not in " ".join(find_breach(home)[1])


def test_commands_that_name_the_incoming_place_name_the_bucket(scored: Settings, tmp_path: Path) -> None:
    assert f"X-rays    arrive in {scored.incoming_bucket}" in initiate(scored).lines()
    assert name_folder(scored, FolderKind.INCOMING) == scored.incoming_bucket
    refuse_output(scored, tmp_path / "out.csv")


def test_labelled_films_are_trained_on_from_the_bucket(scored: Settings, bucket: OwnBucket, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("filename,label,labelled_by\n0.png,covid,r1\n1.png,normal,r1\n")
    import_labels_from(scored, tmp_path / "labels.csv", mapping={})
    engine = open_engine(scored.url, anchor=find_anchor(scored))
    with snapshot(engine) as session:
        labelled = read_labelled(session, read_policy(scored).labels)
    engine.dispose()
    wanted, locate = Preprocessing(96, 96, 1, Scaling.UNIT), make_locator(scored)

    decoded, unreadable = read_xrays(scored.decoder_limits, labelled, wanted, locate=locate)
    bucket.put("in/0.png", write_xray(tmp_path / "film.png", seed=7).read_bytes())
    bucket.remove("in/1.png")
    _, gone = read_xrays(scored.decoder_limits, labelled, wanted, locate=locate)

    assert set(decoded) == {xray.sha256 for xray in labelled}
    assert (len(decoded), unreadable, gone) == (2, {}, {"CHANGED": 1, "GONE": 1})
