"""Column types and constraints that the tables share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    Integer,
    MetaData,
    Text,
    func,
    text,
    type_coerce,
)
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class UtcTime(TypeDecorator[datetime]):
    """An aware time, returned in UTC; a naive one is refused. SQLite, which has no times, holds microseconds of 1970.

    As text they would take three times the room.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Numbers on SQLite."""
        return BigInteger() if _is_sqlite(dialect) else dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a time that does not say where it belongs."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"received {value.isoformat()}, a time without a zone; expected an aware one")
        return (value - _EPOCH) // _MICROSECOND if _is_sqlite(dialect) else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """PostgreSQL may answer in another zone; SQLite had text before revision 0010, whose ledgers are read too."""
        if value is None:
            return None
        if isinstance(value, int):
            return _EPOCH + timedelta(microseconds=value)
        return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value.astimezone(UTC)

    @staticmethod
    def on_postgresql(name: str) -> str:
        """The SQL of what SQLite would hold, for a column of PostgreSQL."""
        return f"CAST(EXTRACT(EPOCH FROM {name}) * 1000000 AS BIGINT)"


class _Blob(UserDefinedType[Any]):
    """SQLite's bytes, as its driver takes and gives them."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "BLOB"


class Digest(TypeDecorator[str]):
    """Lower-case hex digits. SQLite holds the bytes that they stand for, in half the room.

    Text that is no such digits goes to SQLite as it is: it equals none, and a CHECK refuses it where one must be.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Bytes on SQLite."""
        return _Blob() if _is_sqlite(dialect) else dialect.type_descriptor(Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Digits to bytes."""
        return value if value is None or not _is_sqlite(dialect) else _to_bytes(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Bytes to digits."""
        return value.hex() if isinstance(value, bytes) else value

    @staticmethod
    def on_postgresql(name: str) -> str:
        """The SQL of what SQLite would hold, for a column of PostgreSQL."""
        return f"CASE WHEN {name} ~ '^([0-9a-f]{{2}})*$' THEN decode({name}, 'hex') ELSE convert_to({name}, 'UTF8') END"


class RunId(TypeDecorator[str]):
    """A UUID as text; SQLite holds its 16 bytes. Anything else is refused by ValueError."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Bytes on SQLite."""
        return _Blob() if _is_sqlite(dialect) else dialect.type_descriptor(Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Text to bytes."""
        if value is None:
            return None
        if not _UUID.fullmatch(value):
            raise ValueError(f"received the run {value!r}; expected a UUID in lower case")
        return bytes.fromhex(value.replace("-", "")) if _is_sqlite(dialect) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Bytes to text."""
        if not isinstance(value, bytes):
            return None if value is None else str(value)
        digits = value.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    @staticmethod
    def on_postgresql(name: str) -> str:
        """The SQL of what SQLite would hold, for a column of PostgreSQL."""
        digits = f"decode(replace({name}, '-', ''), 'hex')"
        return f"CASE WHEN {name} ~ '^{_UUID.pattern}$' THEN {digits} ELSE convert_to({name}, 'UTF8') END"


def _is_sqlite(dialect: Dialect) -> bool:
    return dialect.name == "sqlite"


def _to_bytes(digits: str) -> bytes | str:
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        return digits
    return found if found.hex() == digits else digits


def begins_with(column: ColumnElement[str] | Any, digits: str, *, length: int = 64) -> ColumnElement[bool]:
    """Whether a column of digests of so many digits begins with these; its index can tell."""
    return column.between(digits.ljust(length, "0"), digits.ljust(length, "f"))


def to_digits(session: Session, column: ColumnElement[str] | Any) -> ColumnElement[str]:
    """A column of digests as text, where SQL joins it to other text."""
    return func.lower(func.hex(column)) if session.get_bind().dialect.name == "sqlite" else column


def to_day(session: Session, column: ColumnElement[datetime] | Any) -> ColumnElement[Any]:
    """The day (UTC) of a column of times."""
    if session.get_bind().dialect.name == "sqlite":
        return func.date(type_coerce(column, BigInteger) // 1_000_000, "unixepoch")
    return func.date(column)


def plain_column(column: Column[Any], is_postgresql: bool, as_text: bool) -> str:
    """The SQL of a column in the form in which both databases give the same: as SQLite holds it.

    `as_text` is the form of before revision 0010.
    """
    name = f"{column.table.name}.{column.name}"
    if is_postgresql and as_text and isinstance(column.type, UtcTime):
        return f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    if is_postgresql and not as_text and isinstance(column.type, UtcTime | Digest | RunId):
        return column.type.on_postgresql(name)
    return f"CAST({name} AS INTEGER)" if isinstance(column.type, Boolean) else name


class Base(DeclarativeBase):
    """All tables of the results database."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {datetime: UtcTime, str: Text}  # noqa: RUF012  # SQLAlchemy reads it from the class


# SQLite numbers rows by itself only where the key is called INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


def word(kind: type[StrEnum], column: str) -> Enum:
    """A state as text under a CHECK; it comes back as the enum's member."""
    return Enum(
        kind,
        name=column,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


def where(condition: str) -> dict[str, Any]:
    """The condition of a partial index.

    PostgreSQL has the same ones by migration. To name them here too would make SQLAlchemy import that dialect
    (0.1 s) in every scan on SQLite.
    """
    return {"sqlite_where": text(condition)}
