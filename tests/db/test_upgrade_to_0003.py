"""Revision 0003, from a database with films that 0002 knew by absolute paths: whole whenever it is killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from db.engine import open_engine, writing
from tests.db.upgrades import kill_upgrades, read, upgrade
from xray_core.imaging.folder import sign_file

HOME = {"home": "/h", "incoming": "/h/incoming", "archive": "/archive", "incoming_place": "", "archive_place": ""}
# Where each film was last read, and what is true of it.
FILMS = {
    1: "/h/incoming/a.png",  # still where it came in
    2: "/archive/b.png",  # moved to the archive
    3: "/h/dataset/covid/c.png",  # of a training, in the home
    4: "/data/normal/d.png",  # of a training, elsewhere
    5: "/old-home/incoming/e.png",  # came in at a home that this one was restored from
    6: "/h/incoming/f\\x0a.png",  # a name that is no text
}
FILES = {1: "a.png", 2: "b.png", 5: "e.png", 6: "f\\x0a.png"}
XRAY = (
    "INSERT INTO xrays (id, sha256, file_format, width, height, mode, scale_rule, flags, dhash, path, first_seen_at) "
    "VALUES (:id, :sha, 'png', 9, 9, 'L', '8bit', '', '0', :path, '2026-01-01')"
)
FILE = (
    "INSERT INTO incoming_files (id, name, size, mtime_ns, ctime_ns, signature, state, xray_id, first_seen_at, "
    "decided_at, tries) VALUES (:id, :name, :size, 7, 8, 1, 'scored', :film, '2026-01-01', '2026-01-02', 1)"
)
# It went away: it has no size and no signature, so that it may come back.
GONE = (
    "INSERT INTO incoming_files (id, name, size, mtime_ns, ctime_ns, signature, state, reason_code, first_seen_at, "
    "decided_at, tries) VALUES (20, 'gone.png', -1, 7, 8, 0, 'rejected', 'GONE', '2026-01-01', '2026-01-02', 1)"
)
LABEL = (
    "INSERT INTO labels (xray_id, label, source, import_sha256, imported_at) "
    "VALUES (:film, 'covid', 'dataset', :import, '2026-01-01')"
)


@pytest.fixture
def old(empty_url: str) -> Iterator[Engine]:
    """A database of revision 0002 with films of every kind in it."""
    engine = open_engine(empty_url)
    upgrade(engine, "0002", HOME)
    with writing(engine).begin() as connection:
        connection.execute(text(XRAY), [{"id": film, "sha": f"{film:064d}", "path": FILMS[film]} for film in FILMS])
        connection.execute(
            text(FILE), [{"id": 10 + film, "name": FILES[film], "size": film, "film": film} for film in FILES]
        )
        connection.execute(text(GONE))
        connection.execute(text(LABEL), [{"film": 3, "import": "0" * 64}, {"film": 4, "import": "0" * 64}])
    yield engine
    engine.dispose()


FOUND = "SELECT x.id, f.kind, f.place, x.path FROM xrays x JOIN folders f ON f.id = x.folder_id ORDER BY x.id"


def test_every_film_belongs_to_a_folder_and_none_to_another_home(old: Engine) -> None:
    upgrade(old, "0003", HOME)

    assert read(old, FOUND) == [
        (1, "incoming", "", "a.png"),
        (2, "archive", "", "b.png"),
        (3, "dataset", "dataset/covid", "c.png"),
        (4, "dataset", "/data/normal", "d.png"),
        (5, "incoming", "", "e.png"),
        (6, "incoming", "", "f\\x0a.png"),
    ]


def test_every_known_file_has_the_signature_that_the_next_scan_will_look_for(old: Engine) -> None:
    upgrade(old, "0003", HOME)

    folder = read(old, "SELECT id FROM folders WHERE kind = 'incoming'")[0][0]
    signatures = dict(read(old, "SELECT id, signature FROM incoming_files"))
    assert signatures == {
        11: sign_file(folder, b"a.png", 1, 7, 8),
        12: sign_file(folder, b"b.png", 2, 7, 8),
        15: sign_file(folder, b"e.png", 5, 7, 8),
        16: sign_file(folder, b"f\n.png", 6, 7, 8),
        20: 0,
    }
    kept = read(old, "SELECT id, name, size, xray_id, tries FROM incoming_files ORDER BY id")
    assert kept[0] == (11, "a.png", 1, 1, 1)
    assert len(kept) == 5


@pytest.mark.processes
def test_a_kill_before_any_of_its_statements_leaves_the_old_database(old: Engine, sqlite_only: None) -> None:
    schema = "SELECT name, sql FROM sqlite_master ORDER BY name"
    rows = "SELECT id, name, signature FROM incoming_files ORDER BY id"
    paths = "SELECT id, path FROM xrays ORDER BY id"
    killed = kill_upgrades(
        old, "0003", lambda: [read(old, query) for query in (schema, rows, paths)], home=HOME, step=7
    )

    assert killed >= 5
    assert len(read(old, FOUND)) == len(FILMS)
