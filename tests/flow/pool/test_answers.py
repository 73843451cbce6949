"""Whether an answer is ours: about our record, and whole."""

import asyncio
from collections.abc import Awaitable

import msgspec
import pytest

from tests.support.clock import now, simulated
from tests.support.records import student
from tests.support.rig import Rig, scripted
from tests.support.scripted import AT_ONCE, ScriptedServer, Sent, answer
from timeback_async import Response
from timeback_async._flow.call import Call
from timeback_async._flow.identity import CONFIRMATIONS, REMEMBERED, Identities
from timeback_async._statistics import WindowMode
from timeback_async._wire.codec import fetch_user, upsert
from timeback_async.errors import ApiError, ProtocolError


def about(sourced_id: str, closed: list[str] | None = None) -> Response:
    """Return an answer about a student; `closed` notes when its connection is closed."""
    response = answer(200, {"student": {"sourcedId": sourced_id}})
    note = closed.append if closed is not None else lambda _: None
    return Response(response.status, response.headers, response.body, lambda: note(sourced_id))


@simulated
async def test_an_answer_about_another_record_closes_its_connection_and_is_not_believed() -> None:
    closed: list[str] = []
    rig = scripted(about("other", closed), about("s-1", closed), retry=AT_ONCE)
    call = rig.call(request=upsert(student("s-1")).request)

    response = await rig.pool.send(call)

    assert b"s-1" in response.body
    assert closed == ["other"]
    assert (call.attempts, call.failures) == (2, 0)


@simulated
async def test_another_id_named_twice_is_the_one_the_server_has_chosen() -> None:
    closed: list[str] = []
    rig = scripted(about("chosen", closed), retry=AT_ONCE)

    response = await rig.pool.send(rig.call(request=upsert(student("s-1")).request))

    assert b"chosen" in response.body
    assert closed == ["chosen"]
    assert len(rig.server.sent) == 2


@simulated
async def test_ever_other_ids_are_a_protocol_error_in_the_end() -> None:
    rig = scripted(*(about(f"other-{number}") for number in range(9)), retry=AT_ONCE)
    call = rig.call(request=upsert(student("s-1")).request)

    with pytest.raises(ProtocolError, match="another record"):
        await rig.pool.send(call)

    assert len(rig.server.sent) == 9  # the first one is free
    assert call.unanswered


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Please log in</html>",
        b'{"student":',
        b'{"student":1',
        b"[1,",
        pytest.param(b"[" * 100_000, id="deep"),
        b'"\xff"',
    ],
)
@simulated
async def test_a_success_that_is_not_json_is_not_believed(body: bytes) -> None:
    rig = scripted(answer(200, body), about("s-1"), retry=AT_ONCE)
    call = rig.call(request=upsert(student("s-1")).request)

    await rig.pool.send(call)

    assert (call.attempts, call.failures) == (2, 1)


@pytest.mark.parametrize(
    "response",
    [
        answer(200),
        answer(201),
        answer(204),
        answer(200, {"student": {}}),
        answer(200, {"sourcedId": "s-1"}),
        answer(200, b"OK"),
    ],
    ids=repr,
)
@simulated
async def test_a_success_that_names_no_record_is_a_success(response: Response) -> None:
    rig = scripted(response)

    await rig.pool.send(rig.call(request=upsert(student("s-1")).request))

    assert len(rig.server.sent) == 1


@simulated
async def test_a_success_that_says_failure_is_an_answer_and_is_not_repeated() -> None:
    failure = {"imsx_codeMajor": "failure", "imsx_description": "token-1 may not save Ada"}
    rig = scripted(answer(200, failure, X_Request_ID="theirs"), retry=AT_ONCE)
    call = rig.call(request=upsert(student("s-1")).request)

    with pytest.raises(ApiError) as caught:
        await rig.pool.send(call)

    assert str(caught.value) == "HTTP 200: … may not save …"
    assert caught.value.request_id == "theirs"
    assert len(rig.server.sent) == 1
    assert not call.unanswered


@pytest.mark.parametrize(
    "response", [answer(202), answer(207, {"a": 1}), answer(200, {"a": 1})], ids=repr
)
@simulated
async def test_a_success_without_proof_leaves_it_open_and_is_not_repeated(
    response: Response,
) -> None:
    rig = scripted(response, retry=AT_ONCE)
    call = rig.call(request=upsert(student("s-1")).request)

    with pytest.raises(ProtocolError, match="no proof"):
        await rig.pool.send(call)

    assert len(rig.server.sent) == 1
    assert call.unanswered


@simulated
async def test_a_server_that_answers_without_proof_is_not_down() -> None:
    rig = scripted(answer(202), latency=1.0, retry=AT_ONCE, adaptive=True)
    request = upsert(student()).request

    await rig.settle(*(rig.pool.send(rig.call(request=request)) for _ in range(200)))

    assert rig.pool.statistics().mode is WindowMode.OPEN
    assert rig.pool.down_for() == 0


@simulated
async def test_a_read_that_brings_nothing_is_repeated() -> None:
    rig = scripted(answer(200), answer(200, {"user": {"sourcedId": "u-1"}}), retry=AT_ONCE)

    await rig.pool.send(rig.call(request=fetch_user("u-1").request))

    assert len(rig.server.sent) == 2


# -- servers that answer with ids of their own


def served(number: int, rig: Rig[ScriptedServer]) -> Awaitable[Response]:
    return rig.pool.send(rig.call(request=upsert(student(f"S-{number}")).request))


def own_ids(sent: Sent) -> Response:
    assert sent.body is not None
    sourced_id = msgspec.json.decode(sent.body)["student"]["sourcedId"]
    return about(f"chosen-for-{sourced_id}")


@simulated
async def test_an_id_in_another_case_is_the_same_id() -> None:
    rig = scripted(about("s-1"))

    await rig.pool.send(rig.call(request=upsert(student("S-1")).request))

    assert len(rig.server.sent) == 1


@simulated
async def test_after_three_confirmed_ids_of_the_servers_own_one_answer_is_enough() -> None:
    rig = scripted(own_ids)

    for number in range(50):
        await served(number, rig)

    assert len(rig.server.sent) == 50 + CONFIRMATIONS


@simulated
async def test_a_server_that_answers_with_other_ids_is_well() -> None:
    rig = scripted(own_ids, latency=0.05, adaptive=True)

    await asyncio.gather(*(served(number, rig) for number in range(200)))

    assert rig.pool.statistics().mode is WindowMode.OPEN
    assert rig.pool.statistics().window == 64
    assert now() - rig.started < 1  # no backoff


@pytest.mark.parametrize("shifted", ["chosen-for-S-7", "S-7", "S-20"])
@simulated
async def test_an_answer_that_belongs_to_another_record_is_not_believed_then_either(
    shifted: str,
) -> None:
    rig = scripted(own_ids)
    for number in range(20):
        await served(number, rig)
    rig.server.script = [about("S-20")]
    await served(20, rig)
    rig.server.script = [*[own_ids] * len(rig.server.sent), about(shifted), own_ids]

    response = await served(21, rig)

    assert b"chosen-for-S-21" in response.body


@simulated
async def test_what_was_answered_long_ago_is_forgotten() -> None:
    identities = Identities()
    request = upsert(student("s")).request
    for number in range(10 * REMEMBERED):
        call = Call(msgspec.structs.replace(request, sourced_id=f"s-{number}"), 1.0)
        assert identities.is_ours(call, f"s-{number}")

    assert len(identities._recent) + len(identities._earlier) <= 2 * REMEMBERED + 2
