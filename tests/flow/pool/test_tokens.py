"""What the pool makes of a token that the server rejects."""

import asyncio

import pytest

from tests.support.clock import simulated
from tests.support.rig import scripted
from tests.support.scripted import After, Outcome, answer, grant
from timeback_async import Response
from timeback_async.errors import AuthError, ConnectError, ForbiddenError


@simulated
async def test_a_rejected_token_is_renewed_and_the_request_sent_again_at_once() -> None:
    rig = scripted(answer(401), answer())
    call = rig.call()

    await rig.pool.send(call)

    assert [sent.token for sent in rig.server.sent] == ["token-1", "token-2"]
    assert rig.times == [0, 0]
    assert (call.failures, call.refused) == (0, False)


@pytest.mark.parametrize("apart", [0.0, 0.1])
@simulated
async def test_sixty_four_rejections_of_one_token_are_one_renewal(apart: float) -> None:
    script = [After(1 + apart * number, answer(401)) for number in range(64)]
    rig = scripted(*script, answer(), max_in_flight=64)

    results = await rig.settle(*(rig.send() for _ in range(64)))

    assert {type(result) for result in results} == {Response}
    assert len(rig.server.asked) == 2
    assert len(rig.server.sent) == 128


@simulated
async def test_a_fresh_token_that_is_rejected_too_is_an_auth_error() -> None:
    rig = scripted(answer(401, {"error": "invalid_token"}, X_Request_ID="srv-1"))
    call = rig.call()

    with pytest.raises(AuthError) as caught:
        await rig.pool.send(call)

    error = caught.value
    assert (error.status, error.code, error.request_id) == (401, "invalid_token", "srv-1")
    assert call.refused
    assert len(rig.server.sent) == len(rig.server.asked) == 2


@simulated
async def test_a_token_that_worked_and_is_then_revoked_is_renewed_once_more() -> None:
    rig = scripted(answer(401), After(2, answer(401)), answer())
    rejected = rig.start("a")
    await asyncio.sleep(1)
    await rig.send("b")

    response = await rejected

    assert response.status == 204
    tokens = [f"{sent.name} {sent.token}" for sent in rig.server.sent]
    assert tokens == ["a token-1", "a token-2", "b token-2", "a token-3"]


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
    assert len(rig.server.asked) < 10


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
