"""Run all benchmarks, or those that are named.

python -m benchmarks                       # all; takes most of an hour
python -m benchmarks upsert --rounds 4     # one of them, faster and less exact
python -m benchmarks budget                # instructions per record against the recorded budget
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from . import measure

# Names of functions that take `rounds` and `records` and return a `Result`.
BENCHMARKS = {
    "upsert": "upsert:run",
    "layers": "layers:run",
    "latency": "latency:run",
    "memory": "scale:memory",
    "scale": "scale:run",
    "codec": "codec:run",
    "start": "start:run",
    "throttled": "throttled:run",
    "goodput": "goodput:run",
    "roster": "roster:run",
    "night": "night:run",
}
README = measure.ROOT / "README.md"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("name", nargs="*", help=", ".join((*BENCHMARKS, "budget")))
    parser.add_argument("--rounds", type=int, help="how often each contender runs, twice per round")
    parser.add_argument("--records", type=int, help="records that each run sends")
    parser.add_argument("--out", type=Path, default=measure.RESULTS, help="folder of the results")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    parser.add_argument("--record", action="store_true", help="store the count as the new budget")
    options = parser.parse_args()
    unknown = set(options.name) - {*BENCHMARKS, "budget"}
    if unknown:
        parser.error(
            f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}, budget"
        )
    if "budget" in options.name:
        from . import budget

        sys.exit(budget.check(record=options.record))
    given = {"rounds": options.rounds, "records": options.records}
    for name in options.name or BENCHMARKS:
        print(f"{name}:", flush=True)
        module, _, function = BENCHMARKS[name].partition(":")
        run = getattr(import_module(f".{module}", __package__), function)
        result = run(**{key: value for key, value in given.items() if value is not None})
        measure.save(name, result, options.out)
        print(f"\n{result.table}\n", flush=True)
    if options.readme:
        publish(options.out)


def publish(results: Path) -> None:
    """Replace the tables in the README by those of the results."""
    text = README.read_text()
    for table in results.glob("*.md"):
        begin, end = f"<!-- benchmark {table.stem} -->\n", "<!-- end -->"
        before, found, after = text.partition(begin)
        if found:
            text = f"{before}{begin}\n{table.read_text()}\n{end}{after.partition(end)[2]}"
    README.write_text(text)


if __name__ == "__main__":
    main()
