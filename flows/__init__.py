"""Where Prefect, the database and the pure core meet: flows, and the command line."""

import atexit
import gc

# A program of ours imports a thousand modules, works, and ends. Looking for cyclic garbage while they load, and twice
# more on the way out, took a quarter of the time of a scan that finds nothing; mypy does the same for the same reason.
gc.set_threshold(200_000)
atexit.register(gc.freeze)
