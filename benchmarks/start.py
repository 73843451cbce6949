"""Measure the start: the import, and the first call of a process."""

import os
import subprocess
import sys
import tempfile
from statistics import median

from .measure import Result, interval, markdown, sample, server

IMPORTS = {"timeback_async": "timeback_async", "aiohttp, msgspec": "aiohttp, msgspec"}
CLOCK = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"


def run(rounds: int = 20, records: int | None = None) -> Result:
    taken: dict[str, list[float]] = {name: [] for name in IMPORTS}
    with tempfile.TemporaryDirectory() as cache:
        # As on a user's machine, the bytecode of an earlier start is there.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for number in range(-1, rounds):
            for name in (*IMPORTS, *reversed(IMPORTS)):
                command = [sys.executable, "-c", CLOCK.format(IMPORTS[name])]
                seconds = float(subprocess.check_output(command, env=environment, text=True))
                if number >= 0:
                    taken[name].append(seconds * 1000)
    ours, theirs = taken.values()
    ratio = interval(
        [sum(ours[n : n + 2]) / sum(theirs[n : n + 2]) for n in range(0, len(ours), 2)]
    )
    with server() as lean:
        first = {
            name: [sample(lean, name, 1).elapsed * 1000 for _ in range(rounds)]
            for name in ("ours", "bare")
        }
    rows: list[list[object]] = [
        [f"import {name}", f"{median(values):.0f} ms of CPU"] for name, values in taken.items()
    ]
    rows.append(["ratio of the two", ratio])
    rows.append(["first upsert, token and close included", f"{median(first['ours']):.1f} ms"])
    rows.append(["the same with aiohttp alone, token at hand", f"{median(first['bare']):.1f} ms"])
    return Result(markdown(["", ""], rows), {"import": taken, "first": first})
