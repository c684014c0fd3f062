"""A wrong folder is never made and called good: no home, no share, another share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from db import audit
from db.engine import snapshot
from flows.home.ledger import open_ledger
from flows.operations.status import read_status
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.forked import xray
from xray_core.errors import FolderMissing

pytestmark = pytest.mark.processes

SHARE = Path("/dev/shm")


@pytest.mark.parametrize("words", [("status",), ("scan",), ("models", "list"), ("verify",)], ids=" ".join)
def test_a_command_that_makes_no_home_says_that_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)

    done = xray(*words, environment={"XRAY_HOME": str(tmp_path / "mistyped")})

    assert done.returncode == 2
    assert done.stderr.startswith(f"xray: no home at {tmp_path / 'mistyped'}: `xray init` makes one")
    assert list(tmp_path.iterdir()) == []


def test_init_makes_a_home_and_asks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "share").mkdir()
    (tmp_path / ".env").write_text("XRAY_BATCH_SIZE=7\n")
    home = {"XRAY_HOME": str(tmp_path / "home")}

    first = xray("init", environment=home | {"XRAY_INCOMING": str(tmp_path / "share")})
    key = (tmp_path / "home/site.key").read_text()
    again = xray("init", environment=home)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert "fingerprint" in first.stdout
    assert f"{tmp_path / '.env'} is not read" in first.stderr
    assert f"XRAY_INCOMING={tmp_path / 'share'}\n" in (tmp_path / "home/.env").read_text()
    assert f"arrive in {tmp_path / 'share'}" in again.stdout, "the home's own file is read"
    assert (tmp_path / "home/retraining-policy.toml").is_file()
    assert "[answers]" in (tmp_path / "home/study.toml").read_text()
    assert (tmp_path / "home/site.key").read_text() == key


def test_a_folder_that_is_not_there_is_never_made_and_ends_the_scan(settings: Settings, tmp_path: Path) -> None:
    lost = settings.but({"incoming": tmp_path / "nosuch"})

    with pytest.raises(FolderMissing, match="the incoming folder is not there: mount the share again"):
        scan(lost)

    assert not (tmp_path / "nosuch").exists()
    assert any("nosuch: the incoming folder is not there" in alarm for alarm in read_status(lost).alarms)
    assert read_status(lost).last_good_scan is None


@pytest.fixture
def other_device(tmp_path: Path) -> Iterator[Path]:
    if not SHARE.is_dir() or SHARE.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    folder = Path(mkdtemp(dir=SHARE, prefix="xray-test-"))
    yield folder
    shutil.rmtree(folder)


def test_a_folder_on_another_device_than_before_is_an_alarm_until_it_is_accepted(
    settings: Settings, tmp_path: Path, other_device: Path
) -> None:
    share = tmp_path / "share"
    share.symlink_to(other_device)
    shared = settings.but({"incoming": share})
    drop_xrays(share, 1)
    assert scan(shared).scored == 1
    share.unlink()
    share.mkdir()  # what an unmounted share leaves behind

    with pytest.raises(FolderMissing, match="lies on another device than before"):
        scan(shared)
    assert any("another device" in alarm for alarm in read_status(shared).alarms)

    accepted = xray("init", "--accept-folders", environment={"XRAY_INCOMING": str(share)})

    assert accepted.returncode == 0, accepted.stderr
    assert "1 folders lie elsewhere than before, and are accepted" in accepted.stdout
    with open_ledger(shared) as engine, snapshot(engine) as session:
        ((_, kind, detail),) = audit.iter_details(session, "folder-accepted")
        assert audit.verify_chain(session) is None
    assert kind == "incoming"
    assert detail == {"device_before": other_device.stat().st_dev, "device_now": share.stat().st_dev}
    assert scan(shared).files == 0
