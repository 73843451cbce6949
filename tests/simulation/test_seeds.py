"""Many small worlds, each drawn from a seed: whatever the server does, no record is lost.

A hundred of them; SIMULATION_SEEDS=100000 for more.
"""

import asyncio
import os
import random

import pytest

from tests.support.clock import run_simulated

from .runs import Run, upsert
from .servers import Bucket, Fault, Limit, NoLimit, Outage, Quota, Server

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "100"))
GROUPS = 20

# Not 500 or a broken answer: a record can be the cause of these, so they end one that is alone.
# `test_outages` has them.
WORDS: list[Fault] = ["429", "503"]
FAULTS: list[Fault] = ["429", "503", "502", "503, 1"]
DOWN: list[Fault] = ["refused", "429", "502", "503", "503, 1", "504"]


def limit_of(draw: random.Random) -> Limit:
    rate = draw.choice([5, 20, 100, 1000])
    kind = draw.randrange(4)
    if kind == 0:
        return Bucket(rate, burst=draw.choice([1, 5, 20]), costly=draw.random() < 0.3)
    if kind == 1:
        return Quota(rate * 3, 3.0, sliding=draw.random() < 0.5)
    if kind == 2:
        later = draw.choice([0.2, 5]) * rate
        return Bucket(lambda now: rate if now < 3 else later)
    return NoLimit()


async def world(seed: int) -> tuple[Run, int, int]:
    """Run through one world; return it, with the number of its records and the tasks left."""
    draw = random.Random(seed)
    random.seed(seed)
    begin = draw.uniform(0, 3)
    how = draw.sample(DOWN, draw.choice([1, 1, 3]))
    outages = [Outage(begin, begin + draw.choice([0.5, 2, 10, 60]), how)]
    server = Server(
        limit_of(draw),
        latency=draw.choice([0.005, 0.05, 0.5]),
        hint=draw.random() < 0.5,
        says=draw.choice(WORDS),
        at_once=draw.choice([1, 5, 1e9, 1e9, 1e9]),
        failures=draw.choice([0, 0, 0.02, 0.2]),
        failing=draw.sample(FAULTS, draw.choice([1, 2])),
        outages=outages if draw.random() < 0.4 else [],
        slowdown=draw.choice([8, 64, 1e9]),
        seed=seed,
    )
    records = draw.randint(1, 150)
    run = await upsert(server, records=records, in_flight=draw.choice([1, 4, 64]))
    return run, records, len(asyncio.all_tasks()) - 1


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_record_is_lost_whatever_the_server_does(group: int) -> None:
    for seed in range(group, SEEDS, GROUPS):
        (server, report, _), records, tasks_left = run_simulated(world(seed))

        assert report.submitted == records, seed
        # A record that is alone in an outage cannot know that it is not the cause.
        assert report.saved + report.failed == records, (seed, report)
        assert report.failed <= (1 if server.outages else 0), (seed, report)
        assert len(server.accepted) == report.saved, seed
        assert report.attempts == server.requests, seed
        assert tasks_left == 0, seed
