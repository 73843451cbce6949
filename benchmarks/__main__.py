"""Run all benchmarks, or those that are named.

python -m benchmarks                       # all; takes an hour or more
python -m benchmarks reach                 # those with an aim, and the table of all aims
python -m benchmarks upsert --rounds 2     # one of them, faster and less exact
python -m benchmarks publish               # charts and tables of all versions, into the READMEs
python -m benchmarks budget                # instructions against the recorded budget
"""

import argparse
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

from . import pages, results

# Names of functions that take `rounds` and `records` and return a `Result`.
BENCHMARKS = {
    "upsert": "upsert:http",
    "upsert-https": "upsert:https",
    "latency": "latency:run",
    "scale": "scale:run",
    "start": "start:run",
    "layers": "layers:run",
    "codec": "codec:run",
    "goodput": "goodput:run",
    "roster": "roster:run",
    "night": "night:run",
    "verify": "verify:run",
    "fleet": "fleet:run",
}
# Those whose ratios have an aim.
REACH = ("upsert", "upsert-https", "latency", "scale", "start", "night")
OTHERS = ("reach", "publish", "budget")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    names = ", ".join((*BENCHMARKS, *OTHERS))
    parser.add_argument("name", nargs="*", help=names)
    parser.add_argument("--rounds", type=int, help="how often each contender runs, twice per round")
    parser.add_argument("--records", type=int, help="records that each run sends")
    parser.add_argument("--out", type=Path, default=results.FOLDER, help="folder of the results")
    parser.add_argument("--record", action="store_true", help="store the count as the new budget")
    options = parser.parse_args()
    unknown = set(options.name) - {*BENCHMARKS, *OTHERS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {names}")
    if "budget" in options.name:
        from . import budget

        sys.exit(budget.check(record=options.record))
    named = [name for name in options.name if name in BENCHMARKS]
    named += REACH if "reach" in options.name else []
    given = {"rounds": options.rounds, "records": options.records}
    given = {key: value for key, value in given.items() if value is not None}
    for name in dict.fromkeys(named if options.name else BENCHMARKS):
        print(f"{name}:", flush=True)
        module, _, function = BENCHMARKS[name].partition(":")
        run = getattr(import_module(f".{module}", __package__), function)
        result = results.recorded(name, partial(run, **given), options.out)
        print(f"\n{results.tables(result)}\n", flush=True)
    if "reach" in options.name:
        print(pages.reach(results.load(options.out)))
    if "publish" in options.name:
        pages.publish(options.out)


if __name__ == "__main__":
    main()
