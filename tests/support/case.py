"""One case of the fault matrix: a server, a proxy before it, a client, and what always has to hold.

After every case: one result for each record handed over; the server holds the last version of
every record that was saved; the bound on requests in flight was kept, and no id was in flight
twice; the server counted the client's attempts; no task and no file descriptor is left; nothing
personal and nothing secret is in a log, a repr, a report or a traceback.
"""

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from tests.support.proxy import FaultProxy, Weather
from tests.support.records import student
from tests.support.tasks import until
from timeback_async import (
    ItemResult,
    Outcome,
    Report,
    Response,
    RetryPolicy,
    Student,
    TimebackSession,
)
from timeback_async._transport import lanes
from timeback_async.errors import TimebackError
from timeback_async.testing import Faults, MockServer

CANARY = "Canary"
FDS = Path("/proc/self/fd")


def private_student(number: object, version: int = 0) -> Student:
    """Return a student whose every personal value holds the canary."""
    return student(
        f"s-{number}",
        username=f"{CANARY}-login",
        given_name=f"{CANARY} {version}",
        family_name=f"{CANARY}-Byron",
        email=f"{CANARY}@example.com",
    )


def private_students(number: int) -> Iterator[Student]:
    return map(private_student, range(number))


def trying(attempts: int, **settings: Any) -> dict[str, Any]:
    """Return settings for so many attempts, without the pauses that a real server deserves."""
    policy = RetryPolicy(attempts=attempts, initial=0.001, ceiling=0.005)
    return {"adaptive": False, "retry": policy, **settings}


class Watch:
    """A transport that looks on: what is in flight, and what was sent. Token requests pass by.

    Attributes:
        transport: The one that sends.
        attempts: Requests to the rostering API.
        peak: The most of them in flight at once.
        overlaps: Ids that were twice in flight.
        tokens: Every token ever sent.
    """

    def __init__(self, transport: Any, token_url: str) -> None:
        self.transport, self._token_url = transport, token_url
        self._in_flight: Counter[str] = Counter()
        self.attempts = self.peak = 0
        self.overlaps: set[str] = set()
        self.tokens: set[str] = set()

    async def aclose(self) -> None:
        await self.transport.aclose()

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        if url == self._token_url:
            granted: Response = await self.transport.send(method, url, headers, body, timeout)
            return granted
        own = _id_of(url, body)
        self.attempts += 1
        self.tokens.add(headers["Authorization"].removeprefix("Bearer "))
        if method != "GET" and self._in_flight[own]:
            self.overlaps.add(own)
        self._in_flight[own] += 1
        self.peak = max(self.peak, self._in_flight.total())
        try:
            response: Response = await self.transport.send(method, url, headers, body, timeout)
            return response
        finally:
            self._in_flight[own] -= 1


def _id_of(url: str, body: bytes | None) -> str:
    if url.endswith("/rostering/1.0/students") and body:
        return str(msgspec.json.decode(body)["student"]["sourcedId"])
    return unquote(url.partition("/rostering/1.0/")[2])


class Case:
    """A client of a server, and everything that was handed over and came back.

    Attributes:
        server: What it talks to in the end.
        proxy: What stands between, where there is weather.
        session: The client.
        watch: What the client sent.
        results: Every result of every run, in the order they came.
        reports: The report of every run.
        errors: What was raised, wherever a test puts it here.
        versions: The last given name handed over, by sourcedId; of students.
        handed_over: How many records were, in all.
    """

    def __init__(
        self, server: MockServer, proxy: FaultProxy | None, session: TimebackSession, watch: Watch
    ) -> None:
        self.server, self.proxy, self.session, self.watch = server, proxy, session, watch
        self.results: list[ItemResult] = []
        self.reports: list[Report] = []
        self.errors: list[BaseException] = []
        self.versions: dict[str, str] = {}
        self.handed_over = 0

    def noted(self, records: Iterable[Any]) -> Iterator[Any]:
        """Yield records, and remember what is handed over."""
        for record in records:
            self.handed_over += 1
            if isinstance(record, Student):
                self.versions[record.sourced_id] = record.given_name
            yield record

    async def upsert(self, records: Iterable[Any], **how: Any) -> Report:
        """Run over records, check that each came back once, and return the report.

        What the run raises is kept in `errors` and not raised, so that `reports` tells the rest.
        """
        before = self.handed_over
        bulk = self.session.upsert_many(self.noted(records), **how)
        results: list[ItemResult] = []
        try:
            async with bulk:
                async for result in bulk:
                    results.append(result)  # noqa: PERF401 - kept where the run raises
        except TimebackError as error:
            self.errors.append(error)
        report = bulk.report
        assert sorted(result.index for result in results) == list(range(report.submitted))
        assert report.submitted == sum(report.counts.values()) == len(results)
        assert report.submitted == self.handed_over - before
        self.results += results
        self.reports.append(report)
        return report

    def check_stores(self) -> None:
        """Check that what was saved is what the server holds, and that it holds nothing else."""
        stored = {own: each["givenName"] for own, each in self.server.students.items()}
        students = [result for result in self.results if result.kind == "student"]
        last = {result.sourced_id: result.outcome for result in students}  # by id
        for own, outcome in last.items():
            if outcome is Outcome.SAVED:
                assert stored[own] == self.versions[own]
        assert stored.keys() <= self.versions.keys()


@asynccontextmanager
async def case(
    *,
    faults: Faults | None = None,
    weather: Callable[[int], Weather] | Weather | None = None,
    counts_match: bool = True,
    **settings: Any,
) -> AsyncIterator[Case]:
    """Run a case, and check at its end what always has to hold.

    Args:
        faults: Of the server.
        weather: Of the connections: of each by its number, or of all; None for no proxy.
        counts_match: Whether every request reaches the server, so that both counts are one.
        settings: Of the client's `Config`.
    """
    tasks, files = asyncio.all_tasks(), _open_files()
    with _logged() as logs:
        async with (
            MockServer(faults=faults, client_secret=f"secret-{CANARY}") as server,
            _between(server, weather) as proxy,
        ):
            config = server.config(**({"base_url": proxy.url} if proxy else {}), **settings)
            watch = Watch(lanes.transport_for(config, None, ()), config.token_endpoint)
            async with TimebackSession(config, transport=watch) as session:
                it = Case(server, proxy, session, watch)
                yield it
                statistics = session.statistics()
        texts = [*logs, repr(statistics), repr(config), repr(session)]
    assert watch.peak <= config.max_in_flight
    assert statistics.in_flight == statistics.waiting == 0
    assert watch.overlaps == set()
    assert statistics.attempts == watch.attempts
    if counts_match:
        assert server.requests == watch.attempts
    it.check_stores()
    for result in it.results:
        texts += [repr(result), _told(result.error)]
    for report in it.reports:
        texts += [repr(report), str(report), str(report.as_dict())]
    texts += map(_told, it.errors)
    for text in texts:
        assert CANARY not in text
        assert not any(token in text for token in watch.tokens)
    await until(lambda: asyncio.all_tasks() <= tasks)
    await until(lambda: _open_files() <= files)


@asynccontextmanager
async def _between(
    server: MockServer, weather: Callable[[int], Weather] | Weather | None
) -> AsyncIterator[FaultProxy | None]:
    if weather is None:
        yield None
        return
    every = weather
    by_number = (lambda _: every) if isinstance(every, Weather) else every
    async with FaultProxy(urlsplit(server.base_url).port or 0, by_number) as proxy:
        yield proxy


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect everything that is logged, at every level."""
    texts: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(self.format(record))

    handler, root = Handler(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield texts
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _told(error: BaseException | None) -> str:
    """Return all that a traceback and a repr would show, but for the lines of our own code."""
    if error is None:
        return ""
    return repr(error) + "".join(traceback.format_exception(error, limit=0))


def _open_files() -> int:
    return len(list(FDS.iterdir())) if FDS.exists() else 0
