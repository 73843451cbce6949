"""How calls end early: the pool is closed, the call given up, or something unknown raised."""

import asyncio

import pytest

from tests.support.clock import now, simulated
from tests.support.rig import scripted
from tests.support.scripted import DISCONNECT, REFUSED, After, Sent, answer, grant
from timeback_async import Response
from timeback_async._flow.call import Abandoned, Call
from timeback_async._wire.http import CREATEPUT, READONLY, Request
from timeback_async.errors import BadRequestError, DeadlineError, ServerError, SessionError


@simulated
async def test_closing_turns_away_who_waits_and_who_comes() -> None:
    rig = scripted(latency=20.0, max_in_flight=1)
    first, second, third = (rig.start() for _ in range(3))
    await asyncio.sleep(1)
    third.cancel()
    await asyncio.sleep(0)

    rig.pool.close()

    waited, came = await rig.settle(second, rig.send())
    assert [type(waited), type(came)] == [SessionError, SessionError]
    assert now() - rig.started == 1
    assert rig.pool.statistics().waiting == 0
    assert (await first).status == 204


@simulated
async def test_closing_behind_a_shut_gate_leaves_no_timer() -> None:
    rig = scripted(answer(429, Retry_After="100"), answer())
    throttled = rig.start()
    await asyncio.sleep(1)
    waiting = rig.start()
    await asyncio.sleep(1)

    rig.pool.close()

    (result,) = await rig.settle(waiting)
    assert isinstance(result, SessionError)
    assert rig.pool._admission._timer is None or rig.pool._admission._timer.cancelled()
    throttled.cancel()


@simulated
async def test_closing_turns_away_who_waits_between_two_attempts() -> None:
    rig = scripted(answer(429, Retry_After="100"), answer())
    throttled = rig.start()
    await asyncio.sleep(1)

    rig.pool.close()

    (result,) = await rig.settle(throttled)
    assert isinstance(result, SessionError)
    assert len(rig.server.sent) == 1
    assert now() - rig.started == 1


@simulated
async def test_closing_ends_the_attempts_of_a_call_in_flight() -> None:
    rig = scripted(DISCONNECT, latency=1.0)
    call = rig.start()
    await asyncio.sleep(0.5)

    rig.pool.close()

    with pytest.raises(SessionError):
        await call
    assert len(rig.server.sent) == 1


@simulated
async def test_a_call_that_gets_its_token_as_the_pool_closes_is_not_sent() -> None:
    def grant_and_close(_: Sent) -> Response:
        rig.pool.close()
        return grant()

    rig = scripted(grants=[grant_and_close])

    with pytest.raises(SessionError):
        await rig.send()

    assert rig.server.sent == []


@simulated
async def test_a_call_given_up_between_two_attempts_is_not_sent_again() -> None:
    rig = scripted(answer(503))
    call = rig.call()

    async def pause(_: float) -> None:
        call.abandon()

    with pytest.raises(Abandoned):
        await rig.pool.send(call, pause)

    assert len(rig.server.sent) == 1
    assert isinstance(call.error, ServerError)
    assert rig.pool.statistics().in_flight == 0


@pytest.mark.parametrize("is_in_line", [True, False])
@simulated
async def test_a_call_given_up_before_its_turn_waits_no_longer(is_in_line: bool) -> None:
    rig = scripted(latency=10.0, max_in_flight=1)
    first, call = rig.start("a"), rig.call("b")
    await asyncio.sleep(1)
    if not is_in_line:
        call.abandon()
    waiting = asyncio.create_task(rig.pool.send(call))
    await asyncio.sleep(1)
    call.abandon()

    (result,) = await rig.settle(waiting)

    assert isinstance(result, Abandoned)
    assert now() - rig.started == 2
    assert (await first).status == 204
    assert (rig.names, rig.pool.statistics().in_flight) == ("a", 0)


@simulated
async def test_an_exception_of_no_kind_we_know_gives_the_slot_back() -> None:
    rig = scripted(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        await rig.send()

    assert rig.pool.statistics().in_flight == 0


@simulated
async def test_the_servers_id_is_known_by_any_of_its_names() -> None:
    rig = scripted(answer(200, b"", X_Amzn_RequestId="r-9"))
    call = rig.call()

    await rig.pool.send(call)

    assert call.request_id == "r-9"


@simulated
async def test_what_stood_in_a_query_does_not_stand_in_an_error() -> None:
    rig = scripted(answer(400, {"message": "bad filter familyName='Canary'"}))
    path = "/rostering/1.0/users?filter=familyName%3D%27Canary%27"

    with pytest.raises(BadRequestError) as caught:
        await rig.pool.send(rig.call(request=Request("GET", path, READONLY, None, "users")))

    assert "Canary" not in str(caught.value)


@simulated
async def test_a_pause_that_took_too_long_is_followed_by_no_attempt() -> None:
    rig = scripted(answer(503), deadline=5.0)

    async def oversleep(delay: float) -> None:
        await asyncio.sleep(10)

    with pytest.raises(DeadlineError):
        await rig.pool.send(rig.call(), oversleep)

    assert rig.pool.statistics().attempts == 1


@simulated
async def test_the_ids_of_a_session_begin_alike_and_those_of_two_do_not() -> None:
    first, second = scripted(), scripted()
    calls = [first.call(), first.call(), second.call()]

    await first.pool.send(calls[0])
    await first.pool.send(calls[1])
    await second.pool.send(calls[2])

    prefixes = [call.request_id.partition("-")[0] for call in calls]
    assert prefixes[0] == prefixes[1] != prefixes[2]


@simulated
async def test_a_call_given_up_while_it_waits_for_a_token_ends_at_once_and_the_token_comes() -> (
    None
):
    rig = scripted(grants=[After(10, grant("first"))])
    call = rig.call()
    sending = asyncio.create_task(rig.pool.send(call))
    await asyncio.sleep(1)

    call.abandon()

    with pytest.raises(Abandoned):
        await sending
    assert now() - rig.started == 1
    assert (await rig.send()).status == 204
    assert [sent.token for sent in rig.server.sent] == ["first"]
    assert len(rig.server.asked) == 1


@simulated
async def test_nobody_there_is_no_reason_to_give_up_a_record() -> None:
    rig = scripted(*[REFUSED] * 40, answer(), adaptive=True)
    patient = Call(Request("PUT", "/x", CREATEPUT, None, None), 300.0)

    response = await rig.pool.send(patient)

    assert response.status == 204
    assert patient.attempts == 41
