"""Bulk runs made from a seed, against a server that does something else now and then.

`Trial` is one run. `check` holds its results against what the server did, and raises `Violation`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

from tests.support.bulk import FAILED, INVALID, NOT_SENT, SAVED, UNKNOWN
from tests.support.faulty import FAULTS, GOOD, Asked, FaultyServer
from tests.support.records import student, user
from tests.support.tasks import other_tasks, until
from timeback_async import (
    AgentLink,
    Config,
    ItemResult,
    Outcome,
    Report,
    RetryPolicy,
    Student,
    TimebackSession,
    User,
)
from timeback_async._bulk.run import Bulk
from timeback_async.errors import AuthError, RecordError

TIMEOUT = 0.3  # of an attempt, in seconds; a late answer takes twice as long
GUARD = 60.0  # a run that takes longer hangs
INVALID_ONES = [None, {}, {"student": {"sourcedId": "p-0"}}, RecordError("", "cannot be read")]
SOURCES = ["list", "generator", "async generator"]
ENDS = [
    *["await", "iterate", "ordered", "slow"],
    *["leave", "cancel", "stop", "stop and leave", "stop at once"],
]
WHOLE = {"await", "iterate", "ordered", "slow"}  # they come to the end of their source


class Violation(AssertionError):
    """A result that is not true, or something that was left behind."""


class Trial:
    """One bulk run.

    Args:
        seed: Decides everything, but for the timing.

    Attributes:
        records: The source.
        results: The results that were seen, in their order.
        report: The report of the run.
        faults: How often the server did which fault.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        chance = self._chance = random.Random(seed)
        self.form, self.end = chance.choice(SOURCES), chance.choice(ENDS)
        self.in_flight = chance.choice([1, 2, 3, 8, 64])
        self.share = chance.choice([0.0, 0.05, 0.2, 0.6])
        self.attempts = chance.choice([1, 2, 8])
        self.records = self._make(chance.randint(1, 120))
        self.results: list[ItemResult] = []
        self.report: Report
        self.server = FaultyServer(chance, self.share, late=2 * TIMEOUT)
        self.server.look = self._look
        self.early: list[str] = []
        self.complaints: list[Any] = []
        self.is_open = False
        self.reads = 0

    @property
    def faults(self) -> Counter[str]:
        return self.server.faults

    def __repr__(self) -> str:
        return (
            f"seed {self.seed}: {len(self.records)} records from a {self.form}, {self.end}, "
            f"{self.in_flight} in flight, {self.share:.0%} faults, {self.attempts} attempts"
        )

    def _make(self, number: int) -> list[object]:
        chance = self._chance
        ids = [f"p-{n}" for n in range(max(2, number // 3))]
        records: list[object] = []
        # The last record of each person before this place, by index.
        self.people: dict[str, int] = {}
        self.needs: dict[int, list[int]] = {}
        for index in range(number):
            kind, own = chance.random(), chance.choice(ids)
            if kind < 0.05:
                records.append(chance.choice(INVALID_ONES))
                if records[-1] == INVALID_ONES[2]:
                    self.people["p-0"] = index
            elif kind < 0.35:
                pair = (own, chance.choice(ids))
                records.append(AgentLink(*pair, "parent", agent_id=f"l-{index}"))
                self.needs[index] = [self.people[one] for one in pair if one in self.people]
            else:
                make = chance.choice([student, user])
                name = None if kind > 0.97 else f"v-{index}"
                records.append(make(own, given_name=name))
                self.people[own] = index
        return records

    # -- the run

    async def run(self) -> None:
        """Carry the run out, and check everything."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        async with self.server:
            config = Config(
                client_id="me",
                client_secret="s",
                base_url=self.server.url,
                attempt_timeout=TIMEOUT,
                adaptive=False,
                retry=RetryPolicy(attempts=self.attempts, initial=0.0, throttle_initial=0.0),
            )
            ours = other_tasks()
            async with TimebackSession(config) as timeback:
                source = self._source()  # a reference, so that it is not closed for want of one
                bulk = timeback.upsert_many(
                    source, in_flight=self.in_flight, ordered=self.end == "ordered"
                )
                try:
                    async with asyncio.timeout(GUARD):
                        await self._consume(bulk)
                except TimeoutError:
                    raise Violation(f"{self}: it hangs") from None
                except AuthError as error:  # the first token was rejected three times in a row
                    self._expect(error.report is bulk.report, "another report")
                self.report = bulk.report
                self._expect(not self.is_open, "the source is open")
                pool, now = timeback._pool, timeback.statistics()
                self._expect((now.in_flight, now.waiting) == (0, 0), f"slots are taken: {now}")
                self._expect(not pool.on_close, "the session knows of the run")
            left = {task for task in other_tasks() - ours if not _is_of_the_server(task)}
            self._expect(not left, f"tasks are left: {left}")
            await until(lambda: other_tasks() <= ours)  # and no connection either
        self._expect(not self.complaints, f"asyncio complains: {self.complaints}")
        self.check()

    def _source(self) -> Any:
        match self.form:
            case "list":
                return self.records
            case "generator":
                return self._each()
        return self._stream()

    def _each(self) -> Iterator[object]:
        self.is_open = True
        try:
            for record in self.records:
                self.reads += 1
                yield record
        finally:
            self.is_open = False

    async def _stream(self) -> AsyncIterator[object]:
        self.is_open = True
        try:
            for record in self.records:
                if self._chance.random() < 0.3:
                    await asyncio.sleep(0)
                self.reads += 1
                yield record
        finally:
            self.is_open = False
            await asyncio.sleep(0)  # a stop may cancel it here, at the end of the records

    async def _consume(self, bulk: Bulk) -> None:
        many = self._chance.randint(0, len(self.records))
        seconds = self._chance.choice([0.0, 0.005, 0.02, 0.05])
        match self.end:
            case "await":
                await bulk
            case "stop at once":
                bulk.stop()
                await bulk
                self._expect(bulk.report.submitted == 0, "it was stopped before it began")
            case "cancel":
                running = asyncio.create_task(self._iterate(bulk, many, leave=False))
                await asyncio.sleep(seconds)
                running.cancel()
                await asyncio.wait([running])
                if not running.cancelled():
                    running.result()
            case "stop":
                asyncio.get_running_loop().call_later(seconds, bulk.stop)
                await self._iterate(bulk, len(self.records) + 1, leave=False)
            case _:
                await self._iterate(bulk, many, leave="leave" in self.end)

    async def _iterate(self, bulk: Bulk, many: int, *, leave: bool) -> None:
        async with bulk:
            async for result in bulk:
                self.results.append(result)
                if self.end == "slow" and self._chance.random() < 0.1:
                    await asyncio.sleep(0.002)
                if leave and len(self.results) >= many:
                    if self.end == "stop and leave":
                        bulk.stop()
                    break
        if leave:
            async for result in bulk:  # one by one: an error may come at the end
                self.results.append(result)

    def _look(self, asked: Asked) -> None:
        """Note a link that comes before its people."""
        if not asked.envelope:
            for person in self.needs[int(asked.marker.removeprefix("l-"))]:
                if not self._is_stored(person):
                    self.early.append(asked.marker)

    def _is_stored(self, index: int) -> bool:
        record, marker = self.records[index], self._marker(index)
        own = (
            record.agent_id if isinstance(record, AgentLink) else getattr(record, "sourced_id", "")
        )
        return bool(marker) and marker in self.server.stored.get(str(own), [])

    # -- what must be true

    def _expect(self, is_true: bool, what: str) -> None:
        if not is_true:
            raise Violation(f"{self}: {what}")

    def _marker(self, index: int) -> str:
        record = self.records[index]
        if isinstance(record, AgentLink):
            return record.agent_id or ""
        return (isinstance(record, Student | User) and record.given_name) or ""

    def check(self) -> None:
        """Hold the results against what the server did.

        Raises:
            Violation: One of them is not true.
        """
        report, server = self.report, self.server
        outcomes = self._outcomes()
        self._expect(not self.early, f"links before their people: {self.early}")
        for own, versions in server.stored.items():
            numbers = [int(version[2:]) for version in versions]
            self._expect(numbers == sorted(numbers), f"{own} was stored in the order {numbers}")
        known = {failure.index: failure for failure in [*report.failures, *self.results]}
        for index, outcome in outcomes.items():
            self._check_one(index, outcome, known.get(index))
        read = {self._marker(index) for index in range(report.submitted)}
        self._expect(set(server.done) <= read, "something was sent that was not read")
        if self.end in WHOLE and not report.stopped:
            self._expect(report.submitted == len(self.records), "the source was not read")

    def _outcomes(self) -> dict[int, Outcome]:
        """Return the outcome of each record that was read: each has exactly one."""
        report = self.report
        self._expect(sum(report.counts.values()) == report.submitted, "the counts do not add up")
        if self.form != "list":
            self._expect(report.submitted == self.reads, "a record was read and not counted")
        found = {failure.index: failure.outcome for failure in report.failures}
        self._expect(len(found) == len(report.failures), "a failure came twice")
        outcomes = {index: found.get(index, SAVED) for index in range(report.submitted)}
        counts = Counter(outcomes.values())
        self._expect(
            all(counts[outcome] == number for outcome, number in report.counts.items()),
            "the counts differ from the failures",
        )
        indexes = [result.index for result in self.results]
        if self.end not in ("await", "stop at once", "cancel"):
            self._expect(sorted(indexes) == [*outcomes], "results are lost, or came twice")
        self._expect(len(indexes) == len(set(indexes)), "a result came twice")
        if self.end == "ordered":
            self._expect(indexes == sorted(indexes), "results came out of order")
        for result in self.results:
            self._expect(result.outcome is outcomes[result.index], "two results for one record")
        return outcomes

    def _check_one(self, index: int, outcome: Outcome, result: ItemResult | None) -> None:
        record, marker = self.records[index], self._marker(index)
        done = self.server.done.get(marker, []) if marker else []
        says = [FAULTS.get(name, GOOD).says for name in done]
        is_stored = self._is_stored(index)
        what = f"record {index} is {outcome}; the server did {done}"
        if result is not None:
            own = getattr(record, "agent_id", None) or getattr(record, "sourced_id", None)
            self._expect(own in (result.sourced_id, None), f"{what}: the result of another record")
            self._expect(result.attempts >= len(done), f"{what}: {result.attempts} attempts")
        # A record of a run that was left may not have been looked at.
        self._expect((marker == "") is (outcome is INVALID) or outcome is NOT_SENT, what)
        match outcome:
            case Outcome.SAVED:
                self._expect(is_stored, what)
            case Outcome.INVALID:
                self._expect(not done, what)
            case Outcome.NOT_SENT:
                self._expect(not is_stored and set(says) <= {"wait"}, what)
            case Outcome.FAILED:
                self._expect(_may_be_failed(done, is_stored), what)
            case Outcome.UNKNOWN:
                sent = result.attempts if result is not None else 0
                self._expect(sent > 0, f"{what}: it was never sent")
        self._check_link(index, outcome, result, what)

    def _check_link(
        self, index: int, outcome: Outcome, result: ItemResult | None, what: str
    ) -> None:
        """Check that a link was sent exactly when all its people were saved before it."""
        outcomes = {failure.index: failure.outcome for failure in self.report.failures}
        hindering = [each for each in self.needs.get(index, []) if each in outcomes]
        if outcome in (SAVED, FAILED, UNKNOWN):
            self._expect(not hindering, f"{what}: {hindering} were not saved")
        if outcome is NOT_SENT:
            assert result is not None
            if isinstance(result.error, RecordError):
                self._expect(bool(hindering), f"{what}: nobody hindered it")
            else:
                self._expect(self.report.stopped != "", f"{what}: nothing stopped it")


def _is_of_the_server(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").endswith(
        ("._accept", "._accept_connection2")
    )


def _may_be_failed(done: list[str], is_stored: bool) -> bool:
    """Return whether `failed` is true: the server said so of every attempt that may have worked."""
    faults = [FAULTS.get(name, GOOD) for name in done]
    since = max((n for n, fault in enumerate(faults) if fault.says == "refused"), default=-1)
    if any(fault.says in ("nothing", "saved") for fault in faults[since + 1 :]):
        return False
    return not is_stored or since >= 0 or any(f.applies and f.says == "failed" for f in faults)
