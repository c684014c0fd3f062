"""A command of ours by another user of this machine: `python -m tests.second_person WARM_HOME WARM_WORDS WORDS...`.

That user may not find an interpreter that is installed in root's own folder. So a command first runs in another home
as whoever started it, and everything that it imports is there when it becomes the second person.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NOBODY = 65534


def ask_as_nobody(
    home: Path, warm_home: Path, *words: str, warm: Sequence[str] = ("status",)
) -> subprocess.CompletedProcess[str]:
    """What a user without any group but nobody's sees of a home; only root can start it."""
    return subprocess.run(
        [sys.executable, "-m", "tests.second_person", str(warm_home), json.dumps(warm), *words],
        env=os.environ | {"XRAY_HOME": str(home), "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _run(warm_home: str, warm: str, *words: str) -> None:
    from flows.cli.app import main

    home, sys.argv = os.environ["XRAY_HOME"], ["xray", *json.loads(warm)]
    os.environ["XRAY_HOME"] = warm_home
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(SystemExit),
    ):
        main()
    os.environ["XRAY_HOME"], sys.argv = home, ["xray", *words]
    os.chdir("/")
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    main()


if __name__ == "__main__":
    _run(*sys.argv[1:])
