"""Kill a run at random moments, again and again: nothing of the roster may be lost.

`CRASH_KILLS` says how often; from 100 on there are 30,000 records, and else enough of them. The
control writes the journal before the answers, and has to be caught losing records; else this would
prove nothing.
"""

import asyncio
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.amounts import amount
from tests.support.figures import figure
from tests.support.rosters import adult, child, csv_text, users
from timeback_async.testing import Faults, MockServer

KILLS = int(os.environ.get("CRASH_KILLS", amount(3, long=6)))
FAMILIES = min(100 * KILLS, 10_000)  # a student, a parent and their link each
# What is killed has no time to write down which of its lines have run.
ENVIRONMENT = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
IN_THE_CONTROL = 700
WEATHER = Faults(latency=(0.001, 0.003), statuses={503: 0.02})

RUN = """
import asyncio, sys
from timeback_async import Config, TimebackSession
from timeback_async.sync import State, plan, read_roster, run

async def main(url, path, state):
    config = Config(client_id="mock-client", client_secret="mock-secret", base_url=url)
    with State(state, config) as known, read_roster(path) as roster:
        async with TimebackSession(config) as session:
            return await run(session, plan(roster, known))

sys.exit(not asyncio.run(main(*sys.argv[1:])).ok)
"""
JOURNAL_FIRST = """
from timeback_async.sync._running.job import SyncRun
from timeback_async.sync._planning.entry import line

def records(self, changes, real=SyncRun._records):
    def noted():
        for change in changes:
            self._state.write(line(change.known))
            yield change
    return real(self, noted())

SyncRun._records = records
"""


def families(path: Path, number: int) -> Path:
    rows = [
        row
        for n in range(number)
        for row in (child(f"s-{n}", f"p-{n}", phone=str(n)), adult(f"p-{n}", phone=str(n)))
    ]
    return users(path, csv_text(rows))


async def killed(
    command: Sequence[str], server: MockServer, moments: random.Random, most: int
) -> bool:
    """Start a run and kill it at some moment; tell whether it had not ended by then."""
    process = await asyncio.create_subprocess_exec(*command, env=ENVIRONMENT)
    if moments.random() < 0.2:  # perhaps before anything is sent
        await asyncio.sleep(moments.random())
    else:
        until = server.requests + moments.randint(1, most)
        while server.requests < until and process.returncode is None:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        await asyncio.sleep(moments.random() * 0.05)
    if process.returncode is None:
        process.kill()
    return await process.wait() < 0


async def killed_until_it_ends(
    folder: Path, server: MockServer, script: str, number: int, kills: int
) -> tuple[int, bool]:
    """Sync so many families, killed so many times; return how many, and whether all ended well."""
    path = families(folder / "roster", number)
    state = folder / "state.db"
    command = [sys.executable, "-c", script, server.base_url, str(path), str(state)]
    moments = random.Random(kills)
    count = 0
    for _ in range(kills):
        count += await killed(command, server, moments, 2 * number // kills)
    process = await asyncio.create_subprocess_exec(*command, env=ENVIRONMENT)
    return count, await process.wait() == 0


def lost(server: MockServer, number: int) -> int:
    """Return how many of the records are not at the server as the file has them."""
    own = range(number)
    linked = {
        (student, agent["user"]["sourcedId"]) for (student, _), agent in server.agents.items()
    }
    found: int = sum(server.students.get(f"s-{n}", {}).get("phone") == str(n) for n in own) + sum(
        server.users.get(f"p-{n}", {}).get("phone") == str(n) for n in own
    )
    found += sum((f"s-{n}", f"p-{n}") in linked for n in own)
    return 3 * number - found


async def test_nothing_is_lost_when_a_run_is_killed_again_and_again(tmp_path: Path) -> None:
    async with MockServer(faults=WEATHER) as server:
        kills, is_ok = await killed_until_it_ends(tmp_path, server, RUN, FAMILIES, KILLS)

        again = server.requests - server.statuses[503] - 3 * FAMILIES
        figure(f"{kills} kills, records sent again by each", round(again / kills))
        assert is_ok
        assert kills > KILLS / 2  # the rest came to their end before
        assert lost(server, FAMILIES) == 0
        assert len(server.students) == len(server.users) == len(server.agents) == FAMILIES
        assert again / kills < 1_000


async def test_the_check_finds_a_journal_that_is_written_before_the_answers(tmp_path: Path) -> None:
    storm = Faults(latency=(0.001, 0.003), statuses={503: 0.3})

    async with MockServer(faults=storm) as server:
        await killed_until_it_ends(tmp_path, server, JOURNAL_FIRST + RUN, IN_THE_CONTROL, 3)

        assert lost(server, IN_THE_CONTROL) > 0
