"""`python -m tests.benchmarks`: measure, and print the table."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from tests.benchmarks.cases import CASES
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.table import show_table, to_json
from tests.benchmarks.workshop import TINY, Sizes, open_workshop


def main() -> None:
    """Parse, measure, print. The exit code says only whether everything could be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, every round of it, for a program to read")
    parser.add_argument("--rounds", type=int, help="how often the service and its peers take turns (5)")
    parser.add_argument("--only", action="append", choices=CASES, help="only this case; may be given again")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: shows that it runs, the figures mean nothing")
    options = parser.parse_args()
    sizes = TINY if options.tiny else Sizes()
    sizes = sizes if options.rounds is None else replace(sizes, rounds=options.rounds)
    measured = measure(sizes, options.only or list(CASES))
    if options.json:
        print(to_json(measured))
    else:
        show_table(measured)


def measure(sizes: Sizes, names: list[str]) -> list[Measurement]:
    """Measure the named cases one after the other; says on standard error which one it is at."""
    measured: list[Measurement] = []
    with open_workshop(sizes) as shop:
        for name in names:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            for one in CASES[name](shop):
                print(f"  {one}", file=sys.stderr, flush=True)
                measured.append(one)
    return measured


if __name__ == "__main__":
    main()
