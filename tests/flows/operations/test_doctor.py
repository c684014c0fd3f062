"""`xray doctor`: a sound home has nothing to fix, a broken one gets every fix by name."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flows.operations.doctor import examine
from flows.operations.schedule import Schedule, write_schedule
from flows.operations.status import read_status
from flows.scoring.scan import open_scan
from flows.settings import Settings
from tests.flows.service.test_attacks import other_site
from tests.flows.service.test_service import free_port
from xray_core.synthetic.xrays import write_sample_set

pytestmark = pytest.mark.processes


def fixes(settings: Settings) -> dict[str, str]:
    return {finding.what: finding.fix for finding in examine(settings) if finding.fix is not None}


@pytest.fixture(autouse=True)
def _usual_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONDONTWRITEBYTECODE", "PREFECT_SERVER_ANALYTICS_ENABLED", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)


def test_a_sound_home_has_nothing_to_fix(settings: Settings) -> None:
    settings = settings.but({"min_free_mib": 1})

    assert fixes(settings) == {}
    assert len(examine(settings)) >= 6


def test_what_grows_and_how_fast_is_told(settings: Settings) -> None:
    write_sample_set(settings.incoming_dir, per_class=2, patients=2, seed=1, layout="flat")
    with open_scan(settings) as scan:
        for files in scan.find_batches():
            scan.score(files)

    (told,) = [finding for finding in examine(settings) if finding.what.startswith("the ledger takes")]

    assert told.fix is None
    assert "kB a result" in told.what


def test_where_there_is_no_home_yet_nothing_is_made_and_nothing_is_wrong(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new", database_url=None, min_free_mib=1)

    assert fixes(settings) == {}
    assert not (tmp_path / "new").exists()


def test_the_settings_file_and_what_comes_from_it_are_named_without_a_value(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.home / ".env").write_text("XRAY_PREVALENCE=0.234\nXRAY_BATCH_SIZE=17\n")
    monkeypatch.setenv("XRAY_HOME", str(settings.home))
    monkeypatch.setenv("XRAY_BATCH_SIZE", "19")

    (named,) = [finding.what for finding in examine(settings) if finding.what.startswith("settings file")]

    assert f"settings file {settings.home / '.env'}: XRAY_PREVALENCE comes from it" in named
    assert "XRAY_BATCH_SIZE, XRAY_HOME" in named.partition(";")[2]
    assert not any(value in named.replace(str(settings.home), "") for value in ("0.234", "17", "19"))


BROKEN = [
    ("retraining-policy.toml", "[trigger]\nnew_label = 3\n"),
    ("label-words.toml", "[words]\nCOVID = 7\n"),
    ("study.toml", "[answers]\nfundng = 'x'\n"),
]


@pytest.mark.parametrize(("name", "content"), BROKEN)
def test_a_mistake_in_a_file_that_the_team_writes_is_told_before_it_is_needed(
    settings: Settings, name: str, content: str
) -> None:
    settings = settings.but({"min_free_mib": 1, "retraining_policy": settings.home / BROKEN[0][0]})
    (settings.home / BROKEN[0][0]).write_text("")
    (settings.home / name).write_text(content)

    (told,) = fixes(settings)
    (alarm,) = [alarm for alarm in read_status(settings).alarms if name in alarm]

    assert name in told
    assert "received" in told
    assert alarm == told


def put_a_folder(path: Path) -> str:
    path.mkdir()
    return "Is a directory"


def put_a_link_to_nothing(path: Path) -> str:
    path.symlink_to(path.parent / "share-that-is-not-mounted.toml")
    return "o such file"


@pytest.mark.parametrize("put", [put_a_folder, put_a_link_to_nothing])
@pytest.mark.parametrize("name", [name for name, _ in BROKEN])
def test_a_file_of_the_team_that_cannot_be_read_is_told_and_never_taken_for_none(
    settings: Settings, name: str, put: Callable[[Path], str]
) -> None:
    settings = settings.but({"min_free_mib": 1})
    words = put(settings.home / name)

    (told,) = fixes(settings)
    (alarm,) = [alarm for alarm in read_status(settings).alarms if name in alarm]

    assert told.startswith(f"{settings.home / name}: ")
    assert words in told
    assert alarm == told


def open_to_others(settings: Settings) -> str:
    settings.home.chmod(0o755)
    return f"chmod 700 {settings.home}"


def show_the_database(settings: Settings) -> str:
    (settings.home / "xray.db").chmod(0o644)
    return f"chmod 600 {settings.home / 'xray.db'}"


def show_the_key(settings: Settings) -> str:
    (settings.home / "site.key").chmod(0o640)
    return f"chmod 600 {settings.home / 'site.key'}"


def let_others_write_models(settings: Settings) -> str:
    settings.models_dir.chmod(0o777)
    return f"chmod 700 {settings.models_dir}"


def show_what_prefect_keeps(settings: Settings) -> str:
    (settings.home / "prefect").mkdir()
    (settings.home / "prefect").chmod(0o755)
    return f"chmod 700 {settings.home / 'prefect'}"


def show_prefects_database(settings: Settings) -> str:
    (settings.home / "prefect").mkdir(mode=0o700)
    database = settings.home / "prefect" / "prefect.db"
    database.touch()
    database.chmod(0o644)
    return f"chmod -R go= {settings.home / 'prefect'}"


def show_an_export(settings: Settings) -> str:
    export = settings.exports_dir / "results.csv"
    export.touch()
    export.chmod(0o640)
    return f"chmod -R go= {settings.exports_dir}"


def lose_the_key(settings: Settings) -> str:
    (settings.home / "site.key").unlink()
    return "restore site.key from a backup"


def age_the_schema(settings: Settings) -> str:
    with closing(sqlite3.connect(settings.home / "xray.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    return "xray doctor --migrate"


@pytest.mark.parametrize(
    "break_home",
    [
        open_to_others,
        show_the_database,
        show_the_key,
        show_what_prefect_keeps,
        show_prefects_database,
        show_an_export,
        let_others_write_models,
        lose_the_key,
        age_the_schema,
    ],
)
def test_a_broken_home_gets_its_one_fix(
    settings: Settings, sqlite_home: None, break_home: Callable[[Settings], str]
) -> None:
    settings = settings.but({"min_free_mib": 1})

    expected = break_home(settings)

    (fix,) = fixes(settings).values()
    assert expected in fix


def test_a_nearly_full_disk_is_named_with_the_watermark(settings: Settings) -> None:
    free = shutil.disk_usage(settings.home).free // 2**20

    (fix,) = fixes(settings.but({"min_free_mib": free * 2})).values()

    assert f"below {free * 2} MiB" in fix


def test_switches_that_slow_the_service_or_tell_others_of_it_are_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.but({"min_free_mib": 1})
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "0")

    assert set(fixes(settings).values()) == {
        "unset PYTHONDONTWRITEBYTECODE",
        "unset PREFECT_SERVER_ANALYTICS_ENABLED",
        "unset DO_NOT_TRACK",
    }


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_home_on_a_network_share_is_named(settings: Settings, sqlite_home: None, tmp_path: Path, kind: str) -> None:
    settings = settings.but({"min_free_mib": 1})
    share = str(settings.home.parent.resolve()).replace(" ", "\\040")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda1 / ext4 rw 0 0\nserver:/films {share} {kind} rw 0 0\nproc /proc proc rw 0 0\n")

    (finding,) = [finding for finding in examine(settings, mounts=mounts) if finding.fix]

    assert finding.what == f"the home is on {kind}: SQLite's locks cannot be trusted there"
    assert finding.fix is not None
    assert "move XRAY_HOME to a local disk" in finding.fix
    elsewhere = settings.but({"database_url": "postgresql+psycopg://xray@127.0.0.1:1/xray"})
    assert "cannot be trusted" not in str(examine(elsewhere, mounts=mounts))


def test_a_dependency_that_is_not_there_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = tmp_path / "elsewhere" / "xray_scoring-0.1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: xray-scoring\nVersion: 0.1.0\nRequires-Dist: pillow>=13\n"
        "Requires-Dist: a-package-that-nobody-has>=1\nRequires-Dist: another-one; extra == 'dask'\n"
    )
    monkeypatch.syspath_prepend(described.parent)

    found = fixes(settings.but({"min_free_mib": 1}))

    assert found == {"a-package-that-nobody-has is missing": "make install"}


def test_a_dependency_at_a_version_that_was_never_tested_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = tmp_path / "elsewhere" / "fastapi-99.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: fastapi\nVersion: 99.0\n")
    monkeypatch.syspath_prepend(described.parent)

    found = fixes(settings.but({"min_free_mib": 1}))

    assert list(found.values()) == ["make clean install"]
    assert "fastapi 99.0" in next(iter(found))


def test_a_database_that_does_not_answer_is_named_without_its_password(settings: Settings) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://xray:ZZSECRET@127.0.0.1:{free_port()}/xray"

    found = fixes(settings.but({"min_free_mib": 1, "database_url": url}))

    assert list(found.values()) == ["start it, or mend its URL"]
    assert "ZZSECRET" not in str(found)


def test_the_command_names_each_fix_and_ends_with_1(settings: Settings, sqlite_home: None) -> None:
    settings.home.chmod(0o755)

    done = subprocess.run([sys.executable, "-m", "flows", "doctor"], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"    chmod 700 {settings.home}" in done.stdout.splitlines()


def test_a_database_of_another_version_is_refused_until_a_person_migrates_it(
    settings: Settings, sqlite_home: None
) -> None:
    (settings.home / "xray.db").unlink()
    (settings.home / "ledger.head").unlink()  # an older version kept none
    with closing(sqlite3.connect(settings.home / "xray.db")) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    command = [sys.executable, "-m", "flows"]

    refused = subprocess.run([*command, "scan"], capture_output=True, text=True, check=False)
    migrated = subprocess.run([*command, "doctor", "--migrate"], capture_output=True, text=True, check=False)

    assert refused.returncode == 1
    assert "xray doctor --migrate" in refused.stderr
    assert "FIX database" not in migrated.stdout
    assert subprocess.run([*command, "scan"], capture_output=True, check=False).returncode == 0


def test_a_page_that_anybody_may_use_or_that_calls_elsewhere_is_named(settings: Settings) -> None:
    with other_site() as url:  # it answers 200 to everything, and keeps its browser from nothing
        write_schedule(settings, Schedule(f"{url}api", "xray-pool", ()))
        found = fixes(settings)

    assert len(found) == 3
    assert all("xray up" in str(fix) for fix in found.values())
    assert "every user of this machine" in str(found)


def test_a_service_that_stands_still_has_no_page_to_look_at(settings: Settings) -> None:
    write_schedule(settings, Schedule("http://127.0.0.1:9/api", "xray-pool", ()))

    assert fixes(settings) == {}
