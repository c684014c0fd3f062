"""A process that keeps what it frees does not fault it in anew, and small sums take one thread."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.processes

PROGRAM = """
import ctypes, resource, sys
from xray_core.processes.resources import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
size = 5 * 2**20
def use():
    taken = [library.malloc(size) for _ in range(8)]
    for place in taken:
        library.memset(place, 1, size)
    for place in taken:
        library.free(place)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_that_is_freed_and_taken_again_is_not_faulted_in_again() -> None:
    assert count_faults("keep") < 100
    assert count_faults("give back") > 10_000


def count_faults(what: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, what], capture_output=True, text=True, check=True)
    return int(done.stdout)
