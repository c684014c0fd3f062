"""One retraining in a process of its own: `python -m tests.benchmarks.retraining STARTED EPOCHS` prints what it took.

STARTED is the time, in seconds since 1970, at which the process was asked for: imports count.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass

from tests.benchmarks.processes import processor_seconds


@dataclass(frozen=True, slots=True)
class RetrainingCost:
    """Seconds in all and of the fit, processor seconds of everything but the fit, and the most memory, MB.

    The processor seconds are of the process and of all that it starts; what others do beside the fit is none of it.
    `parts` are those that had been used when each step ended, since the one before it.
    """

    seconds: float
    fitting: float
    processor_outside: float
    peak_megabytes: float
    parts: dict[str, float]


def main(started: float, epochs: int) -> None:
    """Claim, gather, fit, save, judge, draw and conclude; print the cost as JSON."""
    from flows.settings import read_settings
    from flows.training.steps import Workbench, fit_network
    from flows.training.training import Step, train
    from xray_core.networks.options import TrainingOptions
    from xray_core.training.trial import Trial

    fitting = fitted = used = 0.0
    parts: dict[str, float] = {}

    def take_by_the_clock(step: Step, bench: Workbench, trial: Trial) -> Trial:
        nonlocal fitting, fitted, used
        before, processor = time.time(), time.process_time()
        taken = step(bench, trial)
        if step is fit_network:
            fitting, fitted = time.time() - before, time.process_time() - processor
        until_now, used = used, processor_seconds()[1]  # while the processes beside this one live
        parts[step.__name__] = round(used - until_now - (fitted if step is fit_network else 0), 2)
        return taken

    options = TrainingOptions(epochs=epochs)
    assert train(read_settings(), options, trigger="by hand", take=take_by_the_clock) is not None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps(asdict(RetrainingCost(time.time() - started, fitting, used - fitted, peak, parts))))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
