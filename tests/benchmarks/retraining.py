"""One retraining in a process of its own: `python -m tests.benchmarks.retraining STARTED EPOCHS` prints its share.

STARTED is the time, in seconds since 1970, at which the process was asked for: imports count.
"""

from __future__ import annotations

import sys
import time
from typing import Any


def main(started: float, epochs: int) -> None:
    """Claim, gather, fit, save, judge, draw and conclude; print the seconds in all and those of the fit."""
    from flows.settings import read_settings
    from flows.training.train_once import train_once
    from flows.training.training import Training
    from xray_core.networks.fitting import TrainingOptions

    fitting = 0.0
    fit = Training.fit

    def fit_by_the_clock(self: Training, *arguments: Any) -> Any:
        nonlocal fitting
        before = time.time()
        trained = fit(self, *arguments)
        fitting = time.time() - before
        return trained

    Training.fit = fit_by_the_clock  # type: ignore[method-assign]
    done = train_once(read_settings(), TrainingOptions(epochs=epochs), trigger="by hand", on_epoch=lambda _: None)
    assert done is not None
    print(time.time() - started, fitting)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
