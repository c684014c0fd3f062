"""The database, flow and fault tests on a private PostgreSQL server: `python -m tests.postgres [pytest arguments]`."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

ROOT = Path(__file__).parents[1]
SUITE = ("tests/db", "tests/flows", "tests/faults")
ADVICE = (
    "no PostgreSQL server is installed here (initdb and pg_ctl were looked for on the PATH and in "
    "/usr/lib/postgresql/*/bin): install one, e.g. `apt-get install postgresql` or `dnf install postgresql-server`"
)
_START_SECONDS = 60
# Nothing that is in this server outlives it.
_IN_A_HURRY = "-c fsync=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0 -c autovacuum=off"
_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2**30


def main(arguments: list[str]) -> int:
    """Start a server, run the suite (or what the arguments name of it) on it, stop it; 2 where none is installed."""
    programs = find_programs()
    if programs is None:
        print(ADVICE, file=sys.stderr)
        return 2
    with private_server(programs) as url:
        return run_suite(url, arguments)


def find_programs() -> Path | None:
    """The folder with initdb and pg_ctl, the newest version first; None where there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    folders = [*installed, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@contextmanager
def private_server(programs: Path) -> Iterator[str]:
    """A server of this process's own on a free loopback port, in a temporary folder; stopped and gone afterwards."""
    owner = _owner()
    with TemporaryDirectory(prefix="xray-postgres-", dir=_find_place()) as folder:
        data, log, port = Path(folder, "data"), Path(folder, "server.log"), _free_port()
        if owner:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} {_IN_A_HURRY}"
        _run(owner, programs / "initdb", "-D", data, "-U", "xray", "--auth=trust", "--encoding=UTF8", "--locale=C")
        start = ("-D", data, "-l", log, "-w", "-t", str(_START_SECONDS), "-o", options, "start")
        try:
            _run(owner, programs / "pg_ctl", *start)
            yield f"postgresql+psycopg://xray@127.0.0.1:{port}/postgres"
        finally:
            _run(owner, programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop", check=False)


def _find_place() -> Path | None:
    """Memory, where there is room for it: a test's database is a thousand files that are made and removed."""
    has_room = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _ROOM_BYTES
    return _IN_MEMORY if has_room and os.access(_IN_MEMORY, os.W_OK) else None


def run_suite(url: str, arguments: list[str]) -> int:
    """The tests that know a database, on the server at this URL; pytest's exit code."""
    named = any(argument.startswith("tests/") for argument in arguments)
    environment = os.environ | {"XRAY_TEST_DATABASE_URL": url}
    command = [sys.executable, "-m", "pytest", *([] if named else SUITE), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _owner() -> pwd.struct_passwd | None:
    """Who runs the server: PostgreSQL refuses root, so then the user it was installed with, or nobody."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _run(owner: pwd.struct_passwd | None, program: Path, *arguments: str | Path, check: bool = True) -> None:
    """Run a program of PostgreSQL's as its owner; what it says goes into a file, for the server would keep a pipe."""
    identity: dict[str, Any] = {}
    if owner is not None:
        identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    with TemporaryFile() as said:
        done = subprocess.run(
            [program, *arguments],
            **identity,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            check=False,
        )
        said.seek(0)
        if check and done.returncode:
            raise RuntimeError(f"{program} ended with exit code {done.returncode}: {said.read().decode()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
