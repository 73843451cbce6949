"""A run is awaited for its report, or iterated for its results."""

import asyncio
import sys

import pytest

from tests.support.bulk import (
    INVALID,
    NOT_SENT,
    SAVED,
    both_forms,
    both_sources,
    collect,
    counts,
    finish,
)
from tests.support.clock import simulated
from tests.support.records import students
from tests.support.rig import storing
from tests.support.source import Source
from tests.support.storing import Answer
from timeback_async._bulk.run import Bulk


@both_sources
@both_forms
@simulated
async def test_every_record_is_sent_and_counted_once(is_streamed: bool, is_async: bool) -> None:
    rig = storing()

    report = await finish(rig.run(Source(students(10)).open(is_async)), is_streamed)

    assert report.ok
    assert (report.submitted, report.saved, report.attempts) == (10, 10, 10)
    assert (report.retries, report.throttled, report.token_requests) == (0, 0, 1)
    assert report.elapsed == pytest.approx(4)  # the token, then three rounds of four
    assert rig.server.saved.keys() == {f"s-{n}" for n in range(10)}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@pytest.mark.parametrize("dry_run", [False, True])
@both_sources
@both_forms
@simulated
async def test_tasks_may_be_eager(is_streamed: bool, is_async: bool, dry_run: bool) -> None:
    asyncio.get_running_loop().set_task_factory(vars(asyncio)["eager_task_factory"])
    bulk = storing().run(Source([7, *students(10)]).open(is_async), dry_run=dry_run)

    report = await finish(bulk, is_streamed)

    assert counts(report) == {INVALID: 1, NOT_SENT if dry_run else SAVED: 10}


@both_forms
@simulated
async def test_a_run_without_records_is_ok(is_streamed: bool) -> None:
    rig = storing()

    report = await finish(rig.run([]), is_streamed)

    assert (report.ok, report.submitted, report.token_requests) == (True, 0, 0)


@simulated
async def test_results_come_as_they_complete() -> None:
    rig = storing()
    rig.server.answers["s-0"] = [Answer(seconds=9)]

    results = await collect(rig.run(students(10)))

    assert results[-1].index == 0
    assert sorted(result.index for result in results) == list(range(10))


@simulated
async def test_ordered_results_come_in_the_order_of_the_source() -> None:
    rig = storing()
    rig.server.answers = {"s-0": [Answer(seconds=9)], "s-5": [Answer(seconds=5)]}

    results = await collect(rig.run(students(30), ordered=True))

    assert [result.index for result in results] == list(range(30))


@simulated
async def test_a_report_belongs_to_its_own_run() -> None:
    rig = storing()

    first, second = await asyncio.gather(rig.run(students(3)), rig.run(students(5)))

    assert (first.submitted, second.submitted) == (3, 5)


@simulated
async def test_an_iteration_may_be_shared_and_interrupted() -> None:
    rig = storing()
    seen: list[int] = []

    async def consume(results: Bulk) -> None:
        seen.extend([result.index async for result in results])

    async with rig.run(students(10)) as results:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(results), 0.5)
        await asyncio.gather(consume(results), consume(results))

    assert sorted(seen) == list(range(10))


@simulated
async def test_the_report_is_there_after_the_block_in_whatever_way_it_is_left() -> None:
    rig = storing()

    async with rig.run(students(10)) as left_at_once:
        pass
    async with rig.run(students(10)) as left_in_the_middle:
        await anext(left_in_the_middle)

    assert left_at_once.report.submitted == 0
    assert left_in_the_middle.report.saved >= 1
