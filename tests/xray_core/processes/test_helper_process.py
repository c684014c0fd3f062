"""The process beside a training: what it is given is done whatever happens to it, and it is gone after its block."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import wait
from functools import partial

import numpy as np
import psutil
import pytest
from threadpoolctl import threadpool_info

from xray_core.errors import InvalidDataset
from xray_core.processes.helper_process import open_helper_process
from xray_core.training.split import digest_label_set

pytestmark = pytest.mark.processes


def tell_niceness_and_process() -> tuple[int, int]:
    return os.nice(0), os.getpid()


def die_away_from(process: int) -> str:
    if os.getpid() != process:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done here"


def refuse() -> None:
    raise InvalidDataset("two classes are needed")


def test_calls_are_made_elsewhere_in_their_order_and_give_way_to_the_fit() -> None:
    with open_helper_process() as beside:
        first = beside.begin(tell_niceness_and_process)
        second = beside.begin(partial(np.arange, 3))
        wait([first.done, second.done])
        niceness, process = first.result()

        assert second.result().tolist() == [0, 1, 2]

    assert process != os.getpid()
    assert niceness == os.nice(0) + 10
    assert not psutil.pid_exists(process)


def test_what_a_dying_process_leaves_undone_is_done_here_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with open_helper_process() as beside:
        calls = [beside.begin(partial(die_away_from, os.getpid())), beside.begin(partial(digest_label_set, []))]
        wait([calls[0].done])

        assert calls[0].result() == "done here"
        assert calls[1].result() == digest_label_set([])

    assert caplog.messages == ["the process beside the training died; its work is done once more, here"]


def test_what_is_still_in_line_is_done_here() -> None:
    with open_helper_process() as beside:
        done = beside.begin(os.getpid)
        wait([done.done])
        beside.begin(partial(time.sleep, 60))
        in_line = beside.begin(os.getpid)

        assert done.result() != os.getpid()
        assert in_line.result() == os.getpid()
        assert in_line.done.cancelled()
        assert in_line.result() == os.getpid()


def count_threads() -> set[int]:
    return {int(pool["num_threads"]) for pool in threadpool_info()}


def test_linear_algebra_of_a_call_gets_one_thread() -> None:
    with open_helper_process() as beside:
        call = beside.begin(count_threads)
        wait([call.done])

        assert call.result() == {1}


def test_a_refusal_travels_back_as_itself() -> None:
    with open_helper_process() as beside:
        call = beside.begin(refuse)
        wait([call.done])

        with pytest.raises(InvalidDataset, match="two classes"):
            call.result()


def test_the_end_of_the_block_waits_for_nothing_that_was_begun() -> None:
    began = time.monotonic()
    with open_helper_process() as beside:
        call = beside.begin(partial(time.sleep, 60))
        while not call.done.running():
            time.sleep(0.01)

    assert time.monotonic() - began < 55  # the call would have slept for 60
