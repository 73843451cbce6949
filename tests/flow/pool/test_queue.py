"""Who is next: what has begun before what is new, and who was cancelled not at all."""

import asyncio
import random

import pytest

from tests.support.clock import simulated
from tests.support.rig import scripted
from tests.support.scripted import AT_ONCE, DISCONNECT, NO_ANSWER, After, Outcome, answer


@simulated
async def test_waiting_calls_are_sent_in_the_order_they_came() -> None:
    rig = scripted(latency=1.0, max_in_flight=1)

    await rig.settle(*(rig.send(name) for name in "abcdef"))

    assert rig.names == "abcdef"


@simulated
async def test_what_has_begun_goes_before_what_is_new() -> None:
    rig = scripted(answer(503), answer(), latency=1.0, max_in_flight=1, retry=AT_ONCE)

    await rig.settle(*(rig.send(name) for name in "abcd"))

    assert rig.names == "abacd"


@simulated
async def test_retries_are_sent_in_the_order_they_fell_due() -> None:
    rig = scripted(answer(503), answer(503), After(10, answer()), answer(), max_in_flight=1)

    async def pause_a(_: float) -> None:
        await asyncio.sleep(3)

    async def pause_b(_: float) -> None:
        await asyncio.sleep(4)

    await rig.settle(
        rig.pool.send(rig.call("a"), pause_a),
        rig.pool.send(rig.call("b"), pause_b),
        rig.send("c"),
        rig.send("d"),
    )

    assert rig.names == "abcabd"


@pytest.mark.parametrize("seed", range(20))
@simulated
async def test_a_cancelled_call_loses_no_slot_and_leaves_nobody_behind(seed: int) -> None:
    rng = random.Random(seed)
    outcomes: list[Outcome] = [
        answer(),
        answer(),
        answer(503),
        answer(429),
        DISCONNECT,
        NO_ANSWER,
        answer(401),
    ]
    # Instants on a coarse grid, so that cancellation and admission often coincide.
    script = [After(rng.randint(0, 4) / 4, rng.choice(outcomes)) for _ in range(2000)]
    rig = scripted(*script, max_in_flight=3, deadline=1e6, retry=AT_ONCE)
    calls, cancelled = [], []
    for _ in range(200):
        calls.append(rig.start())
        if rng.random() < 0.3:
            await asyncio.sleep(rng.randint(0, 2) / 4)
        if rng.random() < 0.5:
            victim = rng.choice(calls)
            cancelled += [victim] * victim.cancel()

    await asyncio.wait(calls)

    assert all(call.cancelled() for call in cancelled)
    assert not any(call.cancelled() for call in set(calls) - set(cancelled))
    statistics = rig.pool.statistics()
    assert (statistics.in_flight, statistics.waiting) == (0, 0)
    assert rig.server.peak <= 3


@simulated
async def test_a_cancelled_call_waits_no_longer() -> None:
    rig = scripted(latency=10.0, max_in_flight=1)
    first, second, third = (rig.start(name) for name in "abc")
    await asyncio.sleep(1)
    second.cancel()
    await asyncio.sleep(1)

    assert rig.pool.statistics().waiting == 1
    await rig.settle(first, second, third)

    assert rig.names == "ac"


@pytest.mark.parametrize("passes", range(6))
@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "abandoned"])
@simulated
async def test_a_slot_given_to_a_call_that_ends_just_then_goes_to_the_next(
    is_cancelled: bool, passes: int
) -> None:
    rig = scripted(latency=1.0, max_in_flight=1)
    call = rig.call("b")
    first, second = rig.start("a"), asyncio.create_task(rig.pool.send(call))
    third = rig.start("c")
    await asyncio.sleep(1)  # the first is answered at this instant
    for _ in range(passes):
        await asyncio.sleep(0)
    if is_cancelled:
        second.cancel()
    else:
        call.abandon()

    await rig.settle(first, second, third)

    assert rig.names in ("ac", "abc")
    assert (await third).status == 204
    assert (rig.pool.statistics().in_flight, rig.server.peak) == (0, 1)
