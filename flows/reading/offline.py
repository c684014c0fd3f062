"""The reading page as a folder for another computer: no server, no network, no word of what a film is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from flows.reading.desk import Desk, write_film, write_list_script
from flows.reading.pages import PARTS
from flows.reading.reading_page import FOLDER_POLICY, READING_SCRIPTS, render_reading_page
from flows.settings import Settings
from xray_core.reading.film_reader import FilmReader

_STYLE = "page.css"


def write_folder(settings: Settings, desk: Desk, films: FilmReader, folder: Path, *, reader: str) -> str:
    """Write the page, its list and its films; the name of the CSV that the page will save.

    The scores of an offline list are never in it, so none is revealed.
    """
    for part in (folder, folder / "page", folder / "films"):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (_STYLE, *READING_SCRIPTS):
        shutil.copyfile(PARTS / name, folder / "page" / name)
    for name in desk.orders:
        script = write_film(desk, films, name)
        if script is not None:
            (folder / "films" / f"{name}.js").write_bytes(script)
    file = name_file(reader)
    (folder / "list.js").write_bytes(write_list_script(desk, file=file))
    page = render_reading_page(settings, policy=FOLDER_POLICY)
    (folder / "review.html").write_text(page, encoding="utf-8")
    return file


def name_file(reader: str) -> str:
    """`labels-NAME.csv`, of letters that every file system takes."""
    return f"labels-{re.sub(r'[^A-Za-z0-9_-]+', '-', reader).strip('-') or 'reader'}.csv"
