"""Compare the instructions of a record, and of a person of a night, with a recorded budget.

Times differ by 15 % from run to run, but instructions by less than 1 %. Their number depends on the
build of Python and on msgspec, so a budget is valid only for those that it was recorded with.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from . import night, roster

ROOT = Path(__file__).parents[1]
BUDGET = ROOT / "benchmarks" / "budget.json"
TOLERANCE = 0.02


def instructions(module: str, *arguments: str) -> int:
    """Count the instructions of a process that runs a module of this folder."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-m", f"benchmarks.{module}", *arguments]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stderr.splitlines() if "Collected" in line)
    return int(line.rpartition(":")[2])


def of_a_night(people: int) -> int:
    """Count those of a night of which 1 % has changed; `csv.reader` reads its file twice, too."""
    with tempfile.TemporaryDirectory() as folder:
        users = Path(folder, "users.csv")
        roster.write(users, people)
        night.measured("first", folder)
        night.change(users, seed=0)
        return instructions("night", "changed", folder)


class Counted(NamedTuple):
    """What is counted: with few and with many records, so that the difference is theirs alone."""

    count: Callable[[int], int]
    few: int
    many: int

    def each(self) -> int:
        return (self.count(self.many) - self.count(self.few)) // (self.many - self.few)


def sent(module: str, argument: str) -> Counted:
    return Counted(lambda records: instructions(module, argument, str(records)), 500, 2500)


COUNTED = {
    "a record in our own layers, awaited": sent("layers", "awaited"),
    "a record in our own layers, streamed": sent("layers", "streamed"),
    "a record over the default transport": sent("lanes", "aiohttp"),
    "a record over the direct one": sent("lanes", "direct"),
    "a person of a night of which 1 % has changed": Counted(of_a_night, 5_000, 25_000),
}


class Budget(msgspec.Struct):
    """The instructions that a record may cost, and the versions they were counted with."""

    instructions: dict[str, int]
    python: str
    machine: str
    msgspec: str


def counted() -> Budget:
    """Count all of them here."""
    return Budget(
        instructions={what: counted.each() for what, counted in COUNTED.items()},
        python=platform.python_version(),
        machine=platform.machine(),
        msgspec=msgspec.__version__,
    )


def check(*, record: bool) -> int:
    """Compare with the budget, or record a new one; return the exit code.

    0 means within the budget, or recorded; 1 over the budget; 2 not comparable.
    """
    if shutil.which("valgrind") is None:
        print("valgrind is not installed; install it to count instructions")
        return 2
    found = counted()
    if record:
        BUDGET.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
        for what, count in found.instructions.items():
            print(f"{what}: recorded {count:,} instructions")
        return 0
    budget = msgspec.json.decode(BUDGET.read_bytes(), type=Budget)
    if msgspec.structs.replace(budget, instructions=found.instructions) != found:
        print(f"not comparable: recorded with {budget}, counted with {found}")
        return 2
    return max(_compare(what, found, budget) for what in COUNTED)


def _compare(what: str, found: Budget, budget: Budget) -> int:
    count, allowed = found.instructions[what], budget.instructions[what]
    change = count / allowed - 1
    print(f"{what}: {count:,} instructions; the budget is {allowed:,} ({change:+.1%})")
    if change > TOLERANCE:
        print(f"over budget by more than {TOLERANCE:.0%}")
        return 1
    if change < -TOLERANCE:
        print("well under budget; record it with `python -m benchmarks budget --record`")
    return 0
