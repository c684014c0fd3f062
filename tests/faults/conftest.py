"""What the fault tests need of the machine."""

from __future__ import annotations

import subprocess

import pytest


@pytest.fixture
def _other_hosts() -> None:
    try:
        done = subprocess.run(["unshare", "--uts", "hostname", "elsewhere"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here to give a process another host's name")
    if done.returncode:
        pytest.skip(f"a process cannot get another host's name here: {done.stderr.decode().strip()}")
