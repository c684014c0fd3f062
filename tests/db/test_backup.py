from __future__ import annotations

import stat
import threading
from pathlib import Path

from sqlalchemy import Engine, func, select

from db import invariants
from db.backup import backup_database
from db.engine import check_schema, open_engine, snapshot
from db.scoring.tables import ResultRow
from tests.db.rows import ANCHOR, add_champion, score_files


def test_backups_made_while_others_write_are_whole_and_a_prefix_of_history(
    engine: Engine, sqlite_only: None, tmp_path: Path
) -> None:
    model = add_champion(engine)
    stop = threading.Event()

    def write() -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            score_files(engine, model, {f"{number}-{part}.png": f"{number}-{part}" for part in range(4)})

    writer = threading.Thread(target=write)
    writer.start()
    counts = []
    for number in range(8):
        backup_database(engine, tmp_path / f"{number}.db")
        counts.append(count_results(tmp_path / f"{number}.db"))
    stop.set()
    writer.join()

    assert counts == sorted(counts)
    assert all(count % 4 == 0 for count in counts)
    assert stat.S_IMODE((tmp_path / "0.db").stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".*"))


def count_results(path: Path) -> int:
    copy = open_engine(f"sqlite:///{path}", anchor=ANCHOR)
    check_schema(copy)
    with snapshot(copy) as session:
        assert list(invariants.find_breaches(session)) == []
        found = session.scalar(select(func.count()).select_from(ResultRow)) or 0
    copy.dispose()
    return found
