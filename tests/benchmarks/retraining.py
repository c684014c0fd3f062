"""One retraining in a process of its own: `python -m tests.benchmarks.retraining STARTED EPOCHS` prints its share.

STARTED is the time, in seconds since 1970, at which the process was asked for: imports count.
"""

from __future__ import annotations

import sys
import time


def main(started: float, epochs: int) -> None:
    """Claim, gather, fit, save, judge, draw and conclude; print the seconds in all and those of the fit."""
    from flows.settings import read_settings
    from flows.training.steps import Workbench, fit_network
    from flows.training.training import Step, train
    from xray_core.networks.options import TrainingOptions
    from xray_core.training.trial import Trial

    fitting = 0.0

    def take_by_the_clock(step: Step, bench: Workbench, trial: Trial) -> Trial:
        nonlocal fitting
        before = time.time()
        taken = step(bench, trial)
        if step is fit_network:
            fitting = time.time() - before
        return taken

    options = TrainingOptions(epochs=epochs)
    assert train(read_settings(), options, trigger="by hand", take=take_by_the_clock) is not None
    print(time.time() - started, fitting)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
