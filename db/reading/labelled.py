"""Labelled X-rays, each with what it trains by and what it judges by."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.reading.opinions import find_first_unread, read_opinions
from db.scoring import patient_tally
from db.scoring.folders import to_film_path
from db.scoring.tables import FolderRow, XrayRow
from xray_core.promotion.policy import LabelRules
from xray_core.reading.settled import SettledLabel, settle_label
from xray_core.records import LabelledXray, name_content_group


def read_labelled(session: Session, rules: LabelRules, *, upto: int | None = None) -> list[LabelledXray]:
    """Every labelled X-ray, those that are never trained on included, by id.

    Its label is settled by the policy's rules, out of the label rows up to the one with the id `upto`.
    """
    opinions = read_opinions(session, upto=upto)
    unread = find_first_unread(session, upto=upto) if rules.chance_test_side else None
    former = patient_tally.read_former_patients(session)
    rows = session.execute(
        select(XrayRow, FolderRow).join(FolderRow, FolderRow.id == XrayRow.folder_id).order_by(XrayRow.id)
    )
    labelled = []
    for xray, folder in rows.tuples():
        if xray.id in opinions:
            read_whole = unread is None or xray.id < unread
            settled = settle_label(opinions[xray.id], rules, read_whole=read_whole)
            labelled.append(_to_labelled(xray, folder, settled, former.get(xray.id, ())))
    return labelled


def _to_labelled(xray: XrayRow, folder: FolderRow, settled: SettledLabel, former: tuple[str, ...]) -> LabelledXray:
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
