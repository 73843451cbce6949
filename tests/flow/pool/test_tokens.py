"""What the pool makes of a token that the server rejects."""

import asyncio
from collections.abc import Callable

import pytest

from tests.support.clock import now, simulated
from tests.support.rig import scripted
from tests.support.scripted import AT_ONCE, After, Outcome, Sent, Step, answer, grant
from timeback_async import Response
from timeback_async._statistics import WindowMode
from timeback_async._wire.http import READONLY, Request
from timeback_async.errors import AuthError, ConnectError, ForbiddenError


@simulated
async def test_a_rejected_token_is_renewed_and_the_request_sent_again_at_once() -> None:
    rig = scripted(answer(), answer(401), answer())
    await rig.send()
    call = rig.call()

    await rig.pool.send(call)

    assert [sent.token for sent in rig.server.sent] == ["token-1", "token-1", "token-2"]
    assert rig.times == [0, 0, 0]
    assert (call.failures, call.refused) == (0, False)


@pytest.mark.parametrize("apart", [0.0, 0.1])
@simulated
async def test_sixty_four_rejections_of_one_token_are_one_renewal(apart: float) -> None:
    script = [After(1 + apart * number, answer(401)) for number in range(64)]
    rig = scripted(answer(), *script, answer(), max_in_flight=64)
    await rig.send()

    results = await rig.settle(*(rig.send() for _ in range(64)))

    assert {type(result) for result in results} == {Response}
    assert len(rig.server.asked) == 2
    assert len(rig.server.sent) == 1 + 128


def accepted_after(seconds: float) -> Callable[[Sent], Outcome]:
    """Return a step that accepts each token so long after it was first sent."""
    first: dict[str, float] = {}

    def judge(sent: Sent) -> Outcome:
        is_good = sent.at >= first.setdefault(sent.token, sent.at) + seconds
        return answer() if is_good else answer(401)

    return judge


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0, 4.9])
@pytest.mark.parametrize("number", [1, 64])
@simulated
async def test_a_fresh_token_that_is_accepted_a_moment_later_is_kept(
    number: int, seconds: float
) -> None:
    rig = scripted(accepted_after(seconds), latency=0.04, max_in_flight=64)

    results = await rig.settle(*(rig.send() for _ in range(number)))

    assert {type(result) for result in results} == {Response}
    assert len(rig.server.asked) == 1
    assert len(rig.server.sent) <= 2 * number + 5
    assert now() - rig.started <= 2 * seconds + 0.5


@simulated
async def test_calls_before_and_after_the_first_success_of_a_token_keep_it() -> None:
    rig = scripted(After(0.5, answer(401)), After(0.1, answer()), answer())

    results = await rig.settle(rig.send(), rig.send())

    assert {type(result) for result in results} == {Response}
    assert len(rig.server.asked) == 1


@simulated
async def test_the_proven_token_is_used_until_the_next_one_is_accepted() -> None:
    lag = accepted_after(0.6)
    rig = scripted(
        lambda sent: answer() if sent.token == "token-1" else lag(sent),
        grants=[lambda _: grant(f"token-{len(rig.server.asked)}", expires_in=100)],
        latency=0.01,
    )
    for _ in range(400):
        assert (await rig.send()).status == 204
        await asyncio.sleep(0.24)

    used = [sent.token for sent in rig.server.sent]
    trials = [sent.at - rig.started for sent in rig.server.sent if sent.token == "token-2"][:4]
    assert len(rig.server.asked) == 2
    assert trials[-1] - trials[0] < 1.5
    assert "token-1" in used[used.index("token-2") :]
    assert set(used[-20:]) == {"token-2"}


@simulated
async def test_when_the_next_token_is_refused_the_proven_one_serves_to_its_end() -> None:
    rig = scripted(
        lambda sent: answer() if sent.token == "token-1" else answer(401),
        grants=[lambda _: grant(f"token-{len(rig.server.asked)}", expires_in=400)],
        latency=0.01,
    )
    while now() < rig.started + 370:
        assert (await rig.send()).status == 204
        await asyncio.sleep(0.5)

    assert len(rig.server.asked) <= 4  # every half a minute


@simulated
async def test_a_proven_token_that_ends_with_the_issue_of_the_next_is_not_kept() -> None:
    lag = accepted_after(0.6)
    rig = scripted(
        lambda sent: lag(sent) if sent.token == f"token-{len(rig.server.asked)}" else answer(401),
        grants=[lambda _: grant(f"token-{len(rig.server.asked)}", expires_in=100)],
        latency=0.01,
    )
    for _ in range(100):
        assert (await rig.send()).status == 204
        await asyncio.sleep(1)

    assert len(rig.server.asked) == 2


@simulated
async def test_nobody_holds_a_slot_while_it_waits_for_a_token() -> None:
    def slow_for_reads(sent: Sent) -> Outcome | After:
        return grant() if b"createput" in (sent.body or b"") else After(6, grant())

    rig = scripted(max_in_flight=4, grants=[slow_for_reads])
    reading = Request("GET", "/r", READONLY, None, None)
    reads = [asyncio.create_task(rig.pool.send(rig.call(request=reading))) for _ in range(64)]
    await asyncio.sleep(0.1)
    begun = now()

    await rig.send()

    assert now() == begun
    assert rig.pool.statistics().in_flight == 0
    await rig.settle(*reads)


@simulated
async def test_a_missing_token_is_no_failure_of_the_window() -> None:
    def only_writes(sent: Sent) -> Outcome:
        return grant() if b"createput" in (sent.body or b"") else answer(503)

    rig = scripted(grants=[only_writes], adaptive=True, latency=0.05)
    reading = Request("GET", "/r", READONLY, None, None)
    reads = [asyncio.create_task(rig.pool.send(rig.call(request=reading))) for _ in range(64)]

    results = await rig.settle(*(rig.send() for _ in range(200)))

    assert {type(result) for result in results} == {Response}
    assert rig.pool.statistics().mode is WindowMode.OPEN
    await rig.settle(*reads)


@simulated
async def test_a_token_that_ended_in_line_is_waited_for_without_the_slot() -> None:
    grants: list[Step] = [
        grant("token-1", expires_in=50),
        After(5.0, grant("token-2", expires_in=50)),
    ]
    rig = scripted(latency=60.0, max_in_flight=1, attempt_timeout=100.0, grants=grants)

    await rig.settle(rig.send("a"), rig.send("b"))

    assert [sent.token for sent in rig.server.sent] == ["token-1", "token-2"]
    assert rig.server.peak == 1


@simulated
async def test_calls_that_a_refused_token_rejected_do_not_try_the_next_one() -> None:
    rig = scripted(answer(401), latency=0.05)

    results = await rig.settle(*(rig.send() for _ in range(64)))

    assert {type(result) for result in results} == {AuthError}
    assert len(rig.server.asked) == 1
    assert len(rig.server.sent) <= 64 + 6
    assert 5 <= now() - rig.started < 6


@simulated
async def test_a_fresh_token_that_is_rejected_for_five_seconds_is_an_auth_error() -> None:
    rig = scripted(answer(401, {"error": "invalid_token"}, X_Request_ID="srv-1"))
    call = rig.call()

    with pytest.raises(AuthError) as caught:
        await rig.pool.send(call)

    error = caught.value
    assert (error.status, error.code, error.request_id) == (401, "invalid_token", "srv-1")
    assert call.refused
    assert len(rig.server.asked) == 1
    assert rig.times == [0, 0.25, 0.75, 1.75, 3.75, 5.0]


@simulated
async def test_a_token_that_worked_and_is_then_revoked_is_renewed_once_more() -> None:
    rig = scripted(answer(), answer(401), answer(), After(2, answer(401)), answer())
    await rig.send("a")
    await rig.send("a")
    await asyncio.sleep(1)

    response = await rig.send("b")

    assert response.status == 204
    tokens = [f"{sent.name} {sent.token}" for sent in rig.server.sent]
    assert tokens == ["a token-1", "a token-1", "a token-2", "b token-2", "b token-3"]


@simulated
async def test_a_request_that_alone_is_rejected_does_not_renew_tokens_for_ever() -> None:
    rig = scripted(
        lambda sent: After(0.3, answer(401)) if sent.name == "a" else After(0.1, answer())
    )

    async def others() -> None:
        while not rejected.done():
            await rig.send("b")

    rejected = rig.start("a")
    result, _ = await rig.settle(rejected, others())

    assert isinstance(result, AuthError)
    assert rig.names.count("a") < 10
    assert len(rig.server.asked) <= 2


@simulated
async def test_a_forbidden_request_renews_nothing() -> None:
    rig = scripted(answer(403))
    call = rig.call()

    with pytest.raises(ForbiddenError):
        await rig.pool.send(call)

    assert call.refused
    assert len(rig.server.sent) == len(rig.server.asked) == 1


@pytest.mark.parametrize("proof", [answer(204), answer(404)], ids=repr)
@simulated
async def test_a_request_forbidden_to_a_token_that_works_is_not_a_refusal(proof: Outcome) -> None:
    rig = scripted(proof, answer(403))
    await rig.settle(rig.send())
    call = rig.call()

    with pytest.raises(ForbiddenError):
        await rig.pool.send(call)

    assert not call.refused


@simulated
async def test_without_a_token_nothing_is_sent() -> None:
    rig = scripted(grants=[answer(401, {"error": "invalid_client"})])

    with pytest.raises(AuthError, match="invalid_client"):
        await rig.send()

    assert rig.server.sent == []
    assert rig.pool.statistics().in_flight == 0


@simulated
async def test_an_insecure_token_endpoint_ends_the_call() -> None:
    rig = scripted(grants=[ConnectError("TLS failed", retryable=False)])

    with pytest.raises(ConnectError):
        await rig.send()

    assert len(rig.server.asked) == 1


@simulated
async def test_an_error_does_not_repeat_the_token_that_the_server_echoes() -> None:
    rig = scripted(
        answer(401, {"message": "Bearer token-canary is expired"}),
        grants=[grant("token-canary")],
    )

    with pytest.raises(AuthError) as caught:
        await rig.send()

    assert "canary" not in str(caught.value)


@simulated
async def test_a_call_that_fails_otherwise_before_its_token_is_refused_ends_as_rejected() -> None:
    def judge(sent: Sent) -> Outcome:
        is_rejected = sent.name == "b" or len(rig.server.sent) == 1
        return answer(401) if is_rejected else answer(429)

    rig = scripted(judge, latency=0.01, retry=AT_ONCE)

    results = await rig.settle(rig.send("a"), rig.send("b"))

    assert {type(result) for result in results} == {AuthError}
