"""What of an error may be read by anybody: its kind and place, and never the words of a library, which may name files.

Whatever a flow or task raises is written into Prefect's database, logs and pages, which people read who may not
see a patient's name; file names often are one. So every flow and task is wrapped here, under Prefect's own decorator.
"""

from __future__ import annotations

import errno
import functools
import inspect
import sqlite3
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

from flows.home.termination import find_stop
from flows.settings import CHECKOUT
from xray_core.errors import XrayError

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Fault(Exception):
    """An error without its words: the number and the place are left. Each has a class of the original's name.

    `passes` says whether it is one that passes by itself.
    """

    passes = False


def without_words(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """The same function, whose errors carry no words but public ones of our own, and no error behind them."""

    @functools.wraps(function)
    def wrapped(*args: _Given.args, **options: _Given.kwargs) -> _Result:
        try:
            return function(*args, **options)
        except Exception as error:  # noqa: BLE001  # every kind there is, and it is raised again
            public = make_public(error)
        raise public  # out here it has no context: the original stays behind

    # Prefect reads what a flow takes by the names of the module that its function was written in, not of this one.
    wrapped.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return wrapped


def make_public(error: Exception) -> BaseException:
    """What to raise in place of an error: the stop behind it, ours with its public sentence, or a Fault."""
    stop = find_stop(error)
    if stop is not None:
        stop.__cause__ = stop.__context__ = None
        return stop
    if isinstance(error, Fault):
        return error.with_traceback(None)
    if isinstance(error, XrayError):
        ours = type(error).__new__(type(error))
        ours.args, ours.is_public = (error.public_sentence,), True
        return ours
    fault: type[Fault] = type(type(error).__name__, (Fault,), {"passes": passes_by_itself(error)})
    return fault(_describe(error))


def say_publicly(error: BaseException) -> str:
    """One line for the ledger and for people: our own public sentence, or `OSError: ENOSPC at flows/...`."""
    if isinstance(error, XrayError):
        return error.public_sentence
    words = str(error) if isinstance(error, Fault) else _describe(error)
    return ": ".join(filter(None, (type(error).__name__, words)))


def passes_by_itself(error: BaseException) -> bool:
    """A busy database or a disk hiccup may pass; a missing champion or an altered model never does."""
    if isinstance(error, OperationalError):
        return "database is locked" in str(error) or error.connection_invalidated
    return error.passes if isinstance(error, Fault) else isinstance(error, OSError)


def _describe(error: BaseException) -> str:
    """Number and place: `ENOSPC at flows/review/exports.py:63 in write_export`."""
    place = _find_place(error)
    return " ".join(filter(None, (_find_code(error), f"at {place}" if place else None)))


def _find_code(error: BaseException) -> str | None:
    origin = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(origin, sqlite3.Error):
        return getattr(origin, "sqlite_errorname", None)
    if isinstance(origin, OSError) and isinstance(origin.errno, int):
        return errno.errorcode.get(origin.errno, f"errno {origin.errno}")
    return None


def _find_place(error: BaseException) -> str | None:
    """The innermost line of our own code, else of a library's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    ours = [frame for frame in frames if _is_ours(Path(frame.filename))]
    if not frames:
        return None
    last = (ours or frames)[-1]
    path = Path(last.filename)
    short = path.relative_to(CHECKOUT) if ours else Path(*path.parts[-2:])
    return f"{short}:{last.lineno} in {last.name}"


def _is_ours(path: Path) -> bool:
    return path.is_relative_to(CHECKOUT) and not path.is_relative_to(sys.prefix)
