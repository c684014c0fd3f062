"""Labelled X-rays, each with what it trains by and what it judges by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from db.bulk import pieces
from db.reading.opinions import find_first_unread, read_opinions
from db.scoring import patient_tally
from db.scoring.folders import to_film_path
from db.scoring.tables import FolderRow, LabelRow, XrayRow
from xray_core.promotion.policy import LabelRules
from xray_core.reading.records import Opinion
from xray_core.reading.settled import SettledLabel, settle_label
from xray_core.records import LabelledXray, name_content_group


def read_labelled(
    session: Session, rules: LabelRules, *, upto: int | None = None, among: Select[tuple[int]] | None = None
) -> list[LabelledXray]:
    """Every labelled X-ray (or those that `among` finds), those that are never trained on included, by id.

    Its label is settled by the policy's rules, out of the label rows up to the one with the id `upto`.
    """
    opinions = read_opinions(session, upto=upto, among=among)
    unread = find_first_unread(session, upto=upto) if rules.chance_test_side else None
    former = patient_tally.read_former_patients(session, among=select(LabelRow.xray_id) if among is None else among)
    folders = {folder.id: folder for folder in session.scalars(select(FolderRow))}

    @cache
    def settle(said: tuple[Opinion, ...], read_whole: bool) -> SettledLabel:
        """Five readers and a few words: what is said of fifty thousand films is said in a hundred ways."""
        return settle_label(said, rules, read_whole=read_whole)

    labelled = []
    for xray in _iter_xrays(session, sorted(opinions)):
        settled = settle(tuple(opinions[xray.id]), unread is None or xray.id < unread)
        labelled.append(_to_labelled(xray, folders[xray.folder_id], settled, former.get(xray.id, ())))
    return labelled


def read_labelled_before(
    session: Session,
    rules: LabelRules,
    now: Sequence[LabelledXray],
    *,
    upto: int,
    among: Select[tuple[int]] | None = None,
) -> list[LabelledXray]:
    """What `read_labelled` would give for the rows up to the one with the id `upto`, out of what it gives `now`.

    Only the films of which something was said since are settled anew, unless all hang on which film is unread.
    """
    if rules.chance_test_side and find_first_unread(session) != find_first_unread(session, upto=upto):
        return read_labelled(session, rules, upto=upto, among=among)
    since = select(LabelRow.xray_id).where(LabelRow.id > upto).distinct()
    if among is not None:
        since = since.where(LabelRow.xray_id.in_(among))
    changed = set(session.scalars(since))
    return [
        *(xray for xray in now if xray.xray_id not in changed),
        *(read_labelled(session, rules, upto=upto, among=since) if changed else ()),
    ]


_COLUMNS = (
    *(XrayRow.id, XrayRow.sha256, XrayRow.patient, XrayRow.source, XrayRow.view, XrayRow.sex, XrayRow.age_group),
    *(XrayRow.file_format, XrayRow.width, XrayRow.height, XrayRow.dhash, XrayRow.path, XrayRow.folder_id),
)


def _iter_xrays(session: Session, xray_ids: Sequence[int]) -> Iterator[Row[Any]]:
    """What a training asks of these X-rays, as plain rows: an object of each would take three times as long."""
    for part in pieces(xray_ids):
        yield from session.execute(select(*_COLUMNS).where(XrayRow.id.in_(part)).order_by(XrayRow.id))


def _to_labelled(xray: Row[Any], folder: FolderRow, settled: SettledLabel, former: tuple[str, ...]) -> LabelledXray:
    return LabelledXray(
        xray_id=xray.id,
        sha256=xray.sha256,
        path=to_film_path(folder, xray.path),
        label=settled.label,
        group=xray.patient or name_content_group(xray.sha256),
        patient_known=xray.patient is not None,
        source=xray.source,
        view=xray.view,
        sex=xray.sex,
        age_group=xray.age_group,
        file_format=xray.file_format,
        width=xray.width,
        height=xray.height,
        dhash=xray.dhash,
        former_groups=former,
        held=settled.held,
        reference=settled.reference,
    )
