"""What a run refuses, or warns of."""

import asyncio
import gc
import warnings
from typing import Any

import pytest

from tests.support.bulk import awaited
from tests.support.clock import simulated
from tests.support.records import student, students
from tests.support.rig import storing
from timeback_async import TimebackSession
from timeback_async._bulk.run import Bulk
from timeback_async.errors import ConfigError, SessionError


@simulated
async def test_a_run_is_used_once() -> None:
    rig = storing()
    bulk = rig.run(students(3))
    await bulk

    with pytest.raises(SessionError, match="once"):
        await bulk
    with pytest.raises(SessionError, match="once"):
        async with bulk:
            pass
    assert len(rig.server.seen) == 3


@simulated
async def test_entering_a_run_that_is_awaited_does_not_disturb_it() -> None:
    rig = storing()
    bulk = rig.run(students(30))
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(2)

    with pytest.raises(SessionError, match="once"):
        async with bulk:
            pass

    assert (await asyncio.wait_for(running, 1000)).saved == 30


@simulated
async def test_results_are_for_the_block_alone() -> None:
    bulk = storing().run(students(3))

    with pytest.raises(SessionError, match="async with"):
        await anext(bulk)

    assert (await bulk).saved == 3


@simulated
async def test_there_is_no_report_before_the_end() -> None:
    async with storing().run(students(3)) as bulk:
        with pytest.raises(SessionError, match="before its end"):
            _ = bulk.report
        _ = [result async for result in bulk]
        assert bulk.report.saved == 3


@simulated
async def test_a_run_that_nobody_awaits_warns() -> None:
    rig = storing()

    with pytest.warns(RuntimeWarning, match="never awaited"):
        _forget(rig.run(students(3)))

    assert rig.server.seen == []


def _forget(bulk: Bulk) -> None:
    """Drop the only reference."""


@simulated
async def test_a_run_that_could_not_be_made_does_not_warn() -> None:
    rig = storing()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ConfigError):
            rig.run(students(3), in_flight=0)
        gc.collect()

    assert caught == []


@pytest.mark.parametrize("name", ["in_flight", "stop_after_failures"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "4", True])
async def test_a_number_out_of_range_is_a_config_error(
    name: str, value: Any, timeback_session: TimebackSession
) -> None:
    with pytest.raises(ConfigError, match=name):
        timeback_session.upsert_many([], **{name: value})


@pytest.mark.parametrize("records", [student(), {"student": {}}, "s-1", None])
async def test_a_single_record_is_a_type_error(
    records: Any, timeback_session: TimebackSession
) -> None:
    with pytest.raises(TypeError, match="wrap a single record"):
        timeback_session.upsert_many(records)
