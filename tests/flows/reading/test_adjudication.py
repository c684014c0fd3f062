"""Disputed films are settled by somebody who has not read them, on the same page, in a folder or by CSV."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from db.engine import open_engine, snapshot
from db.reading.opinions import read_opinions
from flows.operations.verification import find_breach
from flows.reading.readers import add_reader
from flows.registry.reference_standard import read_readers_report
from flows.review.label_import import import_labels_from
from flows.settings import Settings
from tests.browser import Browser, open_browser
from tests.flows.cli.test_cli import xray
from tests.flows.reading.robot import read_list, wait_for_film
from tests.flows.reading.served import serve
from tests.flows.scoring.test_scan import drop_xrays, scan
from tests.patience import here
from xray_core.reading.records import ReaderRole
from xray_core.reading.settled import find_settled, settle

pytestmark = pytest.mark.processes

_ANNA = ("covid", "covid", "normal", "normal", "other")
_BEN = ("covid", "normal", "normal", "covid", "unsure")  # the second, fourth and fifth film are disputed


@pytest.fixture
def disputed(settings: Settings) -> Settings:
    """Five films, read by two; they contradict each other on three."""
    drop_xrays(settings.incoming_dir, len(_ANNA))
    scan(settings)
    names = sorted(path.name for path in settings.incoming_dir.iterdir())
    for reader, labels in (("Anna", _ANNA), ("Ben", _BEN)):
        add_reader(settings, reader)
        rows = [f"{name},{label},{reader},no" for name, label in zip(names, labels, strict=True)]
        path = settings.home / f"{reader}.csv"
        path.write_text("\n".join(("filename,label,labelled_by,score_visible", *rows)))
        import_labels_from(settings, path, mapping={}, accept_contradictions=True)
    return settings


def settled(settings: Settings) -> list[tuple[str, str | None]]:
    """How the films were settled, and as what, in alphabetical order."""
    with snapshot(open_engine(settings.url)) as session:
        return sorted((settle(said).value, find_settled(said)) for said in read_opinions(session).values())


def read_labels_of(settings: Settings, role: ReaderRole) -> list[str]:
    with snapshot(open_engine(settings.url)) as session:
        said = [one for opinions in read_opinions(session).values() for one in opinions]
    return sorted(f"{one.reader} {one.label.value}" for one in said if one.role is role)


def assert_settled_by_cleo(settings: Settings) -> None:
    assert read_readers_report(settings).settled == {"agreed": 2, "single": 0, "disputed": 0, "adjudicated": 3}
    assert read_labels_of(settings, ReaderRole.ADJUDICATOR) == ["Cleo normal"] * 3
    assert find_breach(settings)[0] is None


def choose_normal(_: int) -> str:
    return "n"


def test_a_third_reader_settles_on_the_page_and_sees_opinions_without_names(disputed: Settings, tmp_path: Path) -> None:
    with serve(disputed, "labels", "adjudicate", "--reader", "Cleo") as page:
        script = page.ask("/list.js", Cookie=page.enter()).body
        assert b"Anna" not in script
        assert b"Ben" not in script
        with open_browser(tmp_path / "profile") as browser:
            browser.open(page.invite())
            wait_for_film(browser)
            assert "Readers disagree" in browser.text()
            assert "1 / 3" in browser.text()
            read_list(browser, choose_normal)
            assert "All 3 disputed films are settled" in browser.text()
            assert browser.foreign_requests(page.address) == []
            assert browser.complaints == []
    assert_settled_by_cleo(disputed)
    done = xray("labels", "adjudicate", "--reader", "Cleo")
    assert (done.returncode, "no film is disputed" in done.stdout) == (0, True)


def test_the_same_in_a_folder_for_another_computer(disputed: Settings, tmp_path: Path) -> None:
    add_reader(disputed, "Cleo")
    folder, saved = tmp_path / "folder", tmp_path / "saved"
    done = xray("labels", "adjudicate", "--reader", "cleo", "--offline", str(folder))
    assert done.returncode == 0, done.stderr
    with open_browser(tmp_path / "profile") as browser:
        browser.download_into(saved)
        browser.open((folder / "review.html").as_uri())
        wait_for_film(browser)
        assert "Readers disagree" in browser.text()
        read_list(browser, choose_normal)
        browser.press("Enter")
        path = wait_for_file(saved / "labels-cleo.csv")
    assert xray("labels", "import", str(path)).returncode == 0
    assert_settled_by_cleo(disputed)


def wait_for_file(path: Path) -> Path:
    deadline = time.monotonic() + here(20)
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return path


def fill_in(path: Path, label: str) -> str:
    """The CSV as a spreadsheet of another country gives it back, with this label in each row; what stood in it."""
    before = path.read_text()
    rows = list(csv.DictReader(io.StringIO(before)))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows({**row, "label": label} for row in rows)
    return before


def test_the_same_by_csv_and_a_second_import_changes_nothing(disputed: Settings, tmp_path: Path) -> None:
    add_reader(disputed, "Cleo")
    path = tmp_path / "disputes.csv"
    assert xray("labels", "adjudicate", "--reader", "Cleo", "--csv", str(path)).returncode == 0
    assert xray("labels", "adjudicate", "--reader", "Cleo", "--csv", str(path)).returncode == 2
    given = fill_in(path, "Normal")
    assert "Anna" not in given
    opinions = {row["opinions"] for row in csv.DictReader(io.StringIO(given))}
    assert opinions <= {"covid | normal", "normal | covid", "other | unsure", "unsure | other"}

    assert xray("labels", "import", str(path)).stdout.startswith("3 rows taken in, 3 of them new")
    assert_settled_by_cleo(disputed)
    assert xray("labels", "import", str(path)).stdout.startswith("3 rows taken in, 0 of them new")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": "flu"}, "line 2: label 'flu'"),
        ({"label": "covid", "position": "99"}, "has no film 99"),
        ({"label": "covid", "xray_sha256": "a" * 64}, "xray_sha256 is not that of film 1 of list"),
    ],
)
def test_a_csv_of_disputes_with_a_bad_row_is_refused_whole(
    disputed: Settings, tmp_path: Path, change: Mapping[str, str], words: str
) -> None:
    add_reader(disputed, "Cleo")
    path = tmp_path / "disputes.csv"
    assert xray("labels", "adjudicate", "--reader", "Cleo", "--csv", str(path)).returncode == 0
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    rows[0] |= change
    rows[1]["label"] = "covid"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = xray("labels", "import", str(path))
    assert done.returncode == 2
    assert words in done.stderr
    assert read_labels_of(disputed, ReaderRole.ADJUDICATOR) == []


def test_one_of_the_two_is_sent_to_the_third(disputed: Settings) -> None:
    add_reader(disputed, "Cleo")
    done = xray("labels", "adjudicate", "--reader", "anna")
    assert (done.returncode, done.stdout.count("--reader 'Cleo'")) == (0, 1)


def test_without_a_third_both_read_again_blind_and_what_stays_disputed_is_unsure(
    disputed: Settings, tmp_path: Path
) -> None:
    keys = {"Anna": "c", "Ben": "n"}
    for reader, key in keys.items():
        with (
            serve(disputed, "labels", "adjudicate", "--reader", reader) as page,
            open_browser(tmp_path / reader) as browser,
        ):
            browser.open(page.address)
            assert_blind_again(browser)
            read_list(browser, lambda _, key=key: key)  # type: ignore[misc]
    # Anna came over to what Ben had said of the fourth: it is agreed, and he is not asked again.
    agreed = [("agreed", "covid"), ("agreed", "covid"), ("agreed", "normal")]
    assert settled(disputed) == [("adjudicated", "unsure")] * 2 + agreed
    assert read_labels_of(disputed, ReaderRole.ADJUDICATOR) == []


def assert_blind_again(browser: Browser) -> None:
    wait_for_film(browser)
    assert "Readers disagree" not in browser.text()
    assert browser.evaluate("Object.keys(Xray.list.opinions).length") == 0
    assert browser.evaluate("Object.keys(Xray.list.read).length") == 0
