"""Compare the instructions per record with a recorded budget.

Times differ by 15 % from run to run, but instructions by less than 1 %. Their number depends on the
build of Python and on msgspec, so a budget is valid only for those that it was recorded with.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
BUDGET = ROOT / "benchmarks" / "budget.json"
TOLERANCE = 0.02
FEW, MANY = 500, 2500
# What is counted, and the module and the argument that run it with so many records.
COUNTED = {
    "our own layers, awaited": ("layers", "awaited"),
    "our own layers, streamed": ("layers", "streamed"),
    "with the default transport": ("lanes", "aiohttp"),
    "with the direct one": ("lanes", "direct"),
}


class Budget(msgspec.Struct):
    """The instructions that a record may cost, and the versions they were counted with."""

    instructions: dict[str, int]
    python: str
    machine: str
    msgspec: str


def counted() -> Budget:
    """Count the instructions per record here: what `MANY` records cost more than `FEW`."""
    return Budget(
        instructions={
            what: (_instructions(*how, MANY) - _instructions(*how, FEW)) // (MANY - FEW)
            for what, how in COUNTED.items()
        },
        python=platform.python_version(),
        machine=platform.machine(),
        msgspec=msgspec.__version__,
    )


def _instructions(module: str, argument: str, records: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-m", f"benchmarks.{module}", argument, str(records)]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stderr.splitlines() if "Collected" in line)
    return int(line.rpartition(":")[2])


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
            print(f"{what}: recorded {count:,} instructions per record")
        return 0
    budget = msgspec.json.decode(BUDGET.read_bytes(), type=Budget)
    if msgspec.structs.replace(budget, instructions=found.instructions) != found:
        print(f"not comparable: recorded with {budget}, counted with {found}")
        return 2
    return max(_compare(what, found, budget) for what in COUNTED)


def _compare(what: str, found: Budget, budget: Budget) -> int:
    count, allowed = found.instructions[what], budget.instructions[what]
    change = count / allowed - 1
    print(f"{what}: {count:,} instructions per record; the budget is {allowed:,} ({change:+.1%})")
    if change > TOLERANCE:
        print(f"over budget by more than {TOLERANCE:.0%}")
        return 1
    if change < -TOLERANCE:
        print("well under budget; record it with `python -m benchmarks budget --record`")
    return 0
