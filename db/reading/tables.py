"""The tables of reading: who reads, which films on which list, and why; what they said stands in `labels`."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.columns import Base, Id, word
from db.sealing import sealed
from xray_core.reading.records import ListPurpose, ListReason


class ReaderRow(Base):
    """A person who reads films; `folded` is the name without regard to case and blanks."""

    __tablename__ = "readers"
    __table_args__ = (UniqueConstraint("folded"), sealed())

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    folded: Mapped[str]
    added_at: Mapped[datetime]


class ReadingListRow(Base):
    """Films that one reader is asked to read, in the order that the seed gave."""

    __tablename__ = "reading_lists"
    __table_args__ = (
        CheckConstraint("reveal_share >= 0 AND reveal_share <= 1", name="reveal_share"),
        sealed(),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    reader_id: Mapped[int] = mapped_column(ForeignKey("readers.id"))
    seed: Mapped[int] = mapped_column(BigInteger)
    reveal_share: Mapped[float] = mapped_column(Float(53))
    guide_sha256: Mapped[str | None] = mapped_column(String(64))
    made_at: Mapped[datetime]
    purpose: Mapped[ListPurpose] = mapped_column(word(ListPurpose, "purpose"), default=ListPurpose.READING)


class ReadingListItemRow(Base):
    """One film on a list: why it is there, how likely it was to be, and whether the score is shown afterwards."""

    __tablename__ = "reading_list_items"
    __table_args__ = (
        UniqueConstraint("list_id", "position"),
        UniqueConstraint("list_id", "xray_id"),
        CheckConstraint("selection_probability > 0 AND selection_probability <= 1", name="selection_probability"),
        sealed(),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("reading_lists.id"))
    position: Mapped[int]
    xray_id: Mapped[int] = mapped_column(ForeignKey("xrays.id"))
    reason: Mapped[ListReason] = mapped_column(word(ListReason, "reason"))
    selection_probability: Mapped[float] = mapped_column(Float(53))
    reveal: Mapped[bool]
