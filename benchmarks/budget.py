"""Instructions per record of our own layers, against a recorded budget.

Time differs from run to run by 15 %; the number of instructions does not differ by 1 %. It
depends on the build of Python and on msgspec, so a budget is good for those it was recorded with.
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


class Budget(msgspec.Struct):
    """What a record may cost, and with what that was counted."""

    instructions: int
    python: str
    machine: str
    msgspec: str


def counted() -> Budget:
    """Return the instructions per record here: what more records cost more."""
    few, many = _instructions(FEW), _instructions(MANY)
    return Budget(
        instructions=(many - few) // (MANY - FEW),
        python=platform.python_version(),
        machine=platform.machine(),
        msgspec=msgspec.__version__,
    )


def _instructions(records: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-m", "benchmarks.layers", str(records)]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stderr.splitlines() if "Collected" in line)
    return int(line.rpartition(":")[2])


def check(*, record: bool) -> int:
    """Compare with the budget, or record a new one; return the exit code, 1 for over budget."""
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: nothing can be counted")
        return 2
    found = counted()
    if record:
        BUDGET.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
        print(f"recorded: {found.instructions:,} instructions per record")
        return 0
    budget = msgspec.json.decode(BUDGET.read_bytes(), type=Budget)
    change = found.instructions / budget.instructions - 1
    print(
        f"{found.instructions:,} instructions per record; "
        f"the budget is {budget.instructions:,} ({change:+.1%})"
    )
    here = msgspec.structs.replace(budget, instructions=found.instructions)
    if found != here:
        print(f"not comparable: recorded with {budget}, counted with {found}")
        return 2
    if change > TOLERANCE:
        print(f"over budget by more than {TOLERANCE:.0%}")
        return 1
    if change < -TOLERANCE:
        print("well under budget: record it, with `python -m benchmarks budget --record`")
    return 0
