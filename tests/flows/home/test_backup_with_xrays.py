"""A backup with X-rays: the home made of it verifies and trains on its own films, whatever becomes of the old one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.home.backup import Backup, back_up, restore
from flows.home.films import make_locator
from flows.home.ledger import prepare_ledger
from flows.operations.verification import find_breach
from flows.review.exports import write_export
from flows.settings import Settings
from tests.databases import server_url
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.flows.training.test_missing_films import gather
from tests.forked import xray
from xray_core.errors import RefusedInput

pytestmark = pytest.mark.skipif(server_url() is not None, reason="homes may share a ledger there: refused")


def restore_to(place: Path, backup: Path) -> Settings:
    restored = Settings(home=place, settle_seconds=0)
    restore(restored, backup)
    return restored


def test_a_restored_home_verifies_without_the_old_one(settings: Settings, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    write_export(settings)
    exports = sorted(path.name for path in settings.exports_dir.iterdir())
    counts: list[int] = []

    written = back_up(settings, tmp_path / "backup", with_xrays=True, on_progress=counts.append)
    shutil.rmtree(settings.home)
    restored = restore_to(tmp_path / "restored", tmp_path / "backup")

    assert written.left_out == 0
    assert sum(counts) == 3 + len(exports)
    assert find_breach(restored)[0] is None
    assert sorted(path.name for path in restored.exports_dir.iterdir()) == exports
    prepare_ledger(restored)
    assert scan(restored).scored == 0, "what came back is known"
    assert all(not path.stat().st_mode & 0o077 for path in restored.home.rglob("*"))


def test_archived_films_come_back_into_the_archive(settings: Settings, tmp_path: Path) -> None:
    archiving = settings.but({"archive_dir": settings.home / "archive"})
    drop_xrays(settings.incoming_dir, 2)
    scan(archiving)

    back_up(archiving, tmp_path / "backup", with_xrays=True)
    shutil.rmtree(settings.home)
    restored = restore_to(tmp_path / "restored", tmp_path / "backup")

    assert find_breach(restored)[0] is None
    assert len([path for path in (restored.home / "archive").rglob("*") if path.is_file()]) == 2


def test_a_restored_home_trains_on_its_own_films(trained: Settings, tmp_path: Path) -> None:
    before = gather(trained)
    drop_folder = tmp_path / "backup"

    assert back_up(trained, drop_folder, with_xrays=True).left_out == 0
    restored = restore_to(tmp_path / "restored", drop_folder)

    locate = make_locator(restored)
    after = gather(restored)
    xrays = [xray for side in after.sides.values() for xray in side.xrays]
    assert after.unread == {}
    assert len(xrays) == sum(len(side.xrays) for side in before.sides.values()) > 0
    assert all(Path(locate(xray.path).decode()).is_relative_to(restored.home) for xray in xrays)
    assert find_breach(restored)[0] is None


def test_films_that_are_not_here_are_counted_by_the_backup(settings: Settings, tmp_path: Path) -> None:
    paths = drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    paths[0].unlink()

    ended = xray("backup", str(tmp_path / "backup"), "--with-xrays")

    assert ended.returncode == 1
    assert "1 films that were scored or labelled are not in it" in ended.stderr
    assert "X-rays and exports are in it" in ended.stdout


def test_without_the_option_it_says_that_xrays_are_not_in_it(settings: Settings, tmp_path: Path) -> None:
    ended = xray("backup", str(tmp_path / "backup"))

    assert "X-rays, exports and labels CSVs are not in it" in ended.stdout
    assert not (tmp_path / "backup/incoming").exists()


def test_another_file_in_the_way_is_named_and_nothing_is_written(settings: Settings, tmp_path: Path) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    scan(settings)
    back_up(settings, tmp_path / "backup", with_xrays=True)
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (incoming / path.name).write_bytes(b"another film")
    restored = Settings(home=tmp_path / "restored", incoming=incoming)

    with pytest.raises(RefusedInput, match=f"{path.name}: is in the way"):
        restore(restored, tmp_path / "backup")

    assert (incoming / path.name).read_bytes() == b"another film"
    assert not restored.home.exists()


def test_a_film_that_was_altered_in_the_backup_is_refused_by_name(settings: Settings, tmp_path: Path) -> None:
    paths = drop_xrays(settings.incoming_dir, 1)
    (settings.incoming_dir / "backup.json").write_text("{}")  # a name of our own says nothing about a file
    back_up(settings, tmp_path / "backup", with_xrays=True)
    for name in (paths[0].name, "backup.json"):
        film = tmp_path / "backup/incoming" / name
        content = film.read_bytes()
        film.write_bytes(content + b"x")

        with pytest.raises(RefusedInput, match=f"incoming/{name}"):
            restore(Settings(home=tmp_path / "restored"), tmp_path / "backup")

        film.write_bytes(content)


def test_names_that_are_no_text_survive(settings: Settings, tmp_path: Path) -> None:
    (path,) = drop_xrays(settings.incoming_dir, 1)
    odd = path.with_name("caf\udce9-wal")
    path.rename(odd)

    back_up(settings, tmp_path / "backup", with_xrays=True)
    restored = restore_to(tmp_path / "restored", tmp_path / "backup")

    assert (restored.incoming_dir / odd.name).read_bytes() == odd.read_bytes()


def test_a_backup_that_would_copy_itself_is_refused(settings: Settings, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    shared = settings.but({"incoming": share})

    with pytest.raises(RefusedInput, match="which it would hold"):
        back_up(shared, share / "backup", with_xrays=True)

    assert isinstance(back_up(shared, share / "backup"), Backup)
