"""Ways to put many students into TimeBack, each at its best, and each in a process of its own.

All send the same students with a valid token, 64 at a time by default, and check every answer.
Their input (structs, bytes, dicts) is made before the clock starts. So is the token, except for
those that fetch one themselves. Over https, each trusts whom `SSL_CERT_FILE` names.

    python -m benchmarks.contenders bare http://127.0.0.1:8000 5000 64
"""

import argparse
import asyncio
import os
import resource
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from timeback_async import Config, OrgRef, Student, TimebackSession

from .samples import Sample

STUDENTS = "/rostering/1.0/students"
CREATEPUT = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster.createput"


class Job(NamedTuple):
    """The task of a contender."""

    url: str
    records: Iterable[Any]
    number: int
    in_flight: int
    token: str = "of-good-tidings"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


# -- the students, in the form for each contender


def as_structs(count: int) -> Iterator[Student]:
    for n in range(count):
        yield Student(
            sourced_id=f"s-{n}",
            username=f"u{n}",
            given_name="Ada",
            family_name="Byron",
            grades=["5"],
            primary_org=OrgRef("org-1"),
            email=f"a{n}@example.com",
        )


def as_bytes(count: int) -> Iterator[bytes]:
    return (b'{"student":%b}' % msgspec.json.encode(student) for student in as_structs(count))


def as_dicts(count: int) -> Iterator[dict[str, Any]]:
    return ({"student": msgspec.to_builtins(student)} for student in as_structs(count))


def as_users(count: int) -> Iterator[dict[str, Any]]:
    role = {"roleType": "primary", "role": "student", "org": {"sourcedId": "org-1", "type": "org"}}
    return (msgspec.to_builtins(student) | {"roles": [role]} for student in as_structs(count))


# -- the contenders


def _session(job: Job, options: Mapping[str, Any]) -> TimebackSession:
    return TimebackSession(
        Config(
            client_id="me",
            client_secret="mine",
            base_url=job.url,
            max_in_flight=job.in_flight,
            **options,
        )
    )


async def ours(job: Job, **options: Any) -> None:
    """Use timeback_async, all of it: checks, token, window, retries, one result per record."""
    async with _session(job, options) as timeback:
        report = await timeback.upsert_many(job.records)
    assert report.saved == job.number, report


async def streaming(job: Job, **options: Any) -> None:
    """Use timeback_async in the same way, and look at each result as it completes."""
    saved = 0
    async with _session(job, options) as timeback, timeback.upsert_many(job.records) as results:
        async for result in results:
            saved += result.ok
    assert saved == job.number, saved


async def bare(job: Job) -> None:
    """Use aiohttp alone: workers send bytes and read the answers."""
    import aiohttp

    headers = job.headers | {"Content-Type": "application/json"}
    bodies = iter(job.records)

    async def work(session: aiohttp.ClientSession) -> None:
        for body in bodies:
            async with session.put(job.url + STUDENTS, data=body, headers=headers) as answer:
                content = await answer.read()
            assert answer.status == 200, answer.status
            assert content

    connector = aiohttp.TCPConnector(limit=job.in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(work(session) for _ in range(job.in_flight)))


async def script(job: Job) -> None:
    """Use the script that most people write by hand."""
    import aiohttp

    url, slots = job.url + STUDENTS, asyncio.Semaphore(job.in_flight)

    async def put(session: aiohttp.ClientSession, record: dict[str, Any]) -> None:
        async with slots, session.put(url, json=record, headers=job.headers) as answer:
            answer.raise_for_status()
            saved = await answer.json()
        assert saved["student"]["sourcedId"] == record["student"]["sourcedId"]

    connector = aiohttp.TCPConnector(limit=job.in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(put(session, record) for record in job.records))


async def httpx(job: Job) -> None:
    """Use the same script with httpx."""
    import httpx as library

    slots = asyncio.Semaphore(job.in_flight)

    async def put(client: library.AsyncClient, record: dict[str, Any]) -> None:
        async with slots:
            answer = await client.put(job.url + STUDENTS, json=record)
        answer.raise_for_status()
        assert answer.json()["student"]["sourcedId"] == record["student"]["sourcedId"]

    limits = library.Limits(max_connections=job.in_flight, max_keepalive_connections=job.in_flight)
    async with library.AsyncClient(limits=limits, headers=job.headers) as client:
        await asyncio.gather(*(put(client, record) for record in job.records))


async def vendor(job: Job) -> None:
    """Use the vendor's SDK. It puts users, since it cannot put students, and returns no answer."""
    from timeback_common import TimebackProvider
    from timeback_oneroster import OneRosterClient

    slots = asyncio.Semaphore(job.in_flight)

    async def put(client: OneRosterClient, record: dict[str, Any]) -> None:
        async with slots:
            await client.users.upsert(record["sourcedId"], record)

    provider = TimebackProvider(
        base_url=job.url,
        auth_url=f"{job.url}/auth/1.0/token",
        client_id="me",
        client_secret="mine",
        path_profile="LEARNWITH_AI",
        scope=CREATEPUT,
    )
    async with OneRosterClient(provider=provider) as client:
        await asyncio.gather(*(put(client, record) for record in job.records))


async def pyreqwest(job: Job) -> None:
    """Use pyreqwest: workers send bytes and read the answers."""
    from pyreqwest.client import ClientBuilder

    headers = job.headers | {"Content-Type": "application/json"}
    bodies = iter(job.records)
    async with ClientBuilder().default_headers(headers).build() as client:

        async def work() -> None:
            for body in bodies:
                answer = await client.put(job.url + STUDENTS).body_bytes(body).build().send()
                assert answer.status == 200, answer.status
                assert len(await answer.bytes())

        await asyncio.gather(*(work() for _ in range(job.in_flight)))


async def floor(job: Job) -> None:
    """Use the least possible: an asyncio protocol and httptools, without a client library."""
    import httptools

    scheme, _, host = job.url.partition("://")
    context = ssl.create_default_context() if scheme == "https" else None
    head = (
        f"PUT {STUDENTS} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {job.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    ).encode()
    bodies = iter(job.records)
    loop = asyncio.get_running_loop()

    class Connection(asyncio.Protocol):
        def __init__(self) -> None:
            self.done = loop.create_future()

        def connection_made(self, transport: Any) -> None:
            self._transport = transport
            self._parser = httptools.HttpResponseParser(self)
            self._send()

        def _send(self) -> None:
            self._content = b""
            body = next(bodies, None)
            if body is None:
                self._transport.close()
                self.done.set_result(None)
            else:
                self._transport.write(head % len(body) + body)

        def data_received(self, data: bytes) -> None:
            self._parser.feed_data(data)

        def on_body(self, body: bytes) -> None:
            self._content += body

        def on_message_complete(self) -> None:
            assert self._parser.get_status_code() == 200
            assert self._content
            self._send()

    address, port = host.split(":")
    made = [
        await loop.create_connection(Connection, address, int(port), ssl=context)
        for _ in range(job.in_flight)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))


class Contender(NamedTuple):
    """How to run one contender, its name in tables (`says`), and the modules it needs."""

    send: Callable[[Job], Awaitable[None]]
    takes: Callable[[int], Iterator[Any]]
    says: str
    on_uvloop: bool = False
    needs: tuple[str, ...] = ()


def _on_uvloop(contender: Contender) -> Contender:
    return contender._replace(
        says=f"{contender.says}, uvloop", on_uvloop=True, needs=(*contender.needs, "uvloop")
    )


DIRECT = ("timeback_async._transport.direct", "httptools")
ON_ASYNCIO = {
    "direct": Contender(
        partial(ours, transport="direct"), as_structs, "timeback_async, direct", needs=DIRECT
    ),
    "ours": Contender(ours, as_structs, "timeback_async"),
    "bare": Contender(bare, as_bytes, "aiohttp, bytes from 64 workers"),
    "script": Contender(script, as_dicts, "aiohttp, gather, Semaphore, json="),
    "direct-streaming": Contender(
        partial(streaming, transport="direct"),
        as_structs,
        "timeback_async, direct, streaming",
        needs=DIRECT,
    ),
    "ours-streaming": Contender(streaming, as_structs, "timeback_async, streaming"),
    "httpx": Contender(httpx, as_dicts, "httpx, gather, Semaphore, json=", needs=("httpx",)),
    "vendor": Contender(
        vendor, as_users, "timeback-oneroster, Semaphore", needs=("timeback_oneroster",)
    ),
    "pyreqwest": Contender(pyreqwest, as_bytes, "pyreqwest, bytes", needs=("pyreqwest",)),
    "floor": Contender(floor, as_bytes, "asyncio protocol, httptools", needs=("httptools",)),
}
CONTENDERS: Mapping[str, Contender] = ON_ASYNCIO | {
    f"{name}+uvloop": _on_uvloop(contender) for name, contender in ON_ASYNCIO.items()
}


def peak() -> int:
    """Return the peak memory of this process, in bytes."""
    with suppress(OSError):  # on Linux `ru_maxrss` includes the parent
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measured(name: str, url: str, count: int, in_flight: int, *, stream: bool = False) -> Sample:
    """Run one contender in this process; return the sample."""
    contender = CONTENDERS[name]
    records = contender.takes(count)
    job = Job(url, records if stream else list(records), count, in_flight)

    async def clocked() -> tuple[float, float]:
        cpu, now = time.process_time(), time.perf_counter()
        await contender.send(job)
        return time.process_time() - cpu, time.perf_counter() - now

    if contender.on_uvloop:
        import uvloop

        cpu, elapsed = uvloop.run(clocked())
    else:
        cpu, elapsed = asyncio.run(clocked())
    return Sample(name, count, cpu, elapsed, peak())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("url")
    parser.add_argument("records", type=int)
    parser.add_argument("in_flight", type=int)
    parser.add_argument("--stream", action="store_true", help="make the records during the run")
    parser.add_argument("--cores", help="CPU cores to run on, such as 0,2")
    options = parser.parse_args()
    if options.cores:
        with suppress(AttributeError):  # Linux only
            os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})
    sample = measured(
        options.contender, options.url, options.records, options.in_flight, stream=options.stream
    )
    print(msgspec.json.encode(sample).decode())


if __name__ == "__main__":
    main()
