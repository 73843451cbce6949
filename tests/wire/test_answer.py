import json

import pytest

from tests.support.records import link, student, user
from timeback_async import (
    AgentKey,
    AgentRecord,
    Reference,
    Response,
    StudentRecord,
    UserRecord,
)
from timeback_async._wire.answer import answered_id
from timeback_async._wire.codec import (
    Operation,
    delete,
    fetch_agents,
    fetch_user,
    raw,
    upsert,
)
from timeback_async._wire.http import Request
from timeback_async._wire.pages import page_request
from timeback_async.errors import ProtocolError


def page_request_of(collection: str) -> Request:
    """Return the request for the first page of a collection."""
    return page_request(
        collection, limit=100, offset=0, filter=None, sort=None, order_by=None, fields=None
    )


# -- what the answer holds

AGENT = {"user": {"sourcedId": "u-1", "type": "user"}, "relationshipType": "parent"}
AGENT_RECORD = AgentRecord(user=Reference("u-1", "user"), relationship_type="parent")


@pytest.mark.parametrize(
    ("operation", "body", "value"),
    [
        (upsert(student()), {"student": {"sourcedId": "s-1"}}, StudentRecord(sourced_id="s-1")),
        (upsert(student()), {"student": "s-1"}, None),
        (upsert(student()), {}, None),
        (upsert(student()), [], None),
        (upsert(user()), {"user": {"sourcedId": "u-1"}}, UserRecord(sourced_id="u-1")),
        (upsert(user()), {"sourcedId": "u-1"}, None),
        (upsert(link()), AGENT, AGENT_RECORD),
        (upsert(link()), {"agent": AGENT}, AGENT_RECORD),
        (upsert(link()), {"agent": None}, None),
        (upsert(link()), {"status": "created"}, None),
        (fetch_agents("s-1"), {"agents": [AGENT]}, [AGENT_RECORD]),
        (fetch_agents("s-1"), {"agents": []}, []),
        (fetch_user("u-1"), {"user": {"sourcedId": "u-1"}}, UserRecord(sourced_id="u-1")),
        (delete(AgentKey("s-1", "a-1")), {"deleted": True}, None),
    ],
)
def test_an_answer_is_decoded_to_the_record_in_it(
    operation: Operation, body: object, value: object
) -> None:
    assert operation.decode(json.dumps(body).encode()) == value


@pytest.mark.parametrize("record", [student(), user(), link()])
@pytest.mark.parametrize("body", [b"", b" \r\n", b"null"])
def test_a_write_that_is_answered_with_nothing_has_no_record(record: object, body: bytes) -> None:
    operation = upsert(record)

    assert operation.decode(body) is None
    assert answered_id(operation.request, Response(204, {}, body)) == ""


@pytest.mark.parametrize(
    ("operation", "body", "sourced_id"),
    [
        (upsert(student()), {"student": {"sourcedId": "s-2", "new": [1]}}, "s-2"),
        (upsert(student()), {"student": {}}, ""),
        (upsert(student()), {"student": {"sourcedId": None}}, ""),
        (upsert(student()), {"student": "s-2"}, ""),
        (upsert(student()), {"user": {"sourcedId": "s-2"}}, ""),
        (upsert(student()), ["s-2"], ""),
        (upsert(user()), {"user": {"sourcedId": "u-2"}}, "u-2"),
        (upsert(link()), AGENT, ""),
        (upsert(link()), {"student": {"sourcedId": "s-2"}}, ""),
        (delete(AgentKey("s-1", "a-1")), {"ok": True}, ""),
        (fetch_user("u-1"), {"user": {"sourcedId": "u-2"}}, "u-2"),
        (fetch_agents("s-1"), {"agents": [AGENT]}, ""),
        (fetch_agents("s-1"), {"agents": [AGENT], "user": "s-1"}, ""),
        (fetch_user("u-1"), {"user": {"sourcedId": "u-1"}, "agents": ["a-1"]}, "u-1"),
    ],
)
def test_the_id_an_answer_is_about_is_found_or_left_open(
    operation: Operation, body: object, sourced_id: str
) -> None:
    response = Response(200, {}, json.dumps(body).encode())

    assert answered_id(operation.request, response) == sourced_id


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"student":',
        b"\xff",
        b'{"a":' * 40_000,
        b"[" * 200_000,
        b"[error] no upstream",
        b"502 Bad Gateway",
        b'"cut o',
    ],
    ids=lambda body: ascii(body)[:20],
)
@pytest.mark.parametrize(
    "operation", [upsert(student()), upsert(link()), fetch_user("u-1"), fetch_agents("u-1")]
)
def test_an_answer_that_is_not_json_is_not_from_timeback(operation: Operation, body: bytes) -> None:
    with pytest.raises(ProtocolError):
        answered_id(operation.request, Response(200, {}, body))


@pytest.mark.parametrize(
    ("request_made", "body"),
    [
        (fetch_user("u-1").request, b"{}"),
        (fetch_user("u-1").request, b'{"user": "u-1"}'),
        (fetch_agents("u-1").request, b'{"agents": {}}'),
        (fetch_agents("u-1").request, b'{"agents": ["u-1"]}'),
        (page_request_of("users"), b'{"orgs": []}'),
        (page_request_of("orgs"), b"[]"),
    ],
)
def test_a_read_that_comes_back_without_what_was_asked_is_a_broken_answer(
    request_made: Request, body: bytes
) -> None:
    with pytest.raises(ProtocolError, match=f"does not contain '{request_made.envelope}'"):
        answered_id(request_made, Response(200, {}, body))


def test_a_read_that_comes_back_empty_is_a_broken_answer() -> None:
    with pytest.raises(ProtocolError):
        answered_id(fetch_user("u-1").request, Response(200, {}, b""))


def test_the_answer_to_a_raw_call_is_the_business_of_the_caller() -> None:
    request = raw("GET", "/x", None, None)

    assert answered_id(request, Response(200, {}, b"<html>")) == ""


BROKEN = [b'{"user":{"sourcedId":"u-1","x":"\xff"}}', b'{"user":{"sourcedId":"u-1","x":1e999}}']


@pytest.mark.parametrize("body", BROKEN)
def test_what_was_written_is_written_though_its_echo_cannot_be_read(body: bytes) -> None:
    operation = upsert(user())

    found = answered_id(operation.request, Response(200, {}, body))

    assert found == "u-1"
    assert operation.decode(body) is None


@pytest.mark.parametrize("body", BROKEN)
def test_what_was_to_be_read_and_cannot_be_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="not JSON"):
        fetch_user("u-1").decode(body)


@pytest.mark.parametrize(
    ("record", "kind", "is_taken"),
    [
        (user(), "text/plain; charset=utf-8", True),
        (user(), "text/html", False),
        (user(), "application/json", False),
    ],
)
def test_a_plain_word_is_an_answer_to_a_write_where_it_says_that_it_is_one(
    record: object, kind: str, is_taken: bool
) -> None:
    response = Response(201, {"Content-Type": kind}, b"Created")

    if is_taken:
        assert answered_id(upsert(record).request, response) == ""
    else:
        with pytest.raises(ProtocolError):
            answered_id(upsert(record).request, response)
