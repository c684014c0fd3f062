"""What the commands share: reading the settings, JSON, a progress line, and the sentence of a failure."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from flows.settings import Settings, find_unknown_variables, read_settings

_WIDER_THAN_ANY_ROW = 10_000
_WIDEST_TO_READ = 110
_END_OF_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")

# Modules of the extra `train` in pyproject.toml.
_TRAINING = frozenset(("tensorflow", "keras", "onnx", "tf2onnx", "pandas", "matplotlib", "sklearn", "scipy"))


def open_home() -> Settings:
    """Settings read, and a home where they say: the first line of every command that works in one."""
    from flows.home.folders import enter_home

    settings = read_settings_aloud()
    enter_home(settings)
    return settings


def view_home() -> Settings:
    """The same for a command that only looks, and works for somebody who may only read."""
    from flows.home.folders import view_home as look

    settings = read_settings_aloud()
    look(settings)
    return settings


def make_home() -> Settings:
    """Settings read, home and database there and up to date: the first line of the commands that make a home."""
    from flows.home.ledger import prepare_ledger

    settings = read_settings_aloud()
    prepare_ledger(settings)
    return settings


def read_settings_aloud() -> Settings:
    """The settings, and a line for what looks like one and is none.

    A `.env` of the current folder may be anybody's: it is not obeyed, and that is said.
    """
    settings, here = read_settings(), Path(".env").absolute()
    for sentence in find_unknown_variables():
        say(f"xray: {sentence}", err=True)
    if here != settings.env_file and os.access(here, os.R_OK) and here.is_file() and b"XRAY_" in here.read_bytes():
        read = f"{settings.env_file} was" if settings.env_file else "none was"
        say(
            f"xray: {here} is not read ({read}): its lines belong into {settings.home / '.env'}, or set XRAY_ENV_FILE",
            err=True,
        )
    return settings


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output; times are ISO 8601."""
    _write(json.dumps(value, indent=2, default=_to_text), sys.stdout)


def _to_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def tell(lines: Iterable[str]) -> None:
    """Lines for people on standard output, each as `say` says it."""
    for line in lines:
        say(line)


def say(line: str, *, err: bool = False) -> None:
    """A line for people: on a terminal a sentence a line, folded to its width; elsewhere as it is."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        # COLUMNS first, then standard output, and where that is a file the terminal that the line goes to.
        fallback = (os.get_terminal_size(stream.fileno()).columns or 80, 1)
        width = min(shutil.get_terminal_size(fallback).columns, _WIDEST_TO_READ)
        line = "\n".join(fold(one, width) for one in line.splitlines())
    _write(line, stream)


def _write(line: str, stream: TextIO) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def fold(line: str, width: int) -> str:
    """A line of several sentences as a line each, none wider than so many signs; what goes on stands further in."""
    indent = " " * (len(line) - len(line.lstrip()))
    folded: list[str] = []
    for sentence in _END_OF_SENTENCE.split(line.strip()):
        first = f"{indent}    " if folded else indent
        folded += textwrap.wrap(
            sentence,
            width,
            initial_indent=first,
            subsequent_indent=f"{indent}    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(folded)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table with a header on standard output; told row by row on a terminal that is too narrow for it.

    Nothing is cut or broken in two: versions and digests are there to be copied.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    written = [[str(value) for value in row] for row in rows]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in header:
        table.add_column(name)
    for row in written:
        table.add_row(*(Text(value) for value in row))
    # Rich takes a terminal that can do nothing (TERM=dumb) for 80 columns wide, unless it is told width and height.
    width, height = shutil.get_terminal_size()
    console = Console(width=width if sys.stdout.isatty() else _WIDER_THAN_ANY_ROW, height=height)
    if console.measure(table, options=console.options.update(max_width=_WIDER_THAN_ANY_ROW)).maximum > console.width:
        tell(line for row in written for line in _list_row(header, row))
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        _write(line.rstrip(), sys.stdout)


def _list_row(header: Sequence[str], row: Sequence[str]) -> list[str]:
    """A row of two as one line; of more what it is called by, and below it each value with its name."""
    first, *others = row
    if len(others) == 1:
        return [f"{first}: {others[0]}"]
    return [first, *(f"  {name}: {value}" for name, value in zip(header[1:], others, strict=True))]


def fail(sentence: str, *, code: int) -> int:
    """Say what is wrong on standard error; returns the exit code."""
    say(f"xray: {sentence}", err=True)
    return code


_HINTS = {
    "full": "free some space; what was committed is whole, the rest is done by the next run",
    "disk I/O error": "free some space; what was committed is whole, the rest is done by the next run",
    "malformed": "the file is damaged: restore the newest backup into a new home, `xray restore`",
    "not a database": "the file is damaged: restore the newest backup into a new home, `xray restore`",
    "decode": "the file is damaged: restore the newest backup into a new home, `xray restore`",
    "unable to open": "is it there, and may this user read and write it and its folder?",
    "readonly": "may this user write it and its folder?",
    "connect": "is the server running, and does XRAY_DATABASE_URL name it?",
    "resolve": "does XRAY_DATABASE_URL name the right server?",
}


def describe_database_error(error: BaseException | None) -> str:
    """The database's own words, without the statement and its values."""
    words = next(iter(str(error).strip().splitlines()), "no word why")
    hint = next((hint for part, hint in _HINTS.items() if part in words), "try again")
    return f"the results database did not take part: {words} ({hint})"


def is_of_training(module: str | None) -> bool:
    """Whether a module that is not installed belongs to the extra `train`."""
    return (module or "").partition(".")[0] in _TRAINING


def describe_os_error(error: OSError) -> str:
    where = f"{os.fsdecode(error.filename)!r}: " if error.filename is not None else ""
    return f"{where}{error.strerror or error}"


@contextmanager
def show_progress(what: str, *, unit: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Yield `advance(count)`; draws a Rich bar on a terminal's standard error, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
