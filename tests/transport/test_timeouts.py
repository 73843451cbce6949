import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import now, run_simulated, simulated
from timeback_async._transport.timeouts import Timeouts

Limit = Callable[[float], AbstractAsyncContextManager[object]]


@simulated
async def test_a_block_that_ends_in_time_is_left_alone() -> None:
    timeouts = Timeouts()

    with timeouts.within(1.0):
        await asyncio.sleep(0.9)
    await asyncio.sleep(10)


@pytest.mark.parametrize("seconds", [0.001, 1.0, 30.0, 1e6])
def test_a_block_is_ended_exactly_in_time(seconds: float) -> None:
    async def main() -> float:
        timeouts, begun = Timeouts(), now()
        with pytest.raises(TimeoutError), timeouts.within(seconds):
            await asyncio.sleep(seconds * 2)
        return now() - begun

    assert run_simulated(main()) == pytest.approx(seconds)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_at_all_ends_a_block_at_its_first_wait(seconds: float) -> None:
    async def main() -> float:
        begun = now()
        with pytest.raises(TimeoutError), Timeouts().within(seconds):
            await asyncio.sleep(5)
        return now() - begun

    assert run_simulated(main()) == 0


@simulated
async def test_each_of_many_blocks_has_its_own_time() -> None:
    timeouts, begun = Timeouts(), now()

    async def ends_after(seconds: float) -> float:
        with pytest.raises(TimeoutError), timeouts.within(seconds):
            await asyncio.sleep(100)
        return now() - begun

    limits = [3.0, 1.0, 2.0, 1.0, 0.5, 7.0]  # a nearer one may come later, and the same twice
    assert await asyncio.gather(*map(ends_after, limits)) == pytest.approx(limits)


@simulated
async def test_many_blocks_that_end_in_time_need_one_timer() -> None:
    loop: Any = asyncio.get_running_loop()
    timers: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *args: Any, **kwargs: Any) -> Any:
        timers.append(when)
        return call_at(when, *args, **kwargs)

    loop.call_at = counted
    timeouts = Timeouts()
    for _ in range(1000):
        with timeouts.within(30.0):
            await asyncio.sleep(0)

    assert len(timers) == 1


@simulated
async def test_an_error_of_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError), Timeouts().within(1.0):
        raise KeyError


@simulated
async def test_nothing_is_left_of_timeouts_that_are_closed() -> None:
    loop: Any = asyncio.get_running_loop()
    timeouts = Timeouts()
    timeouts.close()
    with timeouts.within(1.0):
        timeouts.close()
        assert [handle for handle in loop._scheduled if not handle.cancelled()]
    timeouts.close()

    assert not [handle for handle in loop._scheduled if not handle.cancelled()]


@simulated
async def test_what_is_running_when_they_are_closed_still_ends_in_time() -> None:
    timeouts = Timeouts()

    asyncio.get_running_loop().call_later(0.5, timeouts.close)
    with pytest.raises(TimeoutError), timeouts.within(1.0):
        await asyncio.sleep(5)
    with pytest.raises(TimeoutError), timeouts.within(2.0):
        await asyncio.sleep(5)


# -- the same as asyncio's own, whatever happens


@asynccontextmanager
async def of_ours(seconds: float) -> AsyncIterator[None]:
    with Timeouts().within(seconds):
        yield


async def ending(
    limit: Limit, seconds: float, waits: list[float], cancelled_at: float | None, *, stubborn: bool
) -> tuple[str, float, int]:
    """Return how a task ends that waits, may be cancelled, and may swallow a cancellation."""
    begun = now()

    async def work() -> tuple[str, int]:
        task = asyncio.current_task()
        assert task is not None
        try:
            async with limit(seconds):
                for wait in waits:
                    try:
                        await asyncio.sleep(wait)
                    except asyncio.CancelledError:
                        if not stubborn:
                            raise
        except TimeoutError:
            return "timed out", task.cancelling()
        except asyncio.CancelledError:
            return "cancelled", task.cancelling()
        return "done", task.cancelling()

    task = asyncio.create_task(work())
    if cancelled_at is not None:
        asyncio.get_running_loop().call_later(cancelled_at, task.cancel)
    how, cancelling = await task
    return how, now() - begun, cancelling


# Halves and quarters, so that no two things are to happen at the same instant.
instants = st.integers(0, 8).map(float)


@given(
    seconds=instants.map(lambda s: s + 0.5),
    waits=st.lists(instants, max_size=4),
    cancelled_at=st.none() | instants.map(lambda s: s + 0.25),
    stubborn=st.booleans(),
)
def test_a_block_ends_as_it_would_under_asyncio_timeout(
    seconds: float, waits: list[float], cancelled_at: float | None, stubborn: bool
) -> None:
    async def main(limit: Limit) -> tuple[str, float, int]:
        return await ending(limit, seconds, waits, cancelled_at, stubborn=stubborn)

    assert run_simulated(main(of_ours)) == run_simulated(main(asyncio.timeout))
