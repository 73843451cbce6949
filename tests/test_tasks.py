import asyncio

import pytest

from tests.support.clock import simulated
from timeback_async._tasks import to_its_end


@simulated
async def test_every_task_has_ended_whatever_it_ends_with() -> None:
    async def fail() -> None:
        raise OSError

    tasks = [asyncio.create_task(asyncio.sleep(9)), asyncio.create_task(fail())]

    await to_its_end(*tasks)

    assert all(task.done() for task in tasks)
    assert isinstance(tasks[1].exception(), OSError)


@simulated
async def test_whoever_is_cancelled_meanwhile_leaves_only_after_the_end() -> None:
    task = asyncio.create_task(asyncio.sleep(9))
    waiting = asyncio.create_task(to_its_end(task))

    for _ in range(2):
        await asyncio.sleep(1)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert task.done()
    assert not task.cancelled()
