"""Whoever leaves a run early leaves no task, and has an honest report."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import amount
from tests.support.bulk import (
    FAILED,
    NOT_SENT,
    UNKNOWN,
    assert_honest,
    awaited,
    both_forms,
    both_sources,
    counts,
    finish,
    paces,
)
from tests.support.clock import run_simulated, simulated
from tests.support.records import students
from tests.support.rig import Rig, storing
from tests.support.source import Source
from tests.support.storing import (
    DROPPED,
    LOST,
    STUCK,
    UNREACHABLE,
    Answer,
    StoringServer,
    refusal,
)
from tests.support.tasks import other_tasks, steps
from timeback_async import Response, RetryPolicy
from timeback_async._bulk.run import Bulk
from timeback_async.errors import AuthError, ServerError


@both_sources
@pytest.mark.parametrize("ordered", [False, True])
@simulated
async def test_leaving_the_block_early_cancels_what_is_in_flight(
    ordered: bool, is_async: bool
) -> None:
    rig = storing()
    rig.server.answers["s-5"] = [refusal(503)] * 8
    records = students(50)

    async with rig.run(Source(records).open(is_async), ordered=ordered) as results:
        async for result in results:
            if result.index == 9:
                break

    assert other_tasks() == set()
    assert results.report.stopped == "cancelled"
    assert not results.report.ok
    assert_honest(rig, results.report, records)


@simulated
async def test_results_that_nobody_took_can_be_read_after_the_block() -> None:
    rig = storing()

    async with rig.run(students(50)) as results:
        await asyncio.sleep(4.5)
    left = [result.index async for result in results]

    assert sorted(left) == list(range(results.report.submitted))
    assert len(left) >= 4


@simulated
async def test_an_exception_in_the_block_passes() -> None:
    rig = storing()
    bulk = rig.run(students(50))

    with pytest.raises(KeyError, match="mine"):
        await _raise_within(bulk, after=2.5)

    assert other_tasks() == set()
    assert bulk.report.saved >= 4
    assert_honest(rig, bulk.report, students(50))


@simulated
async def test_an_exception_in_the_block_wins_over_the_end_of_the_run() -> None:
    rig = storing()
    rig.server.token_answer = refusal(401)

    bulk = rig.run(students(50))

    with pytest.raises(KeyError, match="mine"):
        await _raise_within(bulk, after=60)

    assert bulk.report.not_sent == 4


async def _raise_within(bulk: Bulk, after: float) -> None:
    async with bulk:
        await asyncio.sleep(after)
        raise KeyError("mine")


@simulated
async def test_records_handed_over_while_the_run_is_cancelled_keep_their_ids() -> None:
    rig = storing()
    rig.server.seconds = 0
    named: list[str] = []
    for turns in range(2, 40):
        async with rig.run(Source(students(50)).stream()) as results:
            await steps(turns)
        named += [failure.sourced_id for failure in results.report.failures]

    assert named
    assert "" not in named


@simulated
async def test_a_refused_record_keeps_its_reason_when_the_run_is_cancelled() -> None:
    rig = storing()
    rig.server.answers["s-0"] = [refusal(500, Retry_After="100")]
    bulk = rig.run(students(1))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bulk, 50)

    assert counts(bulk.report) == {FAILED: 1}
    assert isinstance(bulk.report.failures[0].error, ServerError)


@simulated
async def test_a_cancelled_run_says_so_though_failures_would_stop_it() -> None:
    rig = storing()
    bulk = rig.run(students(50), stop_after_failures=4)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bulk, 1.5)

    assert counts(bulk.report) == {UNKNOWN: 4}
    assert bulk.report.stopped == "cancelled"


@simulated
async def test_a_record_read_while_there_is_no_place_for_it_is_not_lost() -> None:
    rig = storing()
    rig.server.seconds = 2
    rig.server.answers["s-0"] = [refusal(429, Retry_After="1")]
    source = Source(students(50))
    bulk = rig.run(source.stream(2.6), in_flight=1)

    with pytest.raises(TimeoutError):  # s-1 is read at 9.2 s, s-0 is sent again from 7.6 to 9.6 s
        await asyncio.wait_for(bulk, 9.4)

    assert bulk.report.submitted == source.reads == 2
    assert counts(bulk.report) == {UNKNOWN: 1, NOT_SENT: 1}


@both_sources
@both_forms
@pytest.mark.parametrize("faulty", [False, True], ids=["smooth", "faulty"])
def test_a_cancelled_run_is_honest_at_every_step(
    is_streamed: bool, is_async: bool, faulty: bool
) -> None:
    """Cancel after 1, 2, 3, … turns of the event loop, until a run is through before that."""
    records = students(12)

    async def cancelled_after(turns: int) -> bool:
        rig = storing(retry=RetryPolicy(initial=0, throttle_initial=0))
        rig.server.seconds = 0
        if faulty:
            faults = [[DROPPED], [LOST], [refusal(503), LOST], [refusal(429)], [refusal(400)]]
            rig.server.answers = {f"s-{n}": list(f) for n, f in enumerate(faults)}
        source = Source(records)
        bulk = rig.run(source.open(is_async), in_flight=3)
        running = asyncio.create_task(finish(bulk, is_streamed))
        await steps(1 + turns)
        is_over = running.done()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await rig.tokens.aclose()
        assert other_tasks() == set()
        assert bulk.report.submitted == source.reads
        assert_honest(rig, bulk.report, records)
        return is_over

    turns = 0
    while not run_simulated(cancelled_after(turns)):
        turns += 1
    assert turns > 15


any_faults = st.sampled_from(
    [*[refusal(status) for status in (400, 401, 403, 500, 502, 503)], DROPPED, LOST, UNREACHABLE]
    + [refusal(status, Retry_After="1.5") for status in (429, 503)]
    + [Answer(seconds=seconds) for seconds in (0, 0.5, 5)]
)


@given(
    quarters=st.integers(0, 60),
    turns=st.integers(0, 8),
    answers=st.dictionaries(st.sampled_from([f"s-{n}" for n in range(12)]), st.lists(any_faults)),
    in_flight=st.integers(1, 4),
    is_streamed=st.booleans(),
    pace=paces,
)
@settings(max_examples=amount(100, long=300), deadline=None)
@simulated
async def test_a_cancelled_run_is_honest_at_any_moment(
    quarters: int,
    turns: int,
    answers: dict[str, list[Answer]],
    in_flight: int,
    is_streamed: bool,
    pace: float | None,
) -> None:
    rig = storing()
    rig.server.answers = {own: list(script) for own, script in answers.items()}
    records = students(30)
    source = Source(records)
    bulk = rig.run(source if pace is None else source.stream(pace), in_flight=in_flight)
    running = asyncio.create_task(finish(bulk, is_streamed))

    await asyncio.sleep(quarters / 4 + 0.1 * bool(turns % 2))
    await steps(turns)
    running.cancel()
    with suppress(asyncio.CancelledError, AuthError):
        await running
    await rig.tokens.aclose()

    assert bulk.report.submitted == source.reads
    assert rig.server.peak <= in_flight
    assert_honest(rig, bulk.report, records)


class Swallowing(StoringServer):
    """A transport that answers although it was cancelled."""

    async def _handle(self, method: str, parts: list[str], body: bytes | None) -> Response:
        try:
            return await super()._handle(method, parts, body)
        except asyncio.CancelledError:
            return await super()._handle(method, parts, body)


@both_sources
@pytest.mark.parametrize(("in_flight", "seconds"), [(1, 3.6), (1, 2.5), (3, 2.25), (4, 2.25)])
@simulated
async def test_a_cancellation_that_the_transport_swallows_ends_the_run_all_the_same(
    in_flight: int, seconds: float, is_async: bool
) -> None:
    rig = Rig(Swallowing(), max_in_flight=4)
    # With one in flight, it is due again at 3.1 s at the latest, and waits for the slot until 4 s.
    rig.server.answers["s-0"] = [refusal(429, Retry_After="1")] * 2
    source = Source(students(50))

    bulk = rig.run(source.open(is_async), in_flight=in_flight)
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(seconds)
    before = source.reads
    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()
    assert source.reads <= before + 1
    assert bulk.report.submitted == source.reads
    assert bulk.report.saved == len(rig.server.saved)


@simulated
async def test_a_second_cancellation_leaves_no_task_either() -> None:
    rig = storing()
    records = students(50)

    async def consume() -> None:
        async with rig.run(records) as results:
            async for _ in results:
                pass

    for turns in range(8):
        running = asyncio.create_task(consume())
        await asyncio.sleep(3.2)
        running.cancel()
        await steps(turns)
        running.cancel()
        await asyncio.wait([running])

        assert other_tasks() == set(), turns


async def _within_asyncio(bulk: Bulk, is_streamed: bool) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(5.2):
            await finish(bulk, is_streamed)


async def _within_move_on(bulk: Bulk, is_streamed: bool) -> None:
    with anyio.move_on_after(5.2) as scope:
        await finish(bulk, is_streamed)
    assert scope.cancelled_caught


async def _within_fail(bulk: Bulk, is_streamed: bool) -> None:
    with pytest.raises(TimeoutError):
        with anyio.fail_after(5.2):
            await finish(bulk, is_streamed)


async def _within_group(bulk: Bulk, is_streamed: bool) -> None:
    with suppress(BaseExceptionGroup):
        async with anyio.create_task_group() as group:
            group.start_soon(finish, bulk, is_streamed)
            await asyncio.sleep(5.2)
            raise KeyError


@pytest.mark.parametrize("within", [_within_asyncio, _within_move_on, _within_fail, _within_group])
@both_forms
@simulated
async def test_a_time_limit_around_a_run_ends_it_at_once(
    within: Callable[[Bulk, bool], Any], is_streamed: bool
) -> None:
    rig = storing()
    records = students(50)
    rig.server.answers = {"s-3": [refusal(429, Retry_After="1")] * 9, "s-9": [STUCK]}
    bulk = rig.run(records)
    loop = asyncio.get_running_loop()
    started = loop.time()

    await within(bulk, is_streamed)

    assert loop.time() - started == pytest.approx(5.2)
    assert other_tasks() == set()
    assert bulk.report.unknown >= 1
    assert_honest(rig, bulk.report, records)
