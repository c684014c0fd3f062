"""First scores soon: a scan starts without what it does not need, and says the same as if Typer had read its words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flows.cli.app import find_plain_scan
from flows.settings import CHECKOUT, Settings
from tests.flows.scoring.test_scan import count_results, drop_xrays

UNNEEDED = (
    *("typer", "click", "rich", "pydantic", "pydantic_settings", "dotenv", "alembic", "jinja2", "markdown_it", "yaml"),
    *("pandas", "scipy", "sklearn", "tensorflow", "keras", "pydicom", "prefect", "starlette", "uvicorn", "httpx"),
    *("dask", "distributed", "obstore", "psycopg", "sqlalchemy.dialects.postgresql", "sqlalchemy.ext.asyncio"),
)


@pytest.mark.processes
def test_a_scan_of_a_film_imports_nothing_that_it_does_not_need(settings: Settings) -> None:
    drop_xrays(settings.incoming_dir, 1)
    code = (
        "import sys\nfrom flows.cli.app import main\nsys.argv = ['xray', 'scan', '--json']\nmain()\n"
        f"print(sorted({UNNEEDED!r} & sys.modules.keys()), file=sys.stderr)"
    ).replace(repr(UNNEEDED), repr(set(UNNEEDED)))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (json.loads(done.stdout)["scored"], done.stderr) == (1, "[]\n")


@pytest.mark.processes
def test_a_plain_scan_says_what_typer_would_have_it_say(settings: Settings, tmp_path: Path) -> None:
    by_typer = "from flows.cli.commands import run_commands\nrun_commands()"
    plainly = "from flows.cli.app import main\nmain()"
    words = ["--home", str(settings.home), "scan", "--json"]
    told = [
        subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, cwd=tmp_path)
        for code in (by_typer, plainly)
    ]

    assert json.loads(told[0].stdout)["scored"] == 0
    assert (told[0].stdout, told[0].stderr) == (told[1].stdout, told[1].stderr)


@pytest.mark.processes
@pytest.mark.parametrize("words", ["", "--json"])
def test_a_plain_scan_leaves_nothing_in_the_temporary_folder(settings: Settings, words: str) -> None:
    drop_xrays(settings.incoming_dir, 1)
    command = [sys.executable, "-m", "flows", "scan", *words.split()]

    with TemporaryDirectory() as folder:  # short: sockets lie in it
        subprocess.run(command, env=os.environ | {"TMPDIR": folder}, capture_output=True, check=True, cwd=CHECKOUT)

        assert os.listdir(folder) == []
    assert count_results(settings) == 1


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("scan", (None, False)),
        ("scan --json", (None, True)),
        ("--home films scan", (Path("films"), False)),
        ("--home films scan --json", (Path("films"), True)),
        ("", None),
        ("--home scan", None),
        ("--home=films scan", None),
        ("--home --version scan", None),
        ("scan --help", None),
        ("scan --json --json", None),
        ("scan now", None),
        ("scans", None),
        ("status", None),
    ],
)
def test_only_a_plain_scan_is_read_without_typer(words: str, meant: tuple[Path | None, bool] | None) -> None:
    assert find_plain_scan(words.split()) == meant
