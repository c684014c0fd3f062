"""What five readers said in years: lists of fifty films, each list read by two of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from db.engine import transaction
from db.reading import lists, readers
from db.reading.tables import ReadingListItemRow
from db.scoring.tables import LabelRow
from db.sealing import adding, seal
from tests.benchmarks.years.rows import END, Row, content_of, labelled_numbers, sha256_of, time_of
from xray_core.reading.reading_list import AUDIT_SHARE
from xray_core.reading.records import ChosenFilm, ListReason
from xray_core.records import Label

READERS: Final = ("Ada", "Bo", "Cleo", "Dana", "Eli")
_LIST: Final = 50
_LABELS_PER_SEAL: Final = 5


def add_labels(engine: Engine, *, films: int, labels: int) -> None:
    """Every list whole, and a verdict for each of its films; readers differ on one film in forty."""
    numbers = labelled_numbers(films, labels)
    with transaction(engine) as session:
        ids = [readers.add_reader(session, name, now=time_of(0, 1)) for name in READERS]
        for start in range(0, len(numbers), _LIST):
            for turn in range(2):
                reader = (start // _LIST + turn) % len(READERS)
                _read_list(session, numbers[start : start + _LIST], ids[reader], READERS[reader], turn, films)
            session.expunge_all()


def label_of(number: int, turn: int = 0) -> Label:
    """What a reader says of a film: mostly what its content says."""
    is_covid = (int(content_of(number)[:8], 16) / 2**32 >= 0.5) != (turn == 1 and number % 40 == 0)
    return Label.COVID if is_covid else Label.NORMAL


def _read_list(session: Session, numbers: Sequence[int], reader_id: int, reader: str, turn: int, films: int) -> None:
    at = time_of(numbers[-1], films)
    chosen = [ChosenFilm(number, ListReason.AUDIT, AUDIT_SHARE, reveal=False) for number in numbers]
    list_id = lists.add_list(session, reader_id, chosen, seed=1, reveal_share=0.0, guide_sha256=None, now=at)
    items = session.execute(
        select(ReadingListItemRow.id, ReadingListItemRow.xray_id)
        .where(ReadingListItemRow.list_id == list_id)
        .order_by(ReadingListItemRow.id)
    ).all()
    for start in range(0, len(items), _LABELS_PER_SEAL):
        with adding(session, LabelRow):
            said = [
                _label_row(xray_id, item_id, reader, turn, films)
                for item_id, xray_id in items[start:][:_LABELS_PER_SEAL]
            ]
            session.connection().execute(insert(LabelRow), said)
        seal(session)


def _label_row(number: int, item_id: int, reader: str, turn: int, films: int) -> Row:
    at = min(END, time_of(number, films) + timedelta(days=1 + turn))
    request = sha256_of(f"request {item_id}")[:32]
    return {
        "xray_id": number,
        "label": label_of(number, turn),
        "reader": reader,
        "labelled_at": at,
        "source": "page",
        "import_sha256": sha256_of(request),
        "imported_at": at,
        "list_item_id": item_id,
        "sure": number % 5 > 0,
        "score_visible": False,
        "shown_at": at - timedelta(seconds=8),
        "seconds": 8.0,
        "prior_used": False,
        "request_id": request,
    }
