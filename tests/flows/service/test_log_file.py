"""The children's logs: private, bounded, and without tracebacks that say what films are called."""

from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy.exc import OperationalError

from flows.service.child import Address, Child
from flows.service.log_file import bound_log, open_log
from flows.service.server import shorten_error
from flows.settings import Settings

WRITER = "import sys, time\nfor number in range(4000): print(number, 'x' * 90, flush=True); time.sleep(0.0005)"


def test_a_log_that_grows_is_cut_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with open_log(log) as output:
        writer = subprocess.Popen([sys.executable, "-c", WRITER], stdout=output)
    sizes = []
    while writer.poll() is None:
        bound_log(log, most_bytes=20_000)
        sizes.append(log.stat().st_size)
        time.sleep(0.02)
    bound_log(log, most_bytes=20_000)

    assert max(sizes) < 120_000  # of 380,000 written
    assert (tmp_path / "server.log.1").stat().st_size > 20_000
    assert b"\0" not in log.read_bytes() + (tmp_path / "server.log.1").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"server.log", "server.log.1"}


def test_a_log_is_its_users_alone_even_where_it_was_not(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("x" * 100)
    log.chmod(0o644)

    open_log(log).close()
    bound_log(log, most_bytes=10)

    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_childs_output_goes_into_such_a_log(tmp_path: Path) -> None:
    with Child(
        "worker", [sys.executable, "-c", "print('said')"], Settings(home=tmp_path), Address("127.0.0.1", 4200)
    ).running() as child:
        while child.exit_code is None:
            time.sleep(0.05)

    assert (tmp_path / "run" / "worker.log").read_text() == "said\n"
    assert stat.S_IMODE((tmp_path / "run" / "worker.log").stat().st_mode) == 0o600


def test_an_error_in_the_servers_log_is_one_line_without_its_values() -> None:
    try:
        raise OperationalError("INSERT INTO log (message)", {"message": "ZZNAME"}, sqlite3.OperationalError("locked"))
    except OperationalError:
        error = sys.exc_info()
    record = logging.LogRecord("prefect", logging.ERROR, "", 0, "heartbeat of %s failed", ("worker",), error)

    assert shorten_error(record)

    said = logging.Formatter().format(record)
    assert said.startswith("heartbeat of worker failed (OperationalError: at ")
    assert "ZZNAME" not in said
    assert "\n" not in said
