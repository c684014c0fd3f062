"""`python -m tests.benchmarks.years.steps NAME`: what is part of a flow or page, as a process that does only that."""

from __future__ import annotations

import sys
from collections.abc import Callable

from flows.settings import Settings, read_settings


def make_list(settings: Settings) -> None:
    """A reader's next list, composed of all scored films, and opened with its films' priors."""
    from flows.home.ledger import open_ledger
    from flows.reading.desk import open_desk
    from flows.reading.lists import make_list

    with open_ledger(settings) as engine:
        list_id = make_list(settings, engine, "Ada", size=50, reveal_share=0.2, seed=1)
        if list_id is not None:  # a tiny home's films are soon on lists, all of them
            open_desk(settings, engine, list_id)


def check_drift(settings: Settings) -> None:
    """The work of the flow `check-drift`."""
    from flows.operations.drift import check_drift_of_champion

    check_drift_of_champion(settings)


def show_results(settings: Settings) -> None:
    """The first page of `xray results`, as it is served."""
    from db.engine import snapshot
    from db.reading.lists import list_waiting
    from db.scoring import decided
    from flows.home.ledger import open_ledger

    with open_ledger(settings) as engine, snapshot(engine) as session:
        decided.list_reasons(session)
        decided.list_days(session)
        decided.list_decided(session, hidden=list_waiting(session))


def take_labels(settings: Settings) -> None:
    """The work of the flow `import-labels` where no file waits: is a retraining due?"""
    from flows.training.due import read_due

    read_due(settings)


def plan_training(settings: Settings) -> None:
    """What a training asks of the ledger before it reads a film."""
    from db.engine import snapshot
    from db.reading.labelled import read_labelled
    from db.scoring import xrays
    from flows.home.ledger import open_ledger
    from flows.registry.policy import read_policy
    from flows.registry.test_side import read_stored_looks

    with open_ledger(settings) as engine, snapshot(engine) as session:
        read_labelled(session, read_policy(settings).labels)
        xrays.read_splits(session)
        read_stored_looks(session)


STEPS: dict[str, Callable[[Settings], None]] = {
    step.__name__: step for step in (make_list, check_drift, show_results, take_labels, plan_training)
}


if __name__ == "__main__":
    STEPS[sys.argv[1]](read_settings())
