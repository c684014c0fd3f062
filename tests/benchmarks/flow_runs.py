"""Flow runs as a worker would start them: `python -m tests.benchmarks.flow_runs ENTRYPOINT COUNT` prints their ids."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.service.child import Address, Child, child_environment
from flows.service.service import is_healthy
from flows.settings import CHECKOUT, Settings
from tests.benchmarks.processes import run_program

_START_SECONDS = 180


@contextmanager
def running_server(settings: Settings) -> Iterator[Address]:
    """A Prefect server of this home, without a worker, so that nothing else runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", int(probe.getsockname()[1]))
    prefect = str(Path(sys.executable).with_name("prefect"))
    command = [prefect, "server", "start", "--host", address.host, "--port", str(address.port)]
    with Child("server", command, settings, address).running() as server:
        deadline = time.monotonic() + _START_SECONDS
        while not is_healthy(address):
            if server.exit_code is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the Prefect server did not come up: {server.log.read_text()}")
            time.sleep(0.5)
        yield address


def create_flow_runs(settings: Settings, address: Address, entrypoint: str, count: int) -> list[str]:
    """Deploy a flow and ask for `count` runs of it; nobody starts them yet. Their ids."""
    program = ["tests.benchmarks.flow_runs", entrypoint, str(count)]
    return run_program(program, child_environment(settings, address)).split()


def execute_flow_run(settings: Settings, address: Address, flow_run_id: str) -> float:
    """Seconds of the process in which a worker lets a flow run happen. Raises when the run did not complete."""
    environment = child_environment(settings, address) | {"PREFECT__FLOW_RUN_ID": flow_run_id}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "prefect.engine"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode or "COMPLETED" not in (done.stderr + done.stdout).upper():  # as a type, or as the name
        raise RuntimeError(f"the flow run did not complete: {done.stderr[-2000:]}")
    return seconds


async def _create(entrypoint: str, count: int) -> None:
    from prefect.client.orchestration import get_client

    name = entrypoint.rpartition(":")[2]
    async with get_client() as client:
        deployment = await client.create_deployment(
            flow_id=await client.create_flow_from_name(name),
            name=name,
            entrypoint=entrypoint,
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(CHECKOUT)}}],
        )
        for _ in range(count):
            print((await client.create_flow_run_from_deployment(deployment)).id)


if __name__ == "__main__":
    asyncio.run(_create(sys.argv[1], int(sys.argv[2])))
