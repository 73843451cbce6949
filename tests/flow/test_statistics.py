"""What a pool counts."""

import asyncio
import logging

import pytest

from tests.support.clock import now, simulated
from tests.support.rig import scripted
from tests.support.scripted import REFUSED, After, Outcome, Step, answer, grant
from timeback_async import RetryPolicy
from timeback_async._wire.http import READONLY, Request
from timeback_async.errors import ConnectError


@simulated
async def test_statistics_count_what_has_happened() -> None:
    script: list[Outcome] = [answer(), answer(429), answer(503), REFUSED, answer(401), answer()]
    rig = scripted(*script, latency=1.0)
    for _ in range(3):
        await rig.send()

    statistics = rig.pool.statistics()

    assert (statistics.attempts, statistics.retries, statistics.throttled) == (7, 4, 1)
    assert statistics.token_requests == 2
    assert (statistics.in_flight, statistics.waiting, statistics.gate) == (0, 0, 0.0)
    assert statistics.latency.p50 == pytest.approx(1.0, rel=0.02)


AT_ONCE_FOR_LONG = RetryPolicy(attempts=99, initial=0.0)
NEVER = After(1e9, grant())


def down_until(end: float) -> Step:
    """Return a step that refuses every connection for so many seconds."""
    began = now()
    return lambda _: answer() if now() - began >= end else REFUSED


@pytest.mark.parametrize("adaptive", [True, False])
def test_an_outage_is_logged_once_and_its_end_too(
    caplog: pytest.LogCaptureFixture, adaptive: bool
) -> None:
    caplog.set_level(logging.INFO, "timeback_async.pool")

    @simulated
    async def scenario() -> None:
        rig = scripted(down_until(60.0), adaptive=adaptive, retry=RetryPolicy(attempts=99))
        calls = [rig.start(f"{n}") for n in range(8)]
        await asyncio.sleep(30)
        during = rig.pool.statistics()
        await rig.settle(*calls)
        await asyncio.sleep(2)

        assert during.down_for == pytest.approx(30)
        assert isinstance(during.failure, ConnectError)
        after = rig.pool.statistics()
        assert (after.down_for, after.failure) == (0.0, None)

    scenario()

    told = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert [level for level, _ in told] == ["WARNING", "INFO"]
    assert "(cannot connect): waiting for it, for at most 300 s" in told[0][1]
    assert told[-1][1].startswith("TimeBack answers again, after 6")


def test_an_answer_in_the_midst_of_an_outage_is_not_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @simulated
    async def scenario() -> None:
        rig = scripted(*[REFUSED] * 9, answer(), *[REFUSED] * 20, answer(), retry=AT_ONCE_FOR_LONG)
        await rig.settle(*(rig.send() for _ in range(3)))
        rig.pool.close()

    caplog.set_level(logging.INFO, "timeback_async.pool")

    scenario()

    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]


def test_a_session_closed_in_an_outage_does_not_log_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @simulated
    async def scenario() -> None:
        rig = scripted(REFUSED, retry=RetryPolicy(attempts=99))
        call = rig.start()
        await asyncio.sleep(60)
        rig.pool.close()
        await rig.settle(call)
        await asyncio.sleep(10)

    caplog.set_level(logging.INFO, "timeback_async.pool")

    scenario()

    assert [each.levelname for each in caplog.records] == ["WARNING"]


@simulated
async def test_waiting_for_a_token_that_is_not_to_be_had_counts_as_an_outage() -> None:
    rig = scripted(grants=[REFUSED, REFUSED, After(5.0, grant())])
    call = rig.start()
    await asyncio.sleep(4)

    during = rig.pool.statistics()
    await call
    after = rig.pool.statistics()

    assert 0 < during.down_for <= 4
    assert isinstance(during.failure, ConnectError)
    assert (after.down_for, after.failure) == (0.0, None)


@simulated
async def test_of_two_tokens_that_are_not_to_be_had_the_longer_wait_counts() -> None:
    rig = scripted(grants=[REFUSED, NEVER, REFUSED, NEVER])
    first = rig.start()
    await asyncio.sleep(2)
    since = rig.pool.statistics().down_for
    assert since > 0
    other = rig.call(request=Request("GET", "/y", READONLY, None, None))
    second = asyncio.create_task(rig.pool.send(other))
    await asyncio.sleep(0.5)

    during = rig.pool.statistics()
    rig.pool.close()
    await rig.settle(first, second)
    await rig.pool.tokens.aclose()

    assert during.down_for == pytest.approx(since + 0.5)
