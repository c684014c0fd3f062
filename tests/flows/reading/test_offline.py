"""The page as a folder: it works without a server, holds nothing that tells of a film, and its CSV gives the rows."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from flows.home.ledger import open_ledger
from flows.reading.readers import add_reader
from flows.review.given_verdicts import import_verdicts, is_verdicts_csv
from flows.review.label_import import take_in
from flows.settings import Settings
from tests.browser import open_browser
from tests.flows.cli.test_cli import xray
from tests.flows.reading.conftest import fill
from tests.flows.reading.robot import read_list
from tests.flows.reading.test_reading import _KEYS, _SAID, assert_blind, read_said, read_secrets, script_of
from tests.patience import here
from xray_core.errors import InvalidLabelsCsv

pytestmark = pytest.mark.processes


def test_an_offline_folder_is_blind_and_its_csv_gives_the_rows_of_the_served_page(
    settings: Settings, tmp_path: Path
) -> None:
    fill(settings)
    folder, saved = tmp_path / "folder", tmp_path / "saved"
    add_reader(settings, "Anna B.")
    done = xray("review", "--reader", "Anna B.", "--offline", str(folder))
    assert done.returncode == 0, done.stderr
    assert_blind({path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}, read_secrets(settings))

    with open_browser(tmp_path / "profile") as browser:
        browser.download_into(saved)
        browser.open((folder / "review.html").as_uri())
        read_list(browser, lambda film: _KEYS[script_of(film)])
        browser.press("Enter")  # the button has the focus
        csv = saved / "labels-Anna-B.csv"
        deadline = time.monotonic() + here(20)
        while not csv.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert [url for url in browser.requests if not url.startswith(("file:", "blob:", "data:"))] == []
        assert browser.complaints == []

    shutil.copy(csv, settings.labels_dir / csv.name)
    dropped = take_in(settings, settings.labels_dir / csv.name, 1)
    assert dropped.imported is not None
    assert (dropped.imported.rows, dropped.imported.new, dropped.problems) == (5, 5, {})
    again = xray("labels", "import", str(csv))
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "5 rows taken in, 0 of them new")
    said = read_said(settings, int(csv.read_text().splitlines()[1].partition("-")[0]))
    assert said == {position: _SAID[script_of(position)] for position in range(1, 6)}


def test_a_folder_with_something_in_it_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    add_reader(settings, "anna")
    done = xray("review", "--reader", "anna", "--offline", str(tmp_path))
    assert done.returncode == 2
    assert "expected a new or empty folder" in done.stderr


def test_a_csv_with_a_bad_row_is_refused_whole(settings: Settings, tmp_path: Path) -> None:
    fill(settings)
    add_reader(settings, "anna")
    assert xray("review", "--reader", "anna", "--offline", str(tmp_path / "folder")).returncode == 0
    head = "list,position,label,sure,exclude_reason,flagged_note,shown_at,seconds,prior_used,request_id"
    name = re.findall(r'"list": ?"(1-[0-9a-f]{16})"', (tmp_path / "folder" / "list.js").read_text())[0]
    good = f"{name},1,covid,true,,,2026-05-01T09:00:00Z,3.5,false,{'a' * 32}"
    bad = (
        f"{name},2,pneumonia,true,,,2026-05-01T09:00:00Z,3.5,false,{'b' * 32}",
        good.replace(",1,", ",99,", 1),
        good.replace("1-", "1-0", 1),
        good.replace(name, "1"),
    )
    csv = tmp_path / "labels.csv"
    csv.write_text("\r\n".join((head, good, *bad)))
    assert is_verdicts_csv(csv)
    with open_ledger(settings) as engine, pytest.raises(InvalidLabelsCsv) as refusal:
        import_verdicts(settings, engine, csv)
    assert "line 3: label" in str(refusal.value)
    assert "line 4: list 1 of this home has no film 99" in str(refusal.value)
    assert "line 5: list 1-0" in str(refusal.value)
    assert "line 6: list 1 is of other films; expected the home that wrote its folder" in str(refusal.value)
    assert read_said(settings, 1) == {}
