"""The service and its peers on the same files, side by side: `python -m tests.benchmarks`, or `make bench`."""
