"""A generator is closed by the end of its run, however that comes; nothing else is closed."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.bulk import (
    SAVED,
    awaited,
    both_forms,
    both_sources,
    collect,
    counts,
    finish,
)
from tests.support.clock import simulated
from tests.support.records import student, students
from tests.support.rig import Rig, storing
from tests.support.storing import StoringServer, refusal
from timeback_async import RetryPolicy
from timeback_async._bulk.ledger import Ledger
from timeback_async._bulk.run import Bulk
from timeback_async.errors import AuthError, SourceError


class Resource:
    """Endless records from a generator that has something to close."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = 0
        self.tasks: set[object] = set()

    def each(self) -> Iterator[object]:
        try:
            for number in range(10**9):
                yield student(f"s-{number}")
        finally:
            self._close()

    async def stream(self) -> AsyncIterator[object]:
        self.tasks.add(asyncio.current_task())
        try:
            for number in range(10**9):
                yield student(f"s-{number}")
        finally:
            await asyncio.sleep(0.25)
            self.tasks.add(asyncio.current_task())
            self._close()

    def open(self, is_async: bool) -> Any:
        return self.stream() if is_async else self.each()

    def _close(self) -> None:
        self.closed += 1
        if self.error is not None:
            raise self.error


async def by_stop(rig: Rig[StoringServer], bulk: Bulk) -> None:
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(2.5)
    bulk.stop()
    await running


async def by_a_failure(rig: Rig[StoringServer], bulk: Bulk) -> None:
    rig.server.token_answer = refusal(401)
    with pytest.raises(AuthError):
        await bulk


async def by_leaving_early(rig: Rig[StoringServer], bulk: Bulk) -> None:
    async with bulk:
        await anext(bulk)


async def by_an_exception(rig: Rig[StoringServer], bulk: Bulk) -> None:
    with suppress(KeyError):
        async with bulk:
            await anext(bulk)
            raise KeyError


async def by_cancellation(rig: Rig[StoringServer], bulk: Bulk) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(awaited(bulk), 2.5)


async def by_closing_the_session(rig: Rig[StoringServer], bulk: Bulk) -> None:
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(2.5)
    rig.pool.close()
    await asyncio.wait([running])
    assert running.exception()


ENDS = [
    by_stop,
    by_a_failure,
    by_leaving_early,
    by_an_exception,
    by_cancellation,
    by_closing_the_session,
]
End = Callable[[Rig[StoringServer], Bulk], Awaitable[None]]


@pytest.mark.parametrize("end", ENDS)
@both_sources
@simulated
async def test_a_generator_is_closed_when_the_run_ends(is_async: bool, end: End) -> None:
    rig, resource = storing(), Resource()
    generator = resource.open(is_async)
    bulk = rig.run(generator)

    await end(rig, bulk)

    assert bulk.report.submitted > 0
    assert resource.closed == 1
    assert len(resource.tasks) == is_async  # read and closed by one task


@both_forms
@both_sources
@simulated
async def test_an_error_of_closing_is_one_of_the_source(is_streamed: bool, is_async: bool) -> None:
    rig, error = storing(), OSError("cannot close")
    bulk = rig.run(Resource(error).open(is_async), stop_after_failures=1)
    rig.server.answers["s-9"] = [refusal(400)]

    with pytest.raises(SourceError, match="OSError") as caught:
        await finish(bulk, is_streamed)

    assert caught.value.__cause__ is error
    assert caught.value.report is bulk.report
    assert bulk.report.stopped == "1 records failed"


@both_sources
@simulated
async def test_an_error_of_closing_hides_nothing_worse(is_async: bool) -> None:
    for end in by_a_failure, by_cancellation, by_an_exception, by_leaving_early:
        rig, resource = storing(), Resource(OSError("cannot close"))

        await end(rig, rig.run(resource.open(is_async)))

        assert resource.closed == 1


@both_sources
@simulated
async def test_the_error_of_a_source_comes_before_that_of_its_closing(is_async: bool) -> None:
    class Broken:
        """Not a generator function, so that it is open after its error."""

        def __iter__(self) -> Iterator[object]:
            yield student()
            raise ValueError

        async def __aiter__(self) -> AsyncIterator[object]:
            yield student()
            raise ValueError

    broken = Broken()

    with pytest.raises(SourceError, match="ValueError"):
        await storing().run(aiter(broken) if is_async else iter(broken))


@simulated
async def test_an_iterator_of_the_caller_can_be_read_on(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("".join(f"s-{n}\n" for n in range(50)), "utf-8")
    rig = storing()
    with path.open(encoding="utf-8") as lines:
        async with rig.run(lines, lambda line: _upsert(line)) as results:
            await anext(results)

        rest = list(lines)

    assert results.report.submitted + len(rest) == 50


def _upsert(line: str) -> Any:
    from timeback_async._wire.codec import upsert

    return upsert(student(line.strip()))


class Kept(list[object]):
    """A list that can be referred to weakly."""


@both_forms
@simulated
async def test_a_finished_run_keeps_no_records(is_streamed: bool) -> None:
    rig, records = storing(), Kept(students(5))
    kept = weakref.ref(records)
    bulk = rig.run(records)
    await finish(bulk, is_streamed)

    del records
    gc.collect()

    assert kept() is None
    assert counts(bulk.report) == {SAVED: 5}


@both_sources
@simulated
async def test_a_ledger_closes_its_entries(is_async: bool) -> None:
    closed = []

    def each() -> Iterator[tuple[int, object]]:
        try:
            for number in range(10**9):
                yield number, student(f"s-{number}")
        finally:
            closed.append(asyncio.current_task())

    async def stream() -> AsyncIterator[tuple[int, object]]:
        try:
            for number in range(10**9):
                yield number, student(f"s-{number}")
        finally:
            await asyncio.sleep(0.25)
            closed.append(asyncio.current_task())

    rig = storing(retry=RetryPolicy(attempts=1))
    rig.server.answers["s-9"] = [refusal(400)]
    ledger: Ledger[int] = Ledger(lambda entry, result: None)
    entries = stream() if is_async else each()
    bulk = rig.run(ledger.records(entries), stop_after_failures=1)

    await ledger.settle(bulk)

    assert len(closed) == 1
    assert [result async for result in bulk] == []


@simulated
async def test_a_generator_that_has_ended_is_closed_once() -> None:
    closed = []

    async def stream() -> AsyncIterator[object]:
        try:
            yield student()
        finally:
            closed.append(True)

    results = await collect(storing().run(stream()))

    assert (len(results), closed) == (1, [True])
