"""Measure what a night costs that finds a roster as it was, or a hundredth of it changed.

`python -m benchmarks.night STEP FOLDER` makes one measurement, in a process of its own. Times are
CPU, and given in those that `csv.reader` alone takes for the same file, measured beside them: so
they say the same on every machine.
"""

import csv
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from .measure import ROOT, Ratio, Result, interval, is_absent, markdown
from .roster import write

SIZES = (10_000, 100_000, 1_000_000)
CHANGES_AT_ONCE = 1000
SHARE = 100  # one of so many people changes
STEPS = {
    "first": "the first night",
    "same": "nothing has changed",
    "changed": "1 % has changed",
    "polars": "polars, reading alone",
}
# What the largest night must not exceed, in times what the file takes `csv.reader`.
AIMS = {"first": 30, "same": 2, "changed": 12}
CSV = "`csv.reader`"


def run(rounds: int = 3, records: int | None = None) -> Result:
    taken: list[dict[str, Any]] = []
    steps = [step for step in STEPS if step != "polars" or not is_absent("polars")]
    for size in SIZES:
        for number in range(rounds if size < max(SIZES) else 1):
            if size > (records or max(SIZES)):
                continue
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder, "users.csv"), size)
                for step in steps:
                    print(f"  {size:,} people, round {number + 1}: {step}   ", end="\r", flush=True)
                    if step == "changed":
                        change(Path(folder, "users.csv"), seed=number)
                    taken.append(measured(step, folder) | {"people": size})
    print(" " * 50, end="\r")
    rows, ratios = [], []
    for size in sorted({s["people"] for s in taken}):
        for step in steps:
            own = [s for s in taken if (s["people"], s["step"]) == (size, step)]
            found = interval([s["cpu"] / s["csv"] for s in own])
            peak = max(s["peak"] for s in own) / 2**20
            rows.append([f"{size:,}", STEPS[step], found, f"{peak:.0f}"])
            if step in AIMS and size == max(s["people"] for s in taken):
                what = f"CPU of a night of {size:,} people, {STEPS[step]}"
                ratios.append(Ratio(what=what, against=CSV, found=found, at_most=AIMS[step]))
    head = ["people", "night", f"CPU / that of {CSV} (95 % interval)", "peak memory, MiB"]
    return Result(markdown(head, rows), taken, ratios)


def change(users: Path, seed: int) -> None:
    """Give a hundredth of the people another name."""
    # Line by line: Linux counts the memory of this process as that of those it starts.
    chance, changed = random.Random(seed), users.with_suffix(".new")
    with users.open("rb") as lines, changed.open("wb") as file:
        for line in lines:
            is_changed = chance.randrange(SHARE) == 0
            file.write(line.replace(b"Byron", b"Lovelace") if is_changed else line)
    changed.replace(users)


def measured(step: str, folder: str) -> dict[str, Any]:
    """Make one measurement in a process of its own; return its figures."""
    command = [sys.executable, "-m", "benchmarks.night", step, folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{step} failed:\n{done.stderr}")
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found | {"step": step}


def main(step: str, folder: str) -> None:
    users = Path(folder, "users.csv")
    before = cpu(lambda: read(users))
    took = (
        cpu(lambda: polars(users)) if step == "polars" else night(users, Path(folder, "state.db"))
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    after = cpu(lambda: read(users))
    facts = {"cpu": took, "csv": (before + after) / 2, "peak": peak}
    print(msgspec.json.encode(facts).decode())


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU time of some work, in all threads."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def read(users: Path) -> None:
    with users.open(newline="") as file:
        for _ in csv.reader(file):
            pass


def polars(users: Path) -> object:
    import polars as pl

    return pl.read_csv(users, infer_schema=False)


def night(users: Path, path: Path) -> float:
    """Read and compare a roster, and save what it plans as if it had been sent; return the CPU."""
    from timeback_async.sync import State, plan, read_roster
    from timeback_async.sync._planning.entry import line
    from timeback_async.sync._reading.records import chunks

    with State(path) as state:
        begun = time.process_time()
        with read_roster(users, since=state) as roster:
            changes = plan(roster, state)
            took = time.process_time() - begun
            state.begin(changes.changing(), changes.changed_source(), {})
            for some in chunks(changes, CHANGES_AT_ONCE):
                saved = (each.known.after("saved", each.known.hash, 200, 1) for each in some)
                state.write(b"".join(map(line, saved)))
            assert roster.night is not None
            state.remember(roster.night.parts())
    return took


if __name__ == "__main__":
    main(*sys.argv[1:])
