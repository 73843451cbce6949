"""Measure the start: the import, and the first call of a process."""

import os
import subprocess
import sys
import tempfile
from statistics import median

from .contenders import CONTENDERS
from .measure import Result, available, markdown, ratio, sample, server

OURS, THEIRS = "timeback_async", "aiohttp, msgspec"
CLOCK = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"
FIRST = ("ours", "direct", "bare")


def run(rounds: int = 12, records: int | None = None) -> Result:
    taken: dict[str, list[float]] = {OURS: [], THEIRS: []}
    with tempfile.TemporaryDirectory() as cache:
        # As on a user's machine, the bytecode of an earlier start is there.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for number in range(-1, rounds):
            for name in (*taken, *reversed(taken)):
                command = [sys.executable, "-c", CLOCK.format(name)]
                seconds = float(subprocess.check_output(command, env=environment, text=True))
                if number >= 0:
                    taken[name].append(seconds * 1000)
    pairs = [list(zip(own[::2], own[1::2], strict=True)) for own in taken.values()]
    imported = ratio(*pairs, f"CPU of import {OURS}", f"import {THEIRS}", at_most=1.15)
    with server() as lean:
        first = {
            name: [sample(lean, name, 1).elapsed * 1000 for _ in range(rounds)]
            for name in available(FIRST)
        }
    rows: list[list[object]] = [
        [f"import {name}", f"{median(values):.0f} ms of CPU"] for name, values in taken.items()
    ]
    rows += [
        [f"first upsert, {CONTENDERS[name].says}", f"{median(values):.1f} ms"]
        for name, values in first.items()
    ]
    return Result(markdown(["", ""], rows), {"import": taken, "first": first}, [imported])
