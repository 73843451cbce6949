"""How long a call may take, and what ends it in time."""

import pytest

from tests.support.clock import now, simulated
from tests.support.rig import scripted
from tests.support.scripted import AT_ONCE, After, answer, grant
from timeback_async import Response, RetryPolicy
from timeback_async.errors import DeadlineError, ServerError, TimedOutError


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
async def test_time_runs_from_the_first_admission() -> None:
    rig = scripted(latency=10.0, max_in_flight=1, deadline=11.0, attempt_timeout=10.5)

    results = await rig.settle(*(rig.send() for _ in range(5)))

    assert {type(result) for result in results} == {Response}
    assert {sent.timeout for sent in rig.server.sent} == {10.5}


@simulated
async def test_a_retry_that_waits_for_a_slot_past_its_deadline_is_given_up() -> None:
    script = [After(1, answer(503)), After(19.5, answer())]
    rig = scripted(*script, max_in_flight=1, deadline=20.0, retry=AT_ONCE)

    retried, other = await rig.settle(rig.send("a"), rig.send("b"))

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
