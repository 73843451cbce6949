"""What one request carries, and what comes back."""

import pytest

from tests.support.clock import simulated
from tests.support.config import BASE
from tests.support.records import student
from tests.support.rig import scripted
from tests.support.scripted import AT_ONCE, CUT_OFF, answer
from timeback_async._wire.codec import upsert
from timeback_async.errors import BadRequestError


@simulated
async def test_an_answer_is_returned_as_it_came() -> None:
    rig = scripted(answer(201, {"a": 1}))

    response = await rig.send()

    assert (response.status, response.json()) == (201, {"a": 1})


@simulated
async def test_a_request_carries_its_token_and_the_type_of_its_body() -> None:
    rig = scripted(base_url=f"{BASE}/api")
    request = upsert(student()).request

    await rig.pool.send(rig.call(request=request))

    (sent,) = rig.server.sent
    assert (sent.method, sent.url) == ("PUT", f"{BASE}/api/rostering/1.0/students")
    assert sent.body == request.body
    assert sent.token == "token-1"
    assert sent.headers["Content-Type"] == "application/json"


@simulated
async def test_a_request_without_a_body_has_no_content_type() -> None:
    rig = scripted()

    await rig.send(method="DELETE")

    assert "Content-Type" not in rig.server.sent[0].headers


@simulated
async def test_every_attempt_has_an_id_of_its_own() -> None:
    rig = scripted(answer(503), retry=AT_ONCE)

    await rig.settle(*(rig.send() for _ in range(10)))

    ids = [sent.headers["X-Request-ID"] for sent in rig.server.sent]
    assert len(set(ids)) == len(ids) == 80


@simulated
async def test_a_repeated_request_has_the_same_bytes() -> None:
    rig = scripted(answer(502), CUT_OFF, answer(), retry=AT_ONCE)

    await rig.pool.send(rig.call(request=upsert(student()).request))

    assert len({sent.body for sent in rig.server.sent}) == 1


@pytest.mark.parametrize("has_own", [True, False])
@simulated
async def test_an_error_has_the_id_of_the_server_or_else_ours(has_own: bool) -> None:
    rig = scripted(answer(400, **({"X_Request_ID": "srv-1"} if has_own else {})))
    call = rig.call()

    with pytest.raises(BadRequestError) as caught:
        await rig.pool.send(call)

    expected = "srv-1" if has_own else rig.server.sent[0].headers["X-Request-ID"]
    assert caught.value.request_id == call.request_id == expected
