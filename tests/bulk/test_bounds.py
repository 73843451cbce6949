"""How much is read, sent and held at once."""

import asyncio
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

import pytest

from tests.support.bulk import both_forms, both_sources, finish
from tests.support.clock import simulated
from tests.support.records import link, student, students
from tests.support.rig import storing
from tests.support.source import Source
from tests.support.storing import STUCK, refusal


@both_sources
@both_forms
@simulated
async def test_a_stuck_server_leaves_the_source_unread(is_streamed: bool, is_async: bool) -> None:
    rig = storing()
    rig.server.default = STUCK
    source = Source(students(100))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(20):
            await finish(rig.run(source.open(is_async)), is_streamed)

    assert source.reads == rig.server.peak == 4


@simulated
async def test_a_run_may_use_fewer_slots_than_the_session_has() -> None:
    rig = storing(max_in_flight=4)

    await rig.run(students(20), in_flight=2)

    assert rig.server.peak == 2


@simulated
async def test_retries_count_among_the_records_at_once() -> None:
    rig = storing(max_in_flight=64)
    rig.server.answers = {f"s-{n}": [refusal(503)] for n in range(40)}
    rig.server.seconds = 10

    await rig.run(students(40), in_flight=2)

    assert rig.server.peak == 2


@pytest.mark.parametrize(("ordered", "held"), [(False, 4), (True, 16)])
@simulated
async def test_a_consumer_that_stops_stops_the_sending(ordered: bool, held: int) -> None:
    rig = storing()
    source = Source(students(100))

    async with rig.run(source, ordered=ordered) as results:
        await anext(results)
        await asyncio.sleep(1000)

        assert len(rig.server.seen) <= 1 + held + 4
        assert source.reads == len(rig.server.seen)


@pytest.mark.parametrize("ordered", [False, True])
@simulated
async def test_a_slow_consumer_gets_everything(ordered: bool) -> None:
    rig = storing()
    taken = []

    async with rig.run(students(50), ordered=ordered) as results:
        async for result in results:
            taken.append(result.index)
            assert len(rig.server.seen) <= len(taken) + (20 if ordered else 8)
            await asyncio.sleep(7)

    assert sorted(taken) == list(range(50))


@simulated
async def test_the_buffer_for_ordered_results_is_bounded() -> None:
    rig = storing()
    rig.server.answers["s-0"] = [STUCK]
    source = Source(students(100))

    async with rig.run(source, ordered=True):
        await asyncio.sleep(29)

        assert source.reads <= 16 + 4


class Record(dict[str, Any]):
    """A record in wire form that can be watched."""

    def __init__(self, sourced_id: str) -> None:
        org = {"sourcedId": "org-1", "type": "org"}
        names = {"username": "ada", "givenName": "Ada", "familyName": "Byron"}
        super().__init__(student={"sourcedId": sourced_id, "grades": [], "primaryOrg": org} | names)

    __hash__ = object.__hash__  # type: ignore[assignment]


@both_sources
@simulated
async def test_records_are_let_go_once_they_are_encoded(is_async: bool) -> None:
    rig = storing()
    alive: WeakSet[Record] = WeakSet()
    most = 0

    def watched() -> Iterator[Record]:
        nonlocal most
        for number in range(200):
            record = Record(f"s-{number}")
            alive.add(record)
            most = max(most, len(alive))
            yield record

    report = await rig.run(Source(watched()).open(is_async))

    assert report.saved == 200
    assert most <= 8


@simulated
async def test_waiting_records_do_not_let_the_run_read_without_end() -> None:
    rig = storing()
    rig.server.answers["s-1"] = [STUCK]
    source = Source([student("s-1"), *(link("s-1", f"u-{n}") for n in range(100))])

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rig.run(source), 20)

    assert source.reads <= 4 * 4


@both_sources
@both_forms
@simulated
async def test_a_run_that_never_waits_leaves_turns_to_others(
    is_streamed: bool, is_async: bool
) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    source = Source(student(f"s-{n}") for n in range(640))
    run = storing().run(source.open(is_async), dry_run=True, in_flight=1)
    await finish(run, is_streamed)
    task.cancel()
    await asyncio.wait([task])

    assert turns >= 9
