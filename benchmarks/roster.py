"""Measure `sync`: reading and comparing a roster, peak memory, and the cost of the state in a run.

`python -m benchmarks.roster STEP FILE [URL]` makes one measurement, in a process of its own.
"""

import asyncio
import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from .measure import ROOT, Result, interval, markdown, server

SIZES = (10_000, 100_000, 1_000_000)
SENT = 20_000
SENT_AFAR, AFAR = 4_000, 0.05  # seconds before each answer
HEADER = (
    "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,"
    "familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password"
)


def write(path: Path, people: int) -> None:
    """Write a OneRoster 1.1 users.csv of families: two parents, then their three children."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER.split(","))
        for n in range(people):
            first = n - n % 5
            is_parent = n % 5 < 2
            role, grade = ("parent", "") if is_parent else ("student", "05")
            agents = "" if is_parent else f"p-{first},p-{first + 1}"
            sourced_id = f"{'p' if is_parent else 's'}-{n}"
            rows.writerow(
                [sourced_id, "", "", "true", "org-1", role, f"u{n}", "", f"Ada{n}", "Byron", "", "",
                 f"{sourced_id}@example.org", "", "", agents, grade, ""]
            )  # fmt: skip


def run(rounds: int = 3, records: int | None = None) -> Result:
    taken: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            if size <= (records or max(SIZES)):
                users = Path(folder) / f"{size}.csv"
                write(users, size)
                for number in range(rounds if size < max(SIZES) else 1):
                    print(f"  {size:,} people, round {number + 1}", end="\r", flush=True)
                    taken.append(measured("read", users) | {"people": size})
        for latency, people in ((0.0, SENT), (AFAR, SENT_AFAR)):
            users = Path(folder) / "sent.csv"
            write(users, min(people, records or people))
            with server(latency=latency) as lean:
                for number in range(rounds):
                    for step in ("sent", "unkept", "unkept", "sent"):
                        print(f"  sending, round {number + 1}: {step}   ", end="\r", flush=True)
                        facts = {"round": number, "latency": latency}
                        taken.append(measured(step, users, lean.url) | facts)
    print(" " * 50, end="\r")
    rows = []
    for size in sorted({s["people"] for s in taken if s["step"] == "read"}):
        own = [s for s in taken if s.get("people") == size]
        rows.append(
            [
                f"{size:,}",
                f"{median(size / s['read'] for s in own):,.0f}",
                f"{median(s['rows'] / s['compare'] for s in own):,.0f}",
                f"{max(s['peak'] for s in own) / 2**20:.0f}",
            ]
        )
    table = markdown(
        ["people", "rows read a second", "records compared a second", "peak memory, MiB"], rows
    )
    shares = [
        [what, interval([_share(taken, number, key, latency) for number in range(rounds)])]
        for what, key, latency in (
            ("client CPU of a whole run", "cpu", 0.0),
            ("client CPU of sending alone", "sending", 0.0),
            (f"time of a whole run, {AFAR * 1000:.0f} ms from the server", "elapsed", AFAR),
        )
    ]
    table += "\n\n" + markdown(
        ["outcomes kept in the state / thrown away", "ratio (95 % interval)"], shares
    )
    return Result(table, taken)


def _share(taken: list[dict[str, Any]], number: int, key: str, latency: float) -> float:
    runs = [s for s in taken if s.get("round") == number and s["latency"] == latency]
    kept, thrown = (sum(s[key] for s in runs if s["step"] == step) for step in ("sent", "unkept"))
    return kept / thrown


def measured(step: str, *arguments: object) -> dict[str, Any]:
    """Make one measurement in a process of its own; return its figures."""
    command = [sys.executable, "-m", "benchmarks.roster", step, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{step} failed:\n{done.stderr}")
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found | {"step": step}


def main(step: str, users: str, url: str = "") -> None:
    from timeback_async.sync import State, plan, read_roster
    from timeback_async.sync._running.journal import Journal

    facts: dict[str, Any] = {}
    if step == "unkept":
        Journal.add = lambda self, entry: None
    begun, at_first = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        with State(Path(folder) / "state.db") as state, read_roster(users, since=state) as roster:
            read = time.perf_counter()
            changes = plan(roster, state)
            compared = time.perf_counter()
            facts |= {"read": read - begun, "compare": compared - read, "rows": changes.total()}
            planned = time.process_time()
            if step != "read":
                asyncio.run(send(changes, url))
        # Closing the state writes the outcomes to their records, so it is part of the time.
        facts |= {"sending": time.process_time() - planned, "cpu": time.process_time() - at_first}
        facts |= {"elapsed": time.perf_counter() - begun}
    facts["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(msgspec.json.encode(facts).decode())


async def send(changes: Any, url: str) -> None:
    from timeback_async import Config, TimebackSession
    from timeback_async.sync import run

    config = Config(client_id="me", client_secret="mine", base_url=url)
    async with TimebackSession(config) as timeback:
        report = await run(timeback, changes)
    assert report.ok, report


if __name__ == "__main__":
    main(*sys.argv[1:])
