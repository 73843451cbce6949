"""Measure `verify`: CPU for a person, and peak memory, from 10,000 people to 1,000,000.

`python -m benchmarks.verify FILE PEOPLE` makes one measurement, in a process of its own. TimeBack
is played in that process, with answers made from the number of a person: so nothing is kept of a
million people but what the client keeps.
"""

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from .measure import ROOT, Result, markdown
from .roster import write

SIZES = (10_000, 100_000, 1_000_000)


def run(rounds: int = 3, records: int | None = None) -> Result:
    taken: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            if size <= (records or max(SIZES)):
                users = Path(folder) / f"{size}.csv"
                write(users, size)
                for number in range(rounds if size < max(SIZES) else 1):
                    print(f"  {size:,} people, round {number + 1}", end="\r", flush=True)
                    taken.append(measured(users, size) | {"people": size})
    print(" " * 50, end="\r")
    rows = []
    for size in sorted({s["people"] for s in taken}):
        own = [s for s in taken if s["people"] == size]
        rows.append(
            [
                f"{size:,}",
                f"{own[0]['requests']:,}",
                f"{median(s['cpu'] / size * 1e6 for s in own):.0f}",
                f"{max(s['peak'] for s in own) / 2**20:.0f}",
            ]
        )
    head = ["people", "requests", "CPU of comparing, µs per person", "peak memory, MiB"]
    return Result(markdown(head, rows), taken)


def measured(users: Path, people: int) -> dict[str, Any]:
    """Make one measurement in a process of its own; return its figures."""
    command = [sys.executable, "-m", "benchmarks.verify", str(users), str(people)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"verify failed:\n{done.stderr}")
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found


class School:
    """TimeBack with the families of `roster.write`, in place of a transport."""

    def __init__(self, people: int) -> None:
        self._people = people

    async def aclose(self) -> None:
        """Nothing to close."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Any:
        from timeback_async import Response

        await asyncio.sleep(0)
        parts = urlsplit(url)
        if parts.path.endswith("/token"):
            answer: Any = {"access_token": "t", "expires_in": 3600}
        elif parts.path.endswith("/agents"):
            first = (number := int(parts.path.split("/")[-2].removeprefix("s-"))) - number % 5
            answer = {"agents": [self._agent(first), self._agent(first + 1)]}
        else:
            query = parse_qs(parts.query)
            offset, limit = int(query["offset"][0]), int(query["limit"][0])
            numbers = range(offset, min(offset + limit, self._people))
            answer = {"users": list(map(self._person, numbers)), "total": self._people}
        return Response(200, {}, msgspec.json.encode(answer))

    def _agent(self, number: int) -> dict[str, Any]:
        return {"user": {"sourcedId": f"p-{number}"}, "relationshipType": "parent"}

    def _person(self, n: int) -> dict[str, Any]:
        is_parent = n % 5 < 2
        own = f"{'p' if is_parent else 's'}-{n}"
        org = {"sourcedId": "org-1", "type": "org"}
        role = {"roleType": "primary", "role": "parent" if is_parent else "student", "org": org}
        return {
            "sourcedId": own,
            "status": "active",
            "enabledUser": "true",
            "username": f"u{n}",
            "givenName": f"Ada{n}",
            "familyName": "Byron",
            "email": f"{own}@example.org",
            "primaryOrg": org,
            "roles": [role],
            "grades": [] if is_parent else ["5"],
        }


def main(users: str, people: str) -> None:
    print(msgspec.json.encode(asyncio.run(compared(users, int(people)))).decode())


async def compared(users: str, people: int) -> dict[str, Any]:
    from timeback_async import Config, TimebackSession
    from timeback_async.sync import read_roster, verify

    config = Config(client_id="me", client_secret="mine")
    with read_roster(users) as roster:
        begun = time.process_time()
        async with TimebackSession(config, transport=School(people)) as session:
            report = await verify(session, roster)
        cpu = time.process_time() - begun
    assert report.ok, report
    assert report.people.same == people, report
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"cpu": cpu, "peak": peak, "requests": report.requests}


if __name__ == "__main__":
    main(*sys.argv[1:])
