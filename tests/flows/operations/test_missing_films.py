"""No film vanishes silently: `xray verify` counts and names those that are neither at their place nor archived."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from db.engine import open_engine, snapshot, transaction
from db.scoring import whereabouts
from flows.home.films import name_held
from flows.home.ledger import find_anchor
from flows.operations.missing_films import let_missing_go
from flows.operations.verification import find_breach
from flows.registry.grey_levels import find_grey_store
from flows.settings import Settings
from tests.flows.evidence_home import make_labelled
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.forked import xray
from xray_core.imaging.network_input import fit_pixels
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.processes.decoder import Decoded
from xray_core.processes.grey_store import open_shelf
from xray_core.synthetic.xrays import write_sample_set


def test_films_that_vanished_are_counted_and_named(settings: Settings) -> None:
    paths = drop_xrays(settings.incoming_dir, 5)
    scan(settings)
    for path in paths[:3]:
        path.unlink()

    breach, _ = find_breach(settings)

    assert breach is not None
    assert breach.startswith("3 of 5 films")
    assert sorted(re.findall(r"xray-0-\d+\.png", breach)) == [path.name for path in paths[:3]]
    assert paths[3].name not in breach


def test_verify_says_it_with_exit_code_1_and_lets_them_go_for_good(settings: Settings) -> None:
    paths = drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    paths[0].unlink()

    first, accepted, after = verify(), verify("--let-go"), verify()

    assert (first.returncode, accepted.returncode, after.returncode) == (1, 0, 0)
    assert "1 of 2 films" in first.stderr
    assert str(paths[0]) in first.stderr
    assert "xray verify --let-go" in first.stderr
    assert "1 films are missing, and are let go" in accepted.stdout
    assert "1 of 2 films have the bytes that were scored or labelled; 1 are gone and were let go" in after.stdout
    paths[1].unlink()
    assert verify().returncode == 1, "what vanishes later is another one"


def verify(*options: str) -> subprocess.CompletedProcess[str]:
    return xray("verify", *options)


def test_a_film_that_came_back_is_there(settings: Settings) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    content = path.read_bytes()
    path.unlink()
    let_missing_go(settings)
    path.write_bytes(content)

    assert find_breach(settings)[1][-1] == "1 of 1 films have the bytes that were scored or labelled"


def test_no_picture_of_a_film_that_was_let_go_stays_in_the_home(settings: Settings) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    store = find_grey_store(settings)
    assert store is not None
    preprocessing = Preprocessing(height=40, width=32, channels=1, scaling=Scaling.UNIT)
    film = read_radiograph(path.read_bytes())
    grey = fit_pixels(film.pixels, preprocessing)
    with open_shelf(store, preprocessing, ()) as shelf:
        shelf.put(Decoded(sha256(path.read_bytes()).hexdigest(), grey, film.facts, film.dhash, seconds=0.1), "a stamp")
    let_missing_go(settings)
    assert list(settings.greys_dir.iterdir()), "no film is missing"

    path.unlink()
    let_missing_go(settings)

    assert not list(settings.greys_dir.iterdir())


def test_an_archived_film_must_be_in_the_archive(settings: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    settings = settings.but({"archive_dir": archive})
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    assert find_breach(settings)[0] is None
    first, second = sorted(path for path in archive.iterdir() if path.is_file())

    second.write_bytes(b"other bytes")
    first.unlink()

    breach, _ = find_breach(settings)
    assert breach is not None
    assert f"{first} (ENOENT)" in breach
    assert f"{second} (other bytes)" in breach


def test_a_film_under_two_names_is_there_while_one_of_them_is(settings: Settings) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    second = path.with_name("second.png")
    second.write_bytes(path.read_bytes())
    scan(settings)
    second.unlink()
    assert find_breach(settings)[0] is None
    path.unlink()
    assert (find_breach(settings)[0] or "").startswith("1 of 1 films")


def test_what_a_sender_replaced_waits_for_a_scan_and_is_told_by_the_ledger_afterwards(settings: Settings) -> None:
    first, second = drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    second.replace(first)  # the sender sends its name anew

    breach, _ = find_breach(settings)
    assert breach is not None
    assert breach.startswith("1 of 2 films"), "the second one lies under the first one's name: none of it is lost"
    scan(settings)
    assert find_breach(settings)[0] is None, "the ledger tells that one file took the other's place"


def test_a_labelled_film_of_a_dataset_that_vanished_is_named(settings: Settings, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    write_sample_set(dataset, per_class=2, patients=4, seed=3)
    make_labelled(settings, dataset)
    assert find_breach(settings)[0] is None
    gone = sorted(dataset.rglob("*.png"))[0]
    gone.unlink()

    assert f"{gone} (ENOENT)" in (find_breach(settings)[0] or "")


@pytest.mark.parametrize("ids", [[], [1], [1, 2, 3], [3, 1, 7, 8, 8], list(range(1, 40_000, 2))])
def test_what_was_let_go_is_in_the_audit_log_film_by_film(settings: Settings, ids: list[int]) -> None:
    engine = open_engine(settings.url, anchor=find_anchor(settings))
    with transaction(engine) as session:
        assert whereabouts.let_go(session, ids, actor="operator (verify)", now=datetime.now(UTC)) == len(set(ids))
    with snapshot(engine) as session:
        gone = whereabouts.read_let_go(session)
    assert [number for number in range(1, 40_100) if number in gone] == sorted(set(ids))
    engine.dispose()
    assert find_breach(settings)[0] is None


def test_verify_says_since_when_history_is_sealed(settings: Settings) -> None:
    assert any(line.startswith("history is sealed") for line in find_breach(settings)[1])


@pytest.mark.parametrize("where", ["archive, held", "incoming, held", "archive", "archive, second name"])
def test_a_film_on_its_way_into_the_archive_is_not_missing(settings: Settings, tmp_path: Path, where: str) -> None:
    """A scan is moving it, or was killed before the ledger knew where it went; the next scan finishes that."""
    (film,) = drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    archive = tmp_path / "archive"
    archive.mkdir()
    sha256 = hashlib.sha256(film.read_bytes()).hexdigest()
    held = name_held(os.fsencode(film.name), sha256)
    places = {
        "archive, held": archive / held,
        "incoming, held": settings.incoming_dir / held,
        "archive": archive / film.name,
        "archive, second name": archive / f"{sha256[:16]}-{film.name}",
    }
    film.rename(places[where])
    archiving = settings.but({"archive_dir": archive})

    assert find_breach(archiving)[0] is None
    places[where].write_bytes(b"another film")
    assert "1 of 1 films that were scored or labelled are missing" in (find_breach(archiving)[0] or "")
