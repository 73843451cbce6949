"""`Bulk.stop()` at any moment, and sources that do not take their cancellation."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from tests.support.bulk import (
    FAILED,
    NOT_SENT,
    UNKNOWN,
    assert_honest,
    awaited,
    both_forms,
    both_sources,
    collect,
    counts,
    finish,
)
from tests.support.clock import run_simulated, simulated
from tests.support.records import student, students
from tests.support.rig import storing
from tests.support.source import Source
from tests.support.storing import DROPPED, LOST, UNREACHABLE, Answer, refusal
from tests.support.tasks import other_tasks, steps
from timeback_async import ItemResult, Outcome, RetryPolicy, Student
from timeback_async._bulk.run import Bulk


@both_forms
@both_sources
@simulated
async def test_a_run_that_is_stopped_before_it_begins_reads_nothing(
    is_streamed: bool, is_async: bool
) -> None:
    rig, source = storing(), Source(students(50))
    bulk = rig.run(source.open(is_async))

    bulk.stop("not today")
    report = await finish(bulk, is_streamed)

    assert (report.submitted, source.reads, rig.server.seen) == (0, 0, [])
    assert report.stopped == "not today"


@both_forms
@both_sources
def test_a_run_can_be_stopped_after_any_number_of_steps(is_streamed: bool, is_async: bool) -> None:
    records = students(12)

    async def stopped_after(turns: int) -> bool:
        rig, source = storing(retry=RetryPolicy(initial=0, throttle_initial=0)), Source(records)
        rig.server.seconds = 0
        bulk = rig.run(source.open(is_async), in_flight=3)
        running = asyncio.create_task(finish(bulk, is_streamed))
        await steps(turns)
        is_over = running.done()
        bulk.stop()
        read_before = source.reads
        report = await running
        assert source.reads <= read_before + 1
        assert report.submitted == source.reads
        assert_honest(rig, report, records)
        await rig.tokens.aclose()
        assert other_tasks() == set()
        return is_over

    turns = 0
    while not run_simulated(stopped_after(turns)):
        turns += 1
    assert turns > 15


class Stubborn:
    """An async source that swallows every CancelledError."""

    def __init__(self) -> None:
        self.reads = self.swallowed = 0
        self.is_closed = False

    async def stream(self, seconds: float = 0.1) -> AsyncIterator[Student]:
        try:
            while True:
                try:
                    await asyncio.sleep(seconds)
                except asyncio.CancelledError:
                    self.swallowed += 1
                self.reads += 1
                yield student(f"s-{self.reads}")
        finally:
            self.is_closed = True


@both_forms
@simulated
async def test_a_source_that_swallows_its_cancellation_gives_one_more_record_at_most(
    is_streamed: bool,
) -> None:
    rig, source = storing(), Stubborn()
    bulk = rig.run(source.stream())
    running = asyncio.create_task(finish(bulk, is_streamed))
    await asyncio.sleep(0.25)

    bulk.stop()
    report = await running
    await rig.tokens.aclose()

    assert (source.reads, source.swallowed, source.is_closed) == (3, 1, True)
    assert counts(report) == {NOT_SENT: 3}
    assert rig.server.seen == []


@simulated
async def test_leaving_the_block_does_not_wait_for_more_than_one_record_either() -> None:
    rig, source = storing(), Stubborn()

    async with rig.run(source.stream()) as results:
        await asyncio.sleep(0.25)
    await rig.tokens.aclose()

    assert (source.reads, source.swallowed, source.is_closed) == (3, 1, True)
    assert results.report.submitted == 3


@simulated
async def test_a_cancelled_run_does_not_wait_for_more_than_one_record_either() -> None:
    rig, source = storing(), Stubborn()
    bulk = rig.run(source.stream())
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(0.25)

    running.cancel()
    await asyncio.wait([running])
    await rig.tokens.aclose()

    assert running.cancelled()
    assert (source.reads, source.swallowed, source.is_closed) == (3, 1, True)
    assert bulk.report.submitted == 3


class Deaf:
    """An async source that does not return from a read until it is let go."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    def __aiter__(self) -> "Deaf":
        return self

    async def __anext__(self) -> Student:
        while not self.gate.is_set():
            with suppress(asyncio.CancelledError):
                await self.gate.wait()
        raise StopAsyncIteration


@simulated
async def test_a_source_that_ignores_its_cancellation_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Deaf()
    bulk = storing().run(source)
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(1)

    with caplog.at_level(logging.WARNING, "timeback_async.bulk"):
        bulk.stop()
        await asyncio.sleep(9)
        before = len(caplog.records)
        await asyncio.sleep(2)
        source.gate.set()
        await running

    assert before == 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "ignores its cancellation" in caplog.text


@simulated
async def test_a_source_that_ends_when_it_is_stopped_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bulk = storing().run(Source(students(50)).stream(1.0))
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(2.5)

    bulk.stop()
    await running
    await asyncio.sleep(60)

    assert caplog.records == []


class Stopping:
    """A source that stops its own run with its third record, and cleans up with an await."""

    def __init__(self) -> None:
        self.bulk: Bulk
        self.reads = 0
        self.is_closed = False

    def _next(self) -> Student:
        self.reads += 1
        if self.reads == 3:
            self.bulk.stop()
        return student(f"s-{self.reads}")

    def each(self) -> Iterator[Student]:
        try:
            while True:
                yield self._next()
        finally:
            self.is_closed = True

    async def stream(self) -> AsyncIterator[Student]:
        try:
            while True:
                await asyncio.sleep(0)
                yield self._next()
        finally:
            await asyncio.sleep(1)
            self.is_closed = True


@both_forms
@both_sources
@simulated
async def test_a_source_can_stop_its_own_run(is_streamed: bool, is_async: bool) -> None:
    rig, source = storing(), Stopping()
    source.bulk = rig.run(source.stream() if is_async else source.each())

    report = await finish(source.bulk, is_streamed)
    await rig.tokens.aclose()

    assert (source.reads, report.submitted, source.is_closed) == (3, 3, True)
    assert report.not_sent >= 1


@both_sources
@simulated
async def test_a_stop_after_a_stop_or_after_the_end_changes_nothing(is_async: bool) -> None:
    rig = storing()
    bulk = rig.run(Source(students(50)).open(is_async))
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(2.5)

    bulk.stop("first")
    bulk.stop("second")
    report = await running
    bulk.stop("third")

    assert bulk.report is report
    assert report.stopped == "first"


@both_sources
@simulated
async def test_a_stop_at_the_moment_of_leaving_does_not_keep_the_run_alive(is_async: bool) -> None:
    rig = storing()
    rig.server.answers = {f"s-{n}": [refusal(429, Retry_After="30")] for n in range(8)}
    results: list[ItemResult] = []

    async with asyncio.timeout(100):
        async with rig.run(Source(students(50)).open(is_async)) as bulk:
            await asyncio.sleep(5)
            bulk.stop()
        results = [result async for result in bulk]

    assert len(results) == bulk.report.submitted


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        ([refusal(429)], NOT_SENT),
        ([UNREACHABLE], NOT_SENT),
        ([refusal(401)], NOT_SENT),
        ([refusal(503, Retry_After="1")], NOT_SENT),
        ([UNREACHABLE, refusal(429), UNREACHABLE], NOT_SENT),
        ([refusal(503)], FAILED),
        ([refusal(500), refusal(429)], FAILED),
        ([LOST], UNKNOWN),
        ([LOST, refusal(429)], UNKNOWN),
        ([refusal(429), DROPPED, refusal(503)], UNKNOWN),
    ],
)
@pytest.mark.parametrize("is_cancelled", [False, True], ids=["stopped", "cancelled"])
@simulated
async def test_a_record_that_waits_for_its_next_attempt_tells_what_may_have_happened(
    is_cancelled: bool, before: list[Answer], outcome: Outcome
) -> None:
    rig = storing(max_in_flight=1)
    rig.server.answers["s-0"] = [*before, refusal(429, Retry_After="200")]
    bulk = rig.run(students(1))
    running = asyncio.create_task(collect(bulk))
    await asyncio.sleep(100)

    if is_cancelled:
        running.cancel()
    else:
        bulk.stop()
    await asyncio.wait([running])

    (result,) = bulk.report.failures
    assert (result.outcome, result.status) == (outcome, 429)
