"""The case of a scheduled run that finds nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.flow_runs import create_flow_runs, execute_flow_run, running_server
from tests.benchmarks.measurement import Measurement, alternate, at_most
from tests.benchmarks.workshop import Workshop


def run_nothing(shop: Workshop) -> Iterator[Measurement]:
    """The process of a flow run of `score-incoming` without new files, against that of a flow that does nothing."""
    settings = shop.empty_home()
    rounds = shop.sizes.rounds
    with running_server(settings) as address:
        ours = create_flow_runs(settings, address, "flows/deployments/score_incoming.py:score_incoming", rounds + 1)
        empty = create_flow_runs(settings, address, "tests/benchmarks/empty_flow.py:empty_flow", rounds + 1)

        def scan(_: int) -> float:
            return execute_flow_run(settings, address, ours.pop())

        def nothing(_: int) -> float:
            return execute_flow_run(settings, address, empty.pop())

        for warm_up in (scan, nothing):
            warm_up(-1)
        service, peer = alternate(rounds, scan, nothing)
    yield Measurement("a scheduled run that finds nothing", "an empty Prefect flow", "s", service, peer, at_most(1.2))
