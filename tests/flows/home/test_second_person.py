"""Another user of the machine may be let in to look: who does sees how it goes, and can change nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from flows.home.initiation import initiate
from flows.operations.doctor import examine
from flows.operations.verification import find_breach
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.second_person import NOBODY, ask_as_nobody

pytestmark = [
    pytest.mark.processes,
    pytest.mark.lengthy,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]

LOOKING = [
    (("status",), "champion: 0001-untrained"),
    (("status", "--json"), '"champion"'),
    (("why", "xray-0-000.png"), "scored: P(covid)"),
    (("why", "never-seen.png"), "no scan has ever seen it"),
    (("models", "list"), "0001-untrained"),
    (("models", "history"), "0001-untrained"),
    (("models", "show", "0001-untrained"), "0001-untrained"),
    (("labels", "status"), "new trainable labels"),
    (("patients", "status"), "X-rays of unknown patients"),
    (("readers", "list"), "nobody yet"),
]
# Each with what its owner may do, to have the same modules loaded.
CHANGING = [
    (("scan",), ("scan",)),
    (("verify",), ("verify",)),
    (("export", "--out", "/tmp/never.csv"), ("export",)),
    (("worklist", "--out", "/tmp/never.csv"), ("export",)),
    (("readers", "add", "Mallory"), ("readers", "add", "Mallory")),
    (("models", "rollback"), ("models", "rollback")),
    (("labels", "import", "/etc/hostname"), ("labels", "import", "/etc/hostname")),
    (("backup", "/tmp/never"), ("backup", "/tmp")),
]


@pytest.fixture
def home(settings: Settings, sqlite_home: None) -> Iterator[Path]:
    """A scored home where another user can reach it: pytest's own folders are root's alone."""
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    folder = Path(mkdtemp(prefix="xray-shared-"))
    folder.chmod(0o755)
    shutil.copytree(settings.home, folder / "home")
    initiate(Settings(home=folder / "home"))
    yield folder / "home"
    shutil.rmtree(folder)


def let_look(home: Path) -> None:
    """What docs/second-person.md says, with nobody's group for the readers'."""
    shared = [home, home / "xray.db", home / "incoming", home / "models", *(home / "models").rglob("*")]
    shared += [home / name for name in (".env", "retraining-policy.toml", "label-words.toml", "study.toml")]
    for path in shared:
        os.chown(path, -1, NOBODY)
        path.chmod(0o750 if path.is_dir() else 0o640)


def list_all(home: Path) -> dict[str, tuple[int, int, int]]:
    seen = {str(path): path.lstat() for path in sorted(home.rglob("*"))}
    return {path: (found.st_mtime_ns, found.st_size, found.st_mode) for path, found in seen.items()}


def test_who_was_let_in_sees_how_it_goes_and_leaves_no_trace(home: Path, settings: Settings) -> None:
    (home / ".env").write_text("XRAY_BATCH_SIZE=8\n")
    let_look(home)
    before = list_all(home)

    for words, expected in LOOKING:
        done = ask_as_nobody(home, settings.home, *words, warm=words)

        assert (done.returncode, done.stderr) == (0, ""), words
        assert expected in done.stdout
    assert list_all(home) == before


def test_who_was_let_in_is_told_what_takes_the_site_key(settings: Settings, home: Path) -> None:
    """The audit sample and the sides of new patients are drawn with a key that is the owner's alone."""
    labels = home.parent / "labels.csv"
    labels.write_text("filename,label,labelled_by\nxray-0-000.png,normal,anna\nxray-0-001.png,normal,anna\n")
    import_labels_from(Settings(home=home), labels, mapping={})
    let_look(home)

    status = ask_as_nobody(home, settings.home, "status")
    due = ask_as_nobody(home, settings.home, "labels", "status", warm=("labels", "status"))

    assert (status.returncode, status.stderr, due.returncode, due.stderr) == (0, "", 0, "")
    assert "field: films were read; which of them are audit films only the site key tells" in status.stdout
    assert "not counted: 2 labelled X-rays of new patients, whose sides need the site key" in due.stdout


def test_who_may_only_look_changes_nothing_and_is_told_so_in_one_sentence(home: Path, settings: Settings) -> None:
    let_look(home)
    before = list_all(home)

    for words, warm in CHANGING:
        done = ask_as_nobody(home, settings.home, *words, warm=warm)

        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr == (
            f"xray: {home}: this user may look (`xray status`, `xray why`, `xray models list`) and not work in it; "
            "this command is for its owner\n"
        )
    assert list_all(home) == before
    assert not Path("/tmp/never.csv").exists()


def test_a_home_is_its_owner_s_alone_until_somebody_is_let_in(home: Path, settings: Settings) -> None:
    (home / ".env").write_text("XRAY_BATCH_SIZE=8\n")
    let_look(home)
    kept = {path: path.stat().st_mode for path in (home, home / ".env", home / "xray.db")}

    for closed, words in (
        (home, f"xray: {home}: this user may not read it; its owner decides who may look (docs/second-person.md)"),
        (home / ".env", f"xray: {home / '.env'}: this user may not read it"),
        (home / "xray.db", "xray: the results database did not take part: unable to open database file"),
    ):
        closed.chmod(0o700 if closed.is_dir() else 0o600)
        done = ask_as_nobody(home, settings.home, "status")
        closed.chmod(kept[closed])

        assert done.returncode in (1, 2)
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(words)


def test_doctor_and_verify_find_nothing_wrong_with_a_home_that_others_may_look_at(home: Path) -> None:
    let_look(home)
    shared = Settings(home=home, settle_seconds=0)

    fixes = [finding.fix for finding in examine(shared) if finding.fix and "chmod" in finding.fix]

    assert fixes == []
    assert find_breach(shared)[0] is None
    (home / "site.key").chmod(0o640)
    (home / "xray.db").chmod(0o644)
    assert [finding.fix for finding in examine(shared) if finding.fix and "chmod" in finding.fix] == [
        f"chmod 600 {home / 'site.key'}",
        f"chmod 600 {home / 'xray.db'}",
    ]


def test_a_service_is_told_of_a_file_that_it_cannot_read_itself(home: Path, settings: Settings) -> None:
    """Root wrote a policy for a service of another user: that one is no second person, it has the site key."""
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    policy = home / "retraining-policy.toml"
    os.chown(policy, 0, 0)

    done = ask_as_nobody(home, settings.home, "status")

    assert (done.returncode, done.stderr) == (1, "")  # an alarm
    assert f"{policy}: cannot be read (Permission denied); expected a file that this user may read" in " ".join(
        done.stdout.split()
    )


def test_who_was_let_in_is_told_nothing_of_a_file_that_is_its_owner_s(home: Path, settings: Settings) -> None:
    let_look(home)
    (home / "retraining-policy.toml").chmod(0o600)

    done = ask_as_nobody(home, settings.home, "status")

    assert (done.returncode, done.stderr) == (0, "")
    assert "retraining-policy.toml" not in done.stdout
