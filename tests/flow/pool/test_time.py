"""How long a call may take, and what ends it in time."""

import asyncio

import pytest

from tests.support.clock import now, simulated
from tests.support.rig import scripted
from tests.support.scripted import (
    AT_ONCE,
    DISCONNECT,
    NO_ANSWER,
    REFUSED,
    After,
    Outcome,
    answer,
    grant,
)
from timeback_async import Response, RetryPolicy
from timeback_async._flow.call import Call
from timeback_async.errors import (
    BadRequestError,
    DeadlineError,
    RateLimitError,
    ServerError,
    TimebackError,
    TimedOutError,
)


@simulated
async def test_the_deadline_ends_the_attempts_with_the_last_failure_as_cause() -> None:
    rig = scripted(answer(503), deadline=5.0, retry=RetryPolicy(attempts=1000, ceiling=1.0))

    with pytest.raises(DeadlineError, match="5 s") as caught:
        await rig.send()

    assert isinstance(caught.value.__cause__, ServerError)
    assert "503" in str(caught.value)
    assert caught.value.retryable
    assert now() - rig.started <= 5


@simulated
async def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    rig = scripted(answer(429, Retry_After="60"), deadline=30.0)

    with pytest.raises(DeadlineError):
        await rig.send()

    assert now() == rig.started


@simulated
async def test_the_deadline_cuts_an_attempt_short() -> None:
    rig = scripted(latency=100.0, deadline=45.0)

    with pytest.raises(DeadlineError) as caught:
        await rig.send()

    assert isinstance(caught.value.__cause__, TimedOutError)
    assert 44 < now() - rig.started <= 45
    assert rig.server.sent[0].timeout == 30.0
    assert rig.server.sent[1].timeout == 45.0 - rig.times[1]


@simulated
async def test_the_time_of_a_record_runs_from_its_first_turn() -> None:
    rig = scripted(latency=10.0, max_in_flight=1, attempt_timeout=10.5)
    calls = [Call(rig.call().request, 11.0) for _ in range(5)]

    results = await rig.settle(*map(rig.pool.send, calls))

    assert {type(result) for result in results} == {Response}
    assert {sent.timeout for sent in rig.server.sent} == {10.5}


@simulated
async def test_the_time_of_a_single_call_runs_from_when_it_is_made() -> None:
    rig = scripted(latency=10.0, max_in_flight=1, deadline=11.0)

    results = await rig.settle(*(rig.send() for _ in range(5)))

    assert [type(result) for result in results] == [Response] + [DeadlineError] * 4
    assert now() - rig.started == 11
    assert rig.pool.statistics().waiting == 0


@pytest.mark.parametrize("trouble", [REFUSED, answer(503), answer(429), NO_ANSWER, DISCONNECT])
@pytest.mark.parametrize("is_adaptive", [True, False])
@simulated
async def test_in_an_outage_every_call_is_back_in_time_with_the_failure_of_the_session(
    is_adaptive: bool, trouble: Outcome
) -> None:
    rig = scripted(trouble, deadline=5.0, adaptive=is_adaptive, latency=0.05)
    calls, took = [], []

    async def call() -> None:
        begun = now()
        with pytest.raises(TimebackError) as caught:
            await rig.send()
        took.append(now() - begun)
        error = caught.value
        assert not isinstance(error, DeadlineError) or isinstance(error.__cause__, TimebackError)

    for _ in range(300):
        calls.append(asyncio.create_task(call()))
        await asyncio.sleep(0.2)
    await asyncio.gather(*calls)

    assert max(took) <= 5.0 + 1e-6


@simulated
async def test_a_gate_that_opens_too_late_is_not_waited_for() -> None:
    rig = scripted(answer(429, Retry_After="60"), answer(), deadline=30.0)
    await rig.settle(rig.send())
    begun = now()

    with pytest.raises(DeadlineError) as caught:
        await rig.send()

    assert isinstance(caught.value.__cause__, RateLimitError)
    assert now() == begun


@simulated
async def test_a_failure_of_the_session_long_ago_is_not_the_cause() -> None:
    rig = scripted(answer(400), latency=1.0, max_in_flight=1, deadline=5.0)
    await rig.settle(rig.send())
    await asyncio.sleep(1000)
    rig.server.script = [After(4.5, answer())]

    _, late = await rig.settle(rig.send(), rig.send())

    assert isinstance(late, DeadlineError)
    assert not isinstance(late.__cause__, BadRequestError)


@simulated
async def test_a_retry_that_waits_for_a_slot_past_its_deadline_is_given_up() -> None:
    script = [After(1, answer(503)), After(19.5, answer())]
    rig = scripted(*script, max_in_flight=1, retry=AT_ONCE)
    calls = [Call(rig.call(name).request, 20.0) for name in "ab"]

    retried, other = await rig.settle(*map(rig.pool.send, calls))

    assert isinstance(retried, DeadlineError)
    assert isinstance(retried.__cause__, ServerError)
    assert other.status == 204
    assert rig.names == "ab"


@simulated
async def test_a_retry_admitted_at_its_deadline_is_not_sent() -> None:
    script = [After(1, answer(503)), After(19, answer())]
    rig = scripted(*script, max_in_flight=1, deadline=20.0, retry=AT_ONCE)

    retried, _ = await rig.settle(rig.send("a"), rig.send("b"))

    assert isinstance(retried, DeadlineError)
    assert rig.names == "ab"
    assert rig.pool.statistics().in_flight == 0


@simulated
async def test_the_wait_for_a_token_counts_against_the_deadline() -> None:
    rig = scripted(grants=[After(1000, grant())], deadline=5.0)

    with pytest.raises(DeadlineError):
        await rig.send()

    assert now() - rig.started == 5
    assert rig.server.sent == []
    await rig.tokens.aclose()  # its fetch goes on for the next caller


@simulated
async def test_the_cause_of_a_deadline_without_a_token_is_why_there_is_none() -> None:
    rig = scripted(grants=[answer(503)], deadline=2.0)

    with pytest.raises(DeadlineError, match="503") as caught:
        await rig.send()

    assert isinstance(caught.value.__cause__, ServerError)
    assert now() - rig.started == 2
    await rig.tokens.aclose()


@simulated
async def test_the_verdict_on_another_record_is_not_the_cause_and_no_error_is_shared() -> None:
    rig = scripted(answer(422), latency=0.1, max_in_flight=1, deadline=5.0)
    await rig.settle(rig.send())
    rig.server.script = [After(10.0, answer())]
    _, waited = await rig.settle(rig.send(), rig.send())
    assert isinstance(waited, DeadlineError)
    assert not isinstance(waited.__cause__, BadRequestError)
    rig.server.script = [answer(503)]
    rig.pool._retries._policy = RetryPolicy(attempts=1)

    failed, *_ = await rig.settle(rig.send())
    rig.server.script = [After(10.0, answer())]
    _, later = await rig.settle(rig.send(), rig.send())

    assert isinstance(later, DeadlineError)
    assert later.__cause__ is not failed
