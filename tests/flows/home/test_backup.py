"""Backup and restore: everything that makes a home is there, as it was, or it is refused."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from db.engine import open_engine
from flows.home.backup import back_up, restore
from flows.home.initiation import POLICY_FILE
from flows.home.label_words import LABEL_WORDS_FILE
from flows.home.ledger import migrate_ledger, prepare_ledger
from flows.operations.verification import find_breach
from flows.reading.lists import GUIDE
from flows.registry.models import list_models
from flows.settings import Settings
from tests.databases import server_url
from tests.db.test_upgrade_to_0003 import HOME
from tests.db.upgrades import upgrade
from tests.flows.scoring.test_scan import drop_xrays, read_lines, scan
from xray_core.errors import RefusedInput, SchemaOutOfDate
from xray_core.report.study import STUDY_FILE

pytestmark = pytest.mark.skipif(server_url() is not None, reason="test_other_database.py is about PostgreSQL")


@pytest.fixture
def backup(settings: Settings, tmp_path: Path) -> Path:
    """A backup of a home with a champion and three results."""
    drop_xrays(settings.incoming_dir, 3)
    scan(settings)
    back_up(settings, tmp_path / "backup")
    return tmp_path / "backup"


def test_a_restored_home_has_the_same_results_models_and_pseudonyms_and_scores_on(
    settings: Settings, backup: Path, tmp_path: Path
) -> None:
    restored = Settings(home=tmp_path / "restored", incoming=settings.incoming_dir, settle_seconds=0)

    restore(restored, backup)

    assert find_breach(restored)[0] is None
    assert read_lines(restored) == read_lines(settings)
    assert list_models(restored) == list_models(settings)
    assert (restored.home / "site.key").read_bytes() == (settings.home / "site.key").read_bytes()
    drop_xrays(settings.incoming_dir, 1, seed=9)
    prepare_ledger(restored)
    assert scan(restored).scored == 1


def test_a_backup_goes_where_a_relative_name_says(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    back_up(settings, Path("copy"))

    assert (tmp_path / "copy" / "xray.db").is_file()


def test_a_backup_is_private_and_holds_no_xray(backup: Path) -> None:
    files = [path for path in backup.rglob("*") if path.is_file()]

    assert not [path for path in files if path.name.startswith("xray-0-")]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o700
    assert all(not stat.S_IMODE(path.stat().st_mode) & 0o077 for path in files if path.name in ("xray.db", "site.key"))


def test_what_a_backup_holds_is_as_of_one_moment(settings: Settings, backup: Path, tmp_path: Path) -> None:
    drop_xrays(settings.incoming_dir, 5, seed=4)
    scan(settings)
    restored = Settings(home=tmp_path / "restored")

    restore(restored, backup)

    assert len(read_lines(restored)) == 3
    assert len(read_lines(settings)) == 8


def test_what_people_wrote_for_a_home_comes_back_where_there_is_none_yet(settings: Settings, tmp_path: Path) -> None:
    names = (POLICY_FILE, LABEL_WORDS_FILE, STUDY_FILE, GUIDE)
    prepare_ledger(settings)
    for name in names:
        (settings.home / name).write_text(f"# {name} of this site\n")
    restored = Settings(home=tmp_path / "restored")
    restored.home.mkdir()
    (restored.home / GUIDE).write_text("another guide")

    back_up(settings, tmp_path / "copy")
    restore(restored, tmp_path / "copy")

    written = {name: (restored.home / name).read_text() for name in names}
    assert written == {name: f"# {name} of this site\n" for name in names[:3]} | {GUIDE: "another guide"}
    assert {stat.S_IMODE((restored.home / name).stat().st_mode) for name in names[:3]} == {0o600}
    (tmp_path / "copy" / POLICY_FILE).write_text("# altered\n")
    with pytest.raises(RefusedInput, match=f"{POLICY_FILE} is not as it was written"):
        restore(Settings(home=tmp_path / "another"), tmp_path / "copy")


def flip_a_byte_of_the_database(backup: Path) -> str:
    return _flip(backup / "xray.db")


def flip_a_byte_of_the_model(backup: Path) -> str:
    return _flip(next(backup.glob("models/*/model.onnx")))


def flip_a_byte_of_the_key(backup: Path) -> str:
    return _flip(backup / "site.key")


def lose_a_file(backup: Path) -> str:
    next(backup.glob("models/*/model.keras")).unlink()
    return "model.keras"


def lose_the_manifest(backup: Path) -> str:
    (backup / "backup.json").unlink()
    return "backup.json"


def add_a_file(backup: Path) -> str:
    (backup / "models" / "surprise.keras").write_bytes(b"x")
    return "surprise.keras"


def _flip(path: Path) -> str:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    return path.name


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte_of_the_database,
        flip_a_byte_of_the_model,
        flip_a_byte_of_the_key,
        lose_a_file,
        lose_the_manifest,
        add_a_file,
    ],
)
def test_a_damaged_backup_is_refused_by_name_and_makes_no_home(
    backup: Path, tmp_path: Path, damage: Callable[[Path], str]
) -> None:
    named = damage(backup)

    with pytest.raises(RefusedInput, match=named):
        restore(Settings(home=tmp_path / "restored"), backup)

    assert not (tmp_path / "restored").exists()


def test_nothing_is_overwritten_by_a_backup_or_a_restore(settings: Settings, backup: Path) -> None:
    before = (settings.home / "xray.db").read_bytes()

    with pytest.raises(RefusedInput, match="exists already"):
        back_up(settings, backup)
    with pytest.raises(RefusedInput, match="has a ledger already"):
        restore(settings, backup)

    assert (settings.home / "xray.db").read_bytes() == before


def test_a_home_that_lost_only_its_ledger_can_be_restored_into(settings: Settings, backup: Path) -> None:
    lines = read_lines(settings)
    (settings.home / "xray.db").unlink()
    shutil.rmtree(settings.models_dir)

    restore(settings, backup)

    assert read_lines(settings) == lines
    assert find_breach(settings)[0] is None


def test_a_restore_writes_nothing_into_the_backup_and_works_from_what_nobody_can_write_to(
    backup: Path, tmp_path: Path
) -> None:
    for path in (*backup.rglob("*"), backup):
        path.chmod(0o500 if path.is_dir() else 0o400)
    before = sorted(path.name for path in backup.rglob("*"))

    for number in (1, 2):
        restore(Settings(home=tmp_path / f"restored-{number}"), backup)

    assert sorted(path.name for path in backup.rglob("*")) == before
    assert stat.S_IMODE((tmp_path / "restored-1/xray.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("place", ["home/backup", "home/models/backup"])
def test_a_backup_does_not_go_into_the_home(settings: Settings, tmp_path: Path, place: str) -> None:
    with pytest.raises(RefusedInput, match="lies in the home"):
        back_up(settings, tmp_path / place)


def test_a_ledger_that_waits_for_a_migration_is_backed_up_before_it(settings: Settings, tmp_path: Path) -> None:
    make_older(settings)

    back_up(settings, tmp_path / "backup")

    restored = Settings(home=tmp_path / "restored")
    restore(restored, tmp_path / "backup")
    migrate_ledger(restored)
    assert find_breach(restored)[0] is None
    with pytest.raises(SchemaOutOfDate, match="doctor --migrate"):
        back_up(settings, tmp_path / "another", with_xrays=True)
    assert not (tmp_path / "another").exists()


def make_older(settings: Settings) -> None:
    (settings.home / "xray.db").unlink()
    shutil.rmtree(settings.models_dir)
    engine = open_engine(settings.url)
    upgrade(engine, "0005", HOME)
    engine.dispose()
