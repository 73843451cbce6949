"""Whoever waits may go at any moment: every record read has its result, and nothing is left."""

import asyncio
import random
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from contextvars import Context
from itertools import islice
from typing import Any, TypeVarTuple

import anyio
import pytest

from tests.support.amounts import amount
from tests.support.case import Case, case, private_student, private_students
from tests.support.clock import SimulatedLoop
from tests.support.figures import figure
from tests.support.proxy import FAIR, Weather
from tests.support.records import link, student, user
from tests.support.rig import Rig
from tests.support.source import Source
from tests.support.storing import LOST, StoringServer, parsed, refusal
from tests.support.tasks import other_tasks, until
from timeback_async import Outcome, Report, Response, Student
from timeback_async._bulk.run import Bulk
from timeback_async.errors import SourceError, TimebackError
from timeback_async.testing import Faults

Ts = TypeVarTuple("Ts")
Run = Callable[[], Coroutine[Any, Any, None]]

# -- cancelled at every step

RECORDS = [
    *(student(f"s-{n}") for n in range(5)),
    user("u-0"),
    link("s-1", "u-0"),
    student("s-5"),
]
IDS = [getattr(record, "sourced_id", "") or getattr(record, "agent_id", "") for record in RECORDS]


class SteppingLoop(SimulatedLoop):
    """Does something before its `at`th callback from now."""

    def __init__(self) -> None:
        self.at = 0
        self.do: Callable[[], object] = int
        super().__init__()

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon(self._step, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._step, callback, *args, context=context)

    def _step(self, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        self.at -= 1
        if self.at == 0:
            self.do()
        callback(*args)


class Observed(Rig[StoringServer]):
    """A run of `RECORDS` with a retry, a lost answer, a renewal, a refusal and a link in it.

    Attributes:
        answered: The status of the last answer to what was sent, by id; 0 for none.
    """

    def __init__(self) -> None:
        super().__init__(StoringServer(), max_in_flight=4)
        random.seed(0)
        self.answered: dict[str, int] = {}
        self.server.answers = {
            "s-0": [refusal(503)],
            "s-1": [LOST],
            "s-2": [refusal(401)],
            "s-3": [refusal(400)],
        }
        server: Any = self.server
        self._handle, server._handle = server._handle, self._observed

    async def _observed(self, method: str, parts: list[str], body: bytes | None) -> Response:
        own, _ = parsed(parts, body)
        self.answered[own] = 0
        response: Response = await self._handle(method, parts, body)
        self.answered[own] = response.status
        return response

    def check(self, report: Report, reads: int) -> None:
        assert report.submitted == reads == sum(report.counts.values())
        others = {failure.index: failure.outcome for failure in report.failures}
        for index, own in enumerate(IDS):
            found = others.get(index, Outcome.SAVED) if index < reads else Outcome.NOT_SENT
            assert found is self._true_outcome(own), own
            if found is not Outcome.UNKNOWN:
                assert (own in self.server.saved) is (found is Outcome.SAVED), own
        assert self.pool.statistics().in_flight == self.pool.statistics().waiting == 0

    def _true_outcome(self, own: str) -> Outcome:
        match self.answered.get(own):
            case None | 401:
                return Outcome.NOT_SENT
            case 0:
                return Outcome.UNKNOWN
            case status:
                return Outcome.SAVED if status < 300 else Outcome.FAILED


async def end(bulk: Bulk, is_streamed: bool) -> None:
    if not is_streamed:
        await bulk
        return
    async with bulk:
        async for _ in bulk:
            pass


async def cancelled_before(step: int, is_streamed: bool, is_async: bool) -> bool:
    """Cancel a run before its `step`th callback; return whether it had ended by then."""
    loop: Any = asyncio.get_running_loop()
    rig, source = Observed(), Source(RECORDS)
    bulk = rig.run(source.open(is_async), in_flight=3)
    running = asyncio.create_task(end(bulk, is_streamed))
    await asyncio.sleep(0)
    loop.at, loop.do = step, running.cancel
    await asyncio.wait([running])
    is_over = not running.cancelled()
    loop.at = 0
    await rig.tokens.aclose()
    assert other_tasks() == set()
    rig.check(bulk.report, source.reads)
    return is_over


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["await", "iterate"])
def test_a_run_cancelled_at_any_await_tells_the_truth(is_streamed: bool, is_async: bool) -> None:
    step = 1
    with asyncio.Runner(loop_factory=SteppingLoop) as runner:
        while not runner.run(cancelled_before(step, is_streamed, is_async)):
            step += 1

    assert step > 80
    form = f"{'iterated' if is_streamed else 'awaited'}, {'async' if is_async else 'sync'} source"
    figure(f"cancelled at every await, {form}: cancellation points", step - 1)


@pytest.mark.parametrize("ordered", [False, True])
def test_a_block_left_after_any_result_tells_the_truth(ordered: bool) -> None:
    async def left_after(number: int) -> None:
        rig, source = Observed(), Source(RECORDS)
        async with rig.run(source, in_flight=3, ordered=ordered) as results:
            for _ in range(number):
                await anext(results)
        await rig.tokens.aclose()
        assert other_tasks() == set()
        rig.check(results.report, source.reads)

    with asyncio.Runner(loop_factory=SteppingLoop) as runner:
        for number in range(len(RECORDS) + 1):
            runner.run(left_after(number))


# -- single calls


async def test_cancelled_calls_leave_no_other_stuck() -> None:
    rng, number = random.Random(20), amount(1_600, long=8_000)
    cancelled: list[asyncio.Task[Any]] = []
    async with case(counts_match=False) as it:
        records = list(it.noted(private_students(number)))
        calls = [asyncio.create_task(it.session.upsert_student(each)) for each in records]
        still = list(calls)

        def one_more(served: asyncio.Task[Any]) -> None:
            """Cancel a call for each one served: one of those in flight, or any."""
            while still and not served.cancelled():
                at = rng.randrange(min(len(still), 64 if rng.random() < 0.2 else len(still)))
                victim = still.pop(at)
                if victim.cancel():
                    cancelled.append(victim)
                    return

        for call in calls:
            call.add_done_callback(one_more)
        await asyncio.sleep(0)
        cancelled.append(still.pop(0))
        cancelled[0].cancel()  # it has begun to fetch the token that all wait for
        async with asyncio.timeout(30):
            await asyncio.wait(calls)

        assert all(call.cancelled() for call in cancelled)
        served = [own.sourced_id for own, call in zip(records, calls, strict=True) if _ok(call)]
        assert len(served) == len(calls) - len(cancelled)
        assert len(cancelled) > 0.48 * number
        assert set(served) <= it.server.students.keys()
        assert _is_idle(it)
        assert it.server.requests <= it.watch.attempts
    figure(f"{number:,} calls, half of them cancelled at random moments: stuck", 0)


def _is_idle(it: Case) -> bool:
    statistics = it.session.statistics()
    return statistics.in_flight == statistics.waiting == 0


def _ok(call: asyncio.Task[Any]) -> bool:
    return not call.cancelled() and call.exception() is None


# -- a time limit of the caller's

LIMIT = 0.1


async def by_asyncio(run: Run) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LIMIT):
            await run()


async def by_move_on(run: Run) -> None:
    with anyio.move_on_after(LIMIT):
        await run()


async def by_fail(run: Run) -> None:
    with suppress(TimeoutError), anyio.fail_after(LIMIT):
        await run()


async def by_group(run: Run) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await asyncio.sleep(LIMIT)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("limited", [by_asyncio, by_move_on, by_fail, by_group])
@pytest.mark.parametrize("has_token", [False, True], ids=["no-token", "no-answer"])
async def test_a_time_limit_ends_a_run_that_gets_no_answer(
    has_token: bool, limited: Callable[[Run], Awaitable[None]]
) -> None:
    loop: Any = asyncio.get_running_loop()
    async with case(weather=FAIR, counts_match=False, keepalive=0.001) as it:
        if has_token:
            await it.upsert([private_student("first")])
            await asyncio.sleep(0.01)
        assert it.proxy is not None
        it.proxy.weather = lambda _: Weather(before="silence")
        bulk = it.session.upsert_many(it.noted(private_students(500)))
        started = time.monotonic()

        await limited(lambda: end(bulk, is_streamed=True))
        late = time.monotonic() - started - LIMIT
        before = time.process_time()
        await asyncio.sleep(0.2)
        busy = (time.process_time() - before) / 0.2

        assert 0 <= late < 1
        assert busy < 0.2
        assert not loop._ready
        it.reports.append(bulk.report)
        assert bulk.report.stopped == "cancelled"
        assert bulk.report.submitted == it.session.config.max_in_flight
        assert bulk.report.unknown == bulk.report.attempts == it.watch.attempts - len(it.results)
        assert bulk.report.unknown + bulk.report.not_sent == bulk.report.submitted
        assert (bulk.report.unknown > 0) is has_token
    kind = f"{limited.__name__.removeprefix('by_')}, {'no answer' if has_token else 'no token'}"
    figure(f"time limit ({kind}): seconds late; CPU afterwards", f"{late:.3f}; {busy:.1%}")


# -- a consumer that stops reading


@pytest.mark.parametrize(("ordered", "held"), [(False, 8), (True, 32)])
async def test_who_stops_reading_stops_the_sending(ordered: bool, held: int) -> None:
    async with case() as it:
        source = Source(it.noted(private_students(500)))
        bulk: Any = it.session.upsert_many(source, in_flight=8, ordered=ordered)
        async with bulk:
            it.results += [await anext(bulk) for _ in range(3)]
            await until(lambda: bulk._delivery.is_full and _is_idle(it))
            sent = it.watch.attempts
            tracemalloc.start()
            await asyncio.sleep(0.1)
            grown = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()

            assert sent == it.watch.attempts == source.reads <= 3 + held + 8
            assert _is_idle(it)
            assert grown < 2**18
            it.results += [result async for result in bulk]
        it.reports.append(bulk.report)

        assert sorted(result.index for result in it.results) == list(range(500))
        assert bulk.report.saved == 500
    order = "in order" if ordered else "as they come"
    figure(f"results unread, {order}: records sent beyond those read", sent - 3)


# -- sources

Stream = Callable[[Iterator[Student], BaseException | None], Any]


def raising(records: Iterator[Student], error: BaseException | None) -> object:
    return iter(Source(records, error))


async def async_raising(records: Iterator[Student], error: BaseException | None) -> Any:
    for record in records:
        yield record
    if error is not None:
        raise error


def slow(records: Iterator[Student], error: BaseException | None) -> AsyncIterator[object]:
    return Source(records, error).stream(seconds=0.001)


async def collect(it: Case, bulk: Bulk) -> Report:
    try:
        async with bulk:
            async for result in bulk:
                it.results.append(result)
    except TimebackError as error:
        it.errors.append(error)
    it.reports.append(bulk.report)
    assert sorted(result.index for result in it.results) == list(range(bulk.report.submitted))
    return bulk.report


@pytest.mark.parametrize("error", [None, ValueError("mine"), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("stream", [raising, async_raising, slow])
async def test_what_a_source_gave_is_finished_whatever_becomes_of_it(
    stream: Stream, error: BaseException | None
) -> None:
    async with case(faults=Faults(latency=0.005)) as it:
        source = stream(it.noted(private_students(100)), error)

        report = await collect(it, it.session.upsert_many(source))

        assert report.saved == report.submitted == len(it.server.students) == 100
        assert [type(raised) for raised in it.errors] == [SourceError] * (error is not None)
        for raised in it.errors:
            assert isinstance(raised, SourceError)
            assert raised.report is report
            assert raised.__cause__ is error


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="CPython loses count of its recursion by such an interrupt"
)
def test_ctrl_c_within_a_source_ends_the_program_and_leaves_a_report() -> None:
    bulks: list[Bulk] = []
    rig_of: list[Observed] = []
    source = Source(islice(RECORDS, 4), KeyboardInterrupt())

    async def main() -> None:
        rig_of.append(Observed())
        bulks.append(rig_of[0].run(source, in_flight=3))
        await bulks[0]

    with (
        pytest.raises(KeyboardInterrupt),
        asyncio.Runner(loop_factory=SteppingLoop) as runner,
    ):
        runner.run(main())

    rig_of[0].check(bulks[0].report, source.reads)
