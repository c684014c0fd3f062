"""A damaged, emptied or missing database is said to be: by every command, in one sentence, at every start."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flows.home import damage
from flows.home.backup import back_up, restore
from flows.home.ledger import migrate_ledger, open_ledger, prepare_ledger
from flows.operations.doctor import examine
from flows.settings import Settings
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.forked import xray
from xray_core.errors import LedgerAltered

PAGE = 4096


@pytest.fixture
def scored(settings: Settings, sqlite_home: None) -> Settings:
    drop_xrays(settings.incoming_dir, 2)
    scan(settings)
    return settings


def replace_database(settings: Settings, change: Callable[[bytes], bytes]) -> None:
    database = settings.home / "xray.db"
    database.write_bytes(change(database.read_bytes()))


def spoil_page(number: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        return content[: number * PAGE] + b"\xff" * PAGE + content[(number + 1) * PAGE :]

    return change


def find_last_page(settings: Settings) -> int:
    """The number from 0 of the last page with which a table or index begins: none of those that say what there is."""
    with closing(sqlite3.connect(settings.home / "xray.db")) as connection:
        return int(connection.execute("SELECT max(rootpage) FROM sqlite_master").fetchone()[0]) - 1


def test_every_single_damaged_page_is_refused_before_a_scan_says_that_there_is_nothing_new(scored: Settings) -> None:
    whole = (scored.home / "xray.db").read_bytes()
    passed = []

    for number in range(1, len(whole) // PAGE):
        replace_database(scored, lambda _: spoil_page(number)(whole))  # noqa: B023
        try:
            scan(scored)
            passed.append(number)
        except LedgerAltered:
            pass

    assert passed == []
    replace_database(scored, lambda _: whole)
    assert scan(scored).sentence() == "nothing new"


ASKING = [
    ("verify",),
    ("status",),
    ("why", "xray-0-000.png"),
    ("scan",),
    ("export", "--out", "out.csv"),
    ("worklist", "--out", "list.csv"),
    ("labels", "status"),
    ("models", "list"),
    ("models", "history"),
    ("patients", "status"),
    ("readers", "list"),
    ("backup", "../kept"),
    ("init",),
]


@pytest.mark.lengthy
@pytest.mark.processes
@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_every_command_says_so_in_one_sentence_with_the_way_out(
    scored: Settings, words: tuple[str, ...], tmp_path: Path
) -> None:
    replace_database(scored, spoil_page(5))

    done = xray(*words)

    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"xray: {scored.home / 'xray.db'}: the database is damaged (")
    assert "restore the newest backup into a new home (`xray restore`)" in said
    assert done.stdout == ""
    assert not (tmp_path / "kept").exists()
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _: b"no database at all\n" * 500, "is damaged (file is not a database)"),
        (lambda content: content[: len(content) // 2], "is damaged ("),
        (lambda content: content[: len(content) // 2 + 77], "is damaged ("),
        (lambda content: bytes(100) + content[100:], "is damaged (file is not a database)"),
        (lambda content: content[:PAGE] + bytes(len(content) - PAGE), "is damaged ("),
        (lambda content: content[:100] + b"\xaa" * (PAGE - 100) + content[PAGE:], "is damaged ("),
        (lambda _: b"", "is empty, and this home has written"),
    ],
    ids=["text", "half", "half a page", "no header", "zeros", "no schema", "nothing"],
)
def test_whatever_happened_to_it_nothing_works_on_it_and_nothing_is_built_on_it(
    scored: Settings, change: Callable[[bytes], bytes], words: str
) -> None:
    replace_database(scored, change)
    left = (scored.home / "xray.db").read_bytes()

    for use in (scan, prepare_ledger, migrate_ledger):
        with pytest.raises(LedgerAltered) as refusal:
            use(scored)
        assert words in str(refusal.value)
        assert "xray restore" in str(refusal.value)

    assert (scored.home / "xray.db").read_bytes() == left


@pytest.mark.parametrize("change", [spoil_page(5), lambda _: b"no database", lambda _: b""])
def test_doctor_names_it_among_its_findings(scored: Settings, change: Callable[[bytes], bytes]) -> None:
    replace_database(scored, change)

    findings = [finding for finding in examine(scored) if str(scored.home / "xray.db") in finding.what and finding.fix]

    assert len(findings) == 1
    assert "restore" in (findings[0].fix or "")


@pytest.mark.parametrize("looked_through", [0, damage._ALWAYS_LOOKED_THROUGH], ids=["large", "small"])
def test_a_damaged_page_is_refused_at_every_start_and_a_whole_database_at_none(
    scored: Settings, monkeypatch: pytest.MonkeyPatch, looked_through: int
) -> None:
    monkeypatch.setattr(damage, "_ALWAYS_LOOKED_THROUGH", looked_through)
    prepare_ledger(scored)
    (scored.home / "run" / "ledger-looked-through").unlink(missing_ok=True)
    replace_database(scored, spoil_page(find_last_page(scored)))

    for _ in range(3):
        with pytest.raises(LedgerAltered, match=r"the database is damaged .*`xray restore`"):
            prepare_ledger(scored)


def test_a_large_database_is_looked_through_once_and_not_at_every_command(
    scored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "_ALWAYS_LOOKED_THROUGH", 0)
    monkeypatch.setattr(damage, "_BYTES_LOOKED_THROUGH_A_SECOND", 1)  # so large that once is enough for a day
    looks = []
    find = damage.find_damage
    monkeypatch.setattr(damage, "find_damage", lambda engine: looks.append(1) or find(engine))

    for _ in range(3):
        with open_ledger(scored):
            pass

    assert len(looks) == 1


def test_a_large_database_that_is_damaged_after_the_look_does_not_become_a_backup(
    scored: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(damage, "_ALWAYS_LOOKED_THROUGH", 0)
    monkeypatch.setattr(damage, "_BYTES_LOOKED_THROUGH_A_SECOND", 1)
    with open_ledger(scored):
        pass
    replace_database(scored, spoil_page(find_last_page(scored)))

    with pytest.raises(LedgerAltered, match="the database is damaged"):
        back_up(scored, tmp_path / "backup")

    assert not (tmp_path / "backup").exists()


@pytest.mark.processes
@pytest.mark.lengthy
@pytest.mark.parametrize("words", [("status",), ("scan",), ("init",), ("doctor", "--migrate")], ids=" ".join)
def test_a_database_that_is_gone_is_no_reason_to_begin_anew(scored: Settings, words: tuple[str, ...]) -> None:
    (scored.home / "xray.db").unlink()

    done = xray(*words)

    assert done.returncode == 1
    assert done.stderr == (
        f"xray: {scored.home / 'xray.db'}: the database is not there, and this home has written to it: restore the "
        "newest backup into a new home (`xray restore`)\n"
    )
    assert not (scored.home / "xray.db").exists()


def test_a_backup_may_be_restored_into_a_home_whose_database_is_gone(scored: Settings, tmp_path: Path) -> None:
    back_up(scored, tmp_path / "backup")
    (scored.home / "xray.db").unlink()

    restore(scored, tmp_path / "backup")

    assert scan(scored).sentence() == "nothing new"
