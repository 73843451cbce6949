"""A run that has ended leaves nothing behind: no task, no reference, no warning of asyncio."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.support.bulk import UNKNOWN, awaited, both_forms, both_sources, collect
from tests.support.clock import simulated
from tests.support.records import link, student, students, user, wire_student
from tests.support.rig import Rig, storing
from tests.support.source import Source
from tests.support.storing import LOST, UNREACHABLE, Answer, StoringServer, refusal
from tests.support.tasks import other_tasks, steps
from timeback_async import ItemResult
from timeback_async._bulk.item import Item
from timeback_async._bulk.run import Bulk
from timeback_async._flow.call import Call
from timeback_async.errors import AuthError, ConnectError, ProtocolError, SourceError


@pytest.fixture(autouse=True)
def young() -> Iterator[None]:
    """Let the collector look at what a test makes, and not at all that was there before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def to_the_end(rig: Rig[StoringServer], bulk: Bulk) -> None:
    await collect(bulk)


async def by_stop(rig: Rig[StoringServer], bulk: Bulk) -> None:
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(3.3)
    bulk.stop()
    await running


async def by_leaving_early(rig: Rig[StoringServer], bulk: Bulk) -> None:
    async with bulk:
        await asyncio.sleep(3.3)


async def by_an_exception(rig: Rig[StoringServer], bulk: Bulk) -> None:
    with suppress(KeyError):
        async with bulk:
            await asyncio.sleep(3.3)
            raise KeyError


async def by_a_cancellation_before_the_first_step(rig: Rig[StoringServer], bulk: Bulk) -> None:
    running = asyncio.create_task(awaited(bulk))
    await steps(1)
    running.cancel()
    await asyncio.wait([running])


async def by_a_failure(rig: Rig[StoringServer], bulk: Bulk) -> None:
    rig.server.token_answer = refusal(401)
    with pytest.raises(AuthError):
        await bulk


async def by_a_source_that_raises(rig: Rig[StoringServer], bulk: Bulk) -> None:
    with pytest.raises(SourceError):
        await rig.run(Source(students(9), ValueError()).stream(0.5))
    await bulk


ENDS = [
    to_the_end,
    by_stop,
    by_leaving_early,
    by_an_exception,
    by_a_cancellation_before_the_first_step,
    by_a_failure,
    by_a_source_that_raises,
]


@pytest.mark.parametrize("end", ENDS)
@both_sources
@simulated
async def test_a_run_that_has_ended_leaves_nothing_behind(
    is_async: bool, end: Callable[[Rig[StoringServer], Bulk], Awaitable[None]]
) -> None:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    rig, earlier = storing(), living()
    # Errors of their own, since those that tests share keep the frames they were raised in.
    rig.server.answers = {
        "s-0": [refusal(503), Answer(error=ProtocolError("cut off"), is_stored=True)],
        "s-1": [Answer(error=ProtocolError("dropped", disconnected=True)), refusal(429)],
        "s-2": [refusal(400)],
        "u-1": [Answer(error=ConnectError("refused")), Answer(seconds=9)],
    }
    records = [user(), *students(9), link("s-2", "u-1"), link("s-3", "u-1"), student("s-3")]
    bulk = rig.run(Source(records).open(is_async))

    await end(rig, bulk)
    finished = weakref.ref(bulk)
    await rig.tokens.aclose()
    del bulk
    gc.collect()
    await steps(3)

    assert other_tasks() == set()
    assert rig.pool.on_close == set()
    assert rig.pool.statistics().in_flight == rig.pool.statistics().waiting == 0
    assert finished() is None
    assert living() == earlier
    assert complaints == []


def living() -> list[Any]:
    """Return the records and calls of all runs that are still referred to."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, Bulk | Item | Call)]


class Watched(dict[str, object]):
    """A record that can be referred to weakly."""


@both_forms
@simulated
async def test_the_failures_of_a_report_keep_no_records_and_no_bodies(is_streamed: bool) -> None:
    rig = storing(max_in_flight=8)
    rig.server.answers = {
        "s-0": [refusal(400)],
        "s-1": [LOST] * 30,
        "s-2": [UNREACHABLE] * 30,
        "s-3": [Answer(body=b"<html>")] * 30,
    }
    alive: list[weakref.ref[Watched]] = []

    def source() -> Iterator[object]:
        for number in range(500):  # the others come through
            changes = {"givenName": None} if number == 5 else {}
            record = Watched(student=wire_student(f"s-{number}", **changes))
            alive.append(weakref.ref(record))
            yield record

    bulk = rig.run(source())
    results: list[ItemResult] = await collect(bulk) if is_streamed else []
    report = bulk.report if is_streamed else await bulk
    gc.collect()

    assert len(report.failures) == 5
    assert [record() for record in alive] == [None] * 500
    for failure in [*report.failures, *results]:
        assert failure.error is None or failure.error.__traceback__ is None


@simulated
async def test_a_cancelled_run_keeps_no_frames_either() -> None:
    rig = storing()
    bulk = rig.run(students(50))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(awaited(bulk), 2.5)

    assert bulk.report.unknown == 4
    for failure in bulk.report.failures:
        assert failure.outcome is UNKNOWN
        assert failure.error is not None
        assert failure.error.__traceback__ is None


@both_sources
@simulated
async def test_records_with_one_id_do_not_keep_each_other_alive(is_async: bool) -> None:
    rig = storing()
    rig.server.saved = {"u-1": {}}
    earlier, alive = len(living()), []

    def records() -> Iterator[object]:
        for number in range(400):
            if number % 100 == 99:
                alive.append(sum(isinstance(each, Item) for each in living()))
            yield link("s-1", "u-1") if number % 3 == 2 else student("s-1")

    report = await rig.run(Source(records()).open(is_async))

    assert report.saved == 400
    assert 0 < max(alive) - earlier <= 4 * 4 + 4
