"""Measure our own layers over a transport in memory: encode, window, token, retry, result.

A run is used in two forms: it is awaited for its report, or its results are streamed.

    python -m benchmarks.layers streamed 1000   # run them once, to count instructions from outside
"""

import asyncio
import sys
import time
from collections.abc import Iterable, Mapping

from multidict import CIMultiDict, CIMultiDictProxy

from timeback_async import Config, Response
from timeback_async._bulk.run import Bulk
from timeback_async._flow.pool import RequestPool
from timeback_async._flow.token import TokenStore
from timeback_async._wire import codec

from .contenders import as_structs
from .measure import Result, interval, markdown

HEADERS = CIMultiDictProxy(
    CIMultiDict({"Content-Type": "application/json", "Date": "Sat, 21 Nov 2026 12:00:00 GMT"})
)
GRANT = b'{"access_token":"of-good-tidings","expires_in":3600}'


class Memory:
    """A transport that answers with the body it was sent, one turn of the event loop later."""

    async def aclose(self) -> None:
        """Do nothing."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        await asyncio.sleep(0)
        return Response(200, HEADERS, GRANT if method == "POST" else body or b"")


async def awaited(bulk: Bulk) -> None:
    await bulk


async def streamed(bulk: Bulk) -> None:
    async with bulk:
        async for result in bulk:
            assert result.ok, result


FORMS = {"awaited": awaited, "streamed": streamed}


async def upsert(form: str, records: Iterable[object], count: int) -> float:
    """Send records through all layers but the network; return the seconds of CPU."""
    config, transport = Config(client_id="me", client_secret="mine"), Memory()
    pool = RequestPool(config, transport, TokenStore(config, transport))
    before = time.process_time()
    bulk = Bulk(pool, codec.upsert, records, in_flight=64, allowed=config.deadline, patience=300.0)
    await FORMS[form](bulk)
    assert bulk.report.saved == count, bulk.report
    return time.process_time() - before


async def nothing(count: int) -> float:
    """Return the seconds of CPU of the transport alone, with the same number of workers."""
    transport, numbers = Memory(), iter(range(count))

    async def work() -> None:
        for _ in numbers:
            await transport.send("PUT", "", {}, b"", 1.0)

    before = time.process_time()
    await asyncio.gather(*(work() for _ in range(64)))
    return time.process_time() - before


def run(rounds: int = 10, records: int = 20_000) -> Result:
    structs = list(as_structs(records))
    taken: dict[str, list[float]] = {form: [] for form in FORMS}
    for _ in range(rounds):
        alone = asyncio.run(nothing(records))
        for form in FORMS:
            whole = asyncio.run(upsert(form, structs, records))
            taken[form].append((whole - alone) / records * 1e6)
    head = ["our own layers: CPU, µs per record", "median", "95 % interval", "fastest run"]
    rows = []
    for form, micros in taken.items():
        found = interval(micros)
        between = f"{found.low:.1f} to {found.high:.1f}"
        rows.append([form, f"{found.middle:.1f}", between, f"{min(micros):.1f}"])
    return Result(markdown(head, rows), taken)


if __name__ == "__main__":
    wanted = int(sys.argv[2])
    asyncio.run(upsert(sys.argv[1], as_structs(wanted), wanted))
