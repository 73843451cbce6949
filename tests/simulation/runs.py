"""Run the real session, pool and bulk code against a modelled server, on simulated time."""

import asyncio
import random
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, NamedTuple

from tests.support.clock import run_simulated
from tests.support.records import student
from timeback_async import Config, Report, Student
from timeback_async._bulk.run import Bulk
from timeback_async._flow.pool import RequestPool
from timeback_async._flow.token import TokenStore
from timeback_async._wire import codec

from .servers import Limit, Server


class Run(NamedTuple):
    """What came of a run: its server, its report, and how long the source gave records."""

    server: Server
    report: Report
    seconds: float

    def goodput(self, limit: float) -> float:
        """Return the share of a limit that was used while there was something to send."""
        used = sum(at < self.seconds for at in self.server.accepted)
        return used / (limit * self.seconds)

    @property
    def wasted(self) -> float:
        """Return the share of all requests that the limit turned away."""
        return len(self.server.rejected) / max(1, self.server.requests)


async def upsert(
    server: Server,
    *,
    seconds: float = inf,
    records: float = inf,
    window: Any = None,
    in_flight: int = 64,
    **settings: Any,
) -> Run:
    """Send so many records, or for so many seconds, and finish what has begun."""

    def students() -> Iterator[Student]:
        number = 0
        while number < records and server.now() < seconds:
            yield student(f"s-{number}")
            number += 1

    settings = {"max_in_flight": in_flight, **settings}
    config = Config(client_id="me", client_secret="mine", **settings)
    pool = RequestPool(config, server, TokenStore(config, server), window)
    report = await Bulk(
        pool,
        codec.upsert,
        students(),
        in_flight=in_flight,
        allowed=config.deadline + config.retry.patience,
        patience=config.retry.patience,
    )
    return Run(server, report, seconds)


def simulated(server: Callable[[], Server], seconds: float = inf, **how: Any) -> Run:
    """Run against one server; what is drawn at random is the same every time."""

    async def main() -> Run:
        random.seed(0)
        return await upsert(server(), seconds=seconds, **how)

    return run_simulated(main())


def shared(limit: Limit, lanes: int, records: int, *, processes: int) -> list[Server]:
    """Let lanes of a fleet send partitions through one limit; return a server for each."""
    size, at_once = 250, 2

    async def main() -> list[Server]:
        random.seed(0)
        partitions = iter(range(records // size))
        servers = [Server(limit, latency=0.02, seed=seed) for seed in range(lanes)]

        async def lane(server: Server) -> None:
            config = Config(client_id="me", client_secret="mine", max_in_flight=64 // lanes,
                            processes=processes)  # fmt: skip
            pool = RequestPool(config, server, TokenStore(config, server))

            async def partition_after_partition() -> None:
                for number in partitions:
                    part = [student(f"s-{number}-{index}") for index in range(size)]
                    report = await Bulk(
                        pool,
                        codec.upsert,
                        part,
                        in_flight=config.max_in_flight,
                        allowed=config.deadline + config.retry.patience,
                        patience=config.retry.patience,
                    )
                    assert report.ok

            await asyncio.gather(*(partition_after_partition() for _ in range(at_once)))

        await asyncio.gather(*map(lane, servers))
        return servers

    return run_simulated(main())


def together(limit: Limit, seconds: float) -> list[list[float]]:
    """Run two clients on one limit; return when the requests of each were accepted."""

    async def main() -> list[list[float]]:
        random.seed(0)
        servers = [Server(limit, seed=seed) for seed in (1, 2)]
        await asyncio.gather(*(upsert(server, seconds=seconds) for server in servers))
        return [server.accepted for server in servers]

    return run_simulated(main())
