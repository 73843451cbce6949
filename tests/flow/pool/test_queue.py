"""Who is next: what has begun before what is new, and who was cancelled not at all."""

import asyncio
import random
import statistics

import pytest

from tests.support.clock import now, simulated
from tests.support.rig import Rig, scripted
from tests.support.scripted import (
    AT_ONCE,
    DISCONNECT,
    NO_ANSWER,
    REFUSED,
    After,
    Outcome,
    ScriptedServer,
    answer,
    grant,
)
from timeback_async import Response
from timeback_async._flow.call import Call
from timeback_async._statistics import WindowMode


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
    now_ = rig.pool.statistics()
    assert (now_.in_flight, now_.waiting) == (0, 0)
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


# -- single calls go before records


def record(name: str, rig: Rig[ScriptedServer]) -> asyncio.Task[Response]:
    return asyncio.create_task(rig.pool.send(Call(rig.call(name).request, 300.0)))


@simulated
async def test_a_single_call_goes_before_records_in_the_line_for_a_slot() -> None:
    rig = scripted(answer(503), answer(), latency=1.0, max_in_flight=1, retry=AT_ONCE)
    records = [record(name, rig) for name in "abc"]
    await asyncio.sleep(0.5)

    await rig.settle(rig.send("x"), rig.send("y"), *records)

    assert rig.names == "axyabc"


@simulated
async def test_beside_a_bulk_run_a_single_call_waits_for_one_turn_of_the_rate() -> None:
    rig = scripted(latency=0.05, max_rate=40.0)
    records = [record("r", rig) for _ in range(2000)]
    waits = []
    for number in range(100):
        await asyncio.sleep(0.3 + number / 997)
        made = now()
        await rig.send("x")
        sent_at = max(sent.at for sent in rig.server.sent if sent.name == "x")
        waits.append(sent_at - made)

    assert len(rig.server.sent) > 1000
    assert statistics.median(waits) <= 1.5 / 40
    for task in records:
        task.cancel()
    await asyncio.wait(records)


@simulated
async def test_a_single_call_goes_before_records_when_the_gate_opens() -> None:
    rig = scripted(answer(429, Retry_After="10"), answer(), latency=0.1, max_in_flight=1)
    records = [record(name, rig) for name in "abc"]
    await asyncio.sleep(1)

    await rig.settle(rig.send("x"), *records)

    assert rig.names[:2] == "ax"


@simulated
async def test_a_single_call_goes_before_records_when_the_token_comes() -> None:
    rig = scripted(grants=[After(5, grant())], latency=1.0, max_in_flight=1)
    records = [record(name, rig) for name in "abc"]
    await asyncio.sleep(1)

    await rig.settle(rig.send("x"), *records)

    assert rig.names.index("x") <= 1


@simulated
async def test_a_single_call_is_the_probe_while_nothing_comes_through() -> None:
    rig = scripted(REFUSED, adaptive=True, latency=0.01)
    records = [record("r", rig) for _ in range(64)]
    await asyncio.sleep(10)
    assert rig.pool.statistics().mode is WindowMode.DRY
    before = len(rig.server.sent)
    rig.server.script = [answer()]

    await rig.send("x")

    assert rig.server.sent[before].name == "x"
    await rig.settle(*records)
