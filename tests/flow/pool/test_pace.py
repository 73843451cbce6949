"""How fast the pool sends: Retry-After, the gate, the rate and the window."""

import asyncio

import pytest

from tests.support.clock import now, simulated
from tests.support.rig import scripted
from tests.support.scripted import After, answer, grant
from timeback_async.errors import RateLimitError


@pytest.mark.parametrize("status", [429, 503])
@simulated
async def test_a_retry_after_is_waited_out_and_a_tenth_more_at_most(status: int) -> None:
    rig = scripted(answer(status, Retry_After="10"), answer(), max_in_flight=100)

    await rig.settle(*(rig.send() for _ in range(100)))

    assert all(10 <= at <= 11 for at in rig.times[100:])


@simulated
async def test_a_long_retry_after_stops_everybody() -> None:
    rig = scripted(answer(429, Retry_After="2"), answer())
    throttled = rig.start("a")
    await asyncio.sleep(1)
    assert rig.pool.statistics().gate == 1.0

    await rig.settle(rig.send("b"), rig.send("c"), throttled)

    assert rig.names == "abca"
    assert rig.times[1:3] == [2.0, 2.0]
    assert rig.pool.statistics().gate == 0.0


@simulated
async def test_a_short_retry_after_stops_only_its_own_request() -> None:
    rig = scripted(answer(429, Retry_After="1.9"), answer())
    throttled = rig.start("a")
    await asyncio.sleep(1)

    await rig.settle(rig.send("b"), throttled)

    assert rig.names == "aba"
    assert rig.times[1] == 1.0
    assert rig.times[2] >= 1.9


@simulated
async def test_a_retry_after_longer_than_our_patience_ends_the_call() -> None:
    rig = scripted(answer(429, Retry_After="301"))

    with pytest.raises(RateLimitError) as caught:
        await rig.send()

    assert (caught.value.retry_after, len(rig.server.sent)) == (301, 1)


@pytest.mark.parametrize("seconds", ["301", "86400", "9" * 400])
@simulated
async def test_the_gate_is_never_shut_for_longer_than_our_patience(seconds: str) -> None:
    rig = scripted(answer(429, Retry_After=seconds), answer(), deadline=400.0)
    with pytest.raises(RateLimitError):
        await rig.send()

    assert rig.pool.statistics().gate <= 300
    await rig.send()

    assert rig.times[-1] <= 300


@simulated
async def test_a_closed_gate_does_not_hold_up_the_renewal_of_a_token() -> None:
    rig = scripted(answer(), answer(401), answer(), grants=[grant("a"), After(5, grant("b"))])
    await rig.send()
    rejected = rig.start()
    await asyncio.sleep(1)
    rig.pool._window.throttled(100.0, now())

    await rejected

    assert [request.at - rig.started for request in rig.server.asked] == [0, 0]


@simulated
async def test_requests_are_spaced_by_the_rate() -> None:
    rig = scripted(max_rate=10.0)

    await rig.settle(*(rig.send() for _ in range(31)))

    assert rig.times == pytest.approx([max(0.0, n / 10 - 0.05) for n in range(31)])


@simulated
async def test_no_more_than_so_many_are_in_flight() -> None:
    rig = scripted(latency=1.0, max_in_flight=4)
    calls = [rig.start() for _ in range(40)]
    await asyncio.sleep(0.5)
    statistics = rig.pool.statistics()

    await rig.settle(*calls)

    assert (statistics.in_flight, statistics.window, statistics.waiting) == (4, 4, 36)
    assert rig.server.peak == 4
    assert now() - rig.started == 10


@simulated
async def test_a_call_that_waits_between_attempts_holds_no_slot() -> None:
    rig = scripted(answer(503), answer(), max_in_flight=1)
    waits: list[tuple[float, int]] = []

    async def pause(delay: float) -> None:
        waits.append((delay, rig.pool.statistics().in_flight))

    await rig.pool.send(rig.call(), pause)

    ((delay, in_flight),) = waits
    assert 0 < delay <= 0.25
    assert in_flight == 0
