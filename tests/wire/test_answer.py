import json
from typing import Any

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
from timeback_async._wire.pages import Query
from timeback_async.errors import ApiError, ProtocolError

BOM = b"\xef\xbb\xbf"


def page_request_of(collection: str) -> Request:
    """Return the request for the first page of a collection."""
    return Query(collection=collection, limit=100).page(0)


def request_of(operation: Operation) -> str:
    return f"{operation.request.method} {operation.request.path}"


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
        (upsert(user()), {"sourcedId": "u-1"}, UserRecord(sourced_id="u-1")),
        (upsert(student()), {"sourcedId": "s-1"}, StudentRecord(sourced_id="s-1")),
        (upsert(student()), {"student": None, "sourcedId": "s-1"}, None),
        (upsert(link()), AGENT, AGENT_RECORD),
        (upsert(link()), {"agent": AGENT}, AGENT_RECORD),
        (upsert(link()), {"agent": None}, None),
        (upsert(link()), {"status": "created"}, None),
        (fetch_agents("s-1"), {"agents": [AGENT]}, [AGENT_RECORD]),
        (fetch_agents("s-1"), {"agents": []}, []),
        (fetch_agents("s-1"), {"agents": None}, []),
        (fetch_user("u-1"), {"user": {"sourcedId": "u-1"}}, UserRecord(sourced_id="u-1")),
        (fetch_user("u-1"), {"sourcedId": "u-1"}, UserRecord(sourced_id="u-1")),
        (delete(AgentKey("s-1", "a-1")), {"deleted": True}, None),
    ],
)
def test_an_answer_is_decoded_to_the_record_in_it(
    operation: Operation, body: object, value: object
) -> None:
    answer = json.dumps(body).encode()

    assert operation.decode(answer) == operation.decode(BOM + answer) == value


# -- proof

LINK = upsert(link())
REMOVAL = delete(AgentKey("s-1", "a-1"))
WRITES = [upsert(student()), upsert(user()), LINK, REMOVAL]
SUCCESS = {"imsx_codeMajor": "success", "imsx_severity": "status"}
FAILURE = {
    "imsx_codeMajor": "failure",
    "imsx_severity": "error",
    "imsx_description": "not saved",
}


def told(body: object, status: int = 200, **headers: str) -> Response:
    """Return an answer; what is not bytes becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, headers, content)


@pytest.mark.parametrize("operation", WRITES, ids=request_of)
@pytest.mark.parametrize("status", [200, 201, 203, 204, 205])
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" \r\n", BOM, b"null", b"{}", b"[]", b'""', BOM + b"{}"),
        *(b"OK", b'"Success!"', b" ok.\n", b"no content", b"DONE"),
        SUCCESS,
        SUCCESS | {"imsx_codeMajor": " SUCCESS"},
        {"imsx_StatusInfo": SUCCESS},
        {"imsx_statusinfo": {"imsx_CodeMajor": "Success"}},
        {"statusInfoSet": [SUCCESS, SUCCESS]},
        {"statusInfoSet": {"statusInfo": [SUCCESS]}},
    ],
    ids=repr,
)
def test_a_write_is_proven_without_its_record(
    operation: Operation, status: int, body: object
) -> None:
    response = told(body, status)

    assert answered_id(operation.request, response) == ""
    assert operation.decode(response.body) is None


@pytest.mark.parametrize("body", [b"Created", b'"updated."', b"SAVED"])
def test_a_remark_of_saving_is_no_proof_of_a_deletion(body: bytes) -> None:
    assert answered_id(LINK.request, told(body)) == ""
    with pytest.raises(ProtocolError):
        answered_id(REMOVAL.request, told(body))


@pytest.mark.parametrize("body", [b"Deleted", b'"removed."'])
def test_a_remark_of_deletion_is_no_proof_of_saving(body: bytes) -> None:
    assert answered_id(REMOVAL.request, told(body)) == ""
    with pytest.raises(ProtocolError):
        answered_id(LINK.request, told(body))


@pytest.mark.parametrize("beside", [{}, {"errors": []}, {"error": None}, SUCCESS, {"new": 1}])
@pytest.mark.parametrize("mark", [b"", BOM])
@pytest.mark.parametrize(
    ("operation", "body", "sourced_id"),
    [
        (upsert(student()), {"student": {"sourcedId": "s-2", "new": [1]}}, "s-2"),
        (upsert(student()), {"student": {"sourcedId": 2}}, "2"),
        (upsert(student()), {"student": {}}, ""),
        (upsert(student()), {"student": {"sourcedId": None}}, ""),
        (upsert(student()), {"student": {"sourcedId": True}}, ""),
        (upsert(student()), {"sourcedId": "s-2", "status": "tobedeleted"}, "s-2"),
        (upsert(user()), {"user": {"sourcedId": "u-2"}}, "u-2"),
        (upsert(user()), {"sourcedId": "u-2", "metadata": {"error": "a word"}}, "u-2"),
        (upsert(user()), {"user": {"sourcedId": "u-2", "status": "invalid", "errors": [1]}}, "u-2"),
        (LINK, AGENT, ""),
        (LINK, {**AGENT, "agentId": "a-1"}, ""),
        (LINK, {"agent": AGENT}, ""),
        (REMOVAL, {"agent": AGENT}, ""),
        (fetch_user("u-1"), {"user": {"sourcedId": "u-2"}}, "u-2"),
        (fetch_user("u-1"), {"sourcedId": "u-2"}, "u-2"),
        (fetch_agents("s-1"), {"agents": [AGENT]}, ""),
        (fetch_agents("s-1"), {"agents": None}, ""),
    ],
)
def test_a_record_is_proof_and_its_id_is_found_or_left_open(
    operation: Operation, body: dict[str, Any], sourced_id: str, beside: dict[str, Any], mark: bytes
) -> None:
    response = told(mark + json.dumps(body | beside).encode())

    assert answered_id(operation.request, response) == sourced_id


def test_what_else_a_read_contains_does_not_matter() -> None:
    answer = {"user": {"sourcedId": "u-1"}, "agents": ["a-1"]}

    assert answered_id(fetch_user("u-1").request, told(answer, 206)) == "u-1"


# -- statements of failure


@pytest.mark.parametrize(
    "operation", [*WRITES, fetch_user("u-1"), fetch_agents("u-1")], ids=request_of
)
@pytest.mark.parametrize("status", [200, 201, 202, 207])
@pytest.mark.parametrize(
    "body",
    [
        FAILURE,
        {"imsx_StatusInfo": FAILURE},
        {"statusInfoSet": [SUCCESS, FAILURE]},
        {"imsx_codemajor": " Unsupported"},
        {"student": {"sourcedId": "s-1"}, "user": {"sourcedId": "u-1"}, **FAILURE},
        {"student": {}, "user": {}, "agent": AGENT, "agents": [], "errors": ["no"]},
        {"sourcedId": "s-1", "user": {"sourcedId": "u-1"}, "error": "no"},
        {"message": "Internal server error"},
        {"Message": "not saved", "requestId": "r-1"},
        {"error": "no"},
        {"error": {"code": 3}},
        {"errors": [{"message": "no"}]},
        {"errorMessage": "no", "errorType": "TypeError"},
        {"success": False},
        {"ok": False, "sourcedId": "s-1"},
        {"status": "failed"},
        {"status": "ERROR", "message": "x"},
        {"status": 500},
        {"statusCode": 400, "body": "{}"},
        {"fault": {"faultstring": "no"}},
        [{"sourcedId": "s-1", "status": "error"}],
        {"results": [{"sourcedId": "s-1", "status": 404}]},
    ],
    ids=repr,
)
def test_an_answer_that_says_failure_is_an_error_of_the_server(
    operation: Operation, status: int, body: object
) -> None:
    with pytest.raises(ApiError) as caught:
        answered_id(operation.request, told(body, status))

    assert type(caught.value) is ApiError
    assert caught.value.status == status
    assert not caught.value.retryable


def test_a_failure_has_the_words_of_the_server_without_ours() -> None:
    words = {"imsx_codeMinor": "invaliddata", "imsx_description": "Ada has no token-1"}
    answer = told(BOM + json.dumps(FAILURE | words).encode())

    with pytest.raises(ApiError) as caught:
        answered_id(upsert(student()).request, answer, "ours-1", "Bearer token-1")

    error = caught.value
    assert (error.code, error.detail) == ("invaliddata", "… has no …")
    assert error.request_id == "ours-1"


# -- answers that leave it open

OPEN = [
    *(b"1", b"true", b'"queued"', b"[1]", b"0", b"false"),
    {"foo": 1},
    {"ok": True},
    {"message": "Created"},
    {"message": None},
    {"sourcedId": "s-1", "message": "look into the log"},
    {"student": "s-1", "user": "s-1"},
    {"student": None, "user": None, "agent": None},
    {"imsx_codeMajor": "processing"},
    {"imsx_codeMajor": 1},
    {"student": {}, "agent": AGENT, "statusInfoSet": [SUCCESS, {"imsx_codeMajor": "processing"}]},
]


@pytest.mark.parametrize("operation", [upsert(student()), LINK, REMOVAL], ids=request_of)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((200, body) for body in OPEN),
        *((status, body) for status in (202, 206, 207, 208, 299) for body in (b"", b"{}", b"ok")),
        (202, {"student": {"sourcedId": "s-1"}, **AGENT}),
        (202, SUCCESS),
        (207, b"<multistatus/>"),
    ],
    ids=repr,
)
def test_an_answer_that_leaves_it_open_is_no_proof_and_is_not_asked_for_again(
    operation: Operation, status: int, body: object
) -> None:
    with pytest.raises(ProtocolError, match=rf"^HTTP {status}: .*no proof that it was") as caught:
        answered_id(operation.request, told(body, status))

    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("operation", "status", "body", "reason"),
    [
        (LINK, 202, b"", "HTTP 202: accepted, but no proof that it was saved"),
        (REMOVAL, 207, b"", "HTTP 207: no proof that it was deleted"),
        (
            LINK,
            200,
            {"imsx_codeMajor": "processing", "imsx_description": "in line"},
            "HTTP 200: accepted, but no proof that it was saved: in line",
        ),
    ],
)
def test_what_came_instead_of_proof_is_named(
    operation: Operation, status: int, body: object, reason: str
) -> None:
    with pytest.raises(ProtocolError) as caught:
        answered_id(operation.request, told(body, status))

    assert str(caught.value) == reason


@pytest.mark.parametrize("operation", [upsert(student()), fetch_user("s-1")], ids=request_of)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!doctype html><title lang=en> Log\n in </title><h1>Hello</h1>", ": Log in"),
        (b"<html><body><H1 class=x>Back soon</H1>Ada", ": Back soon"),
        (b"upstream gave\tno answer", ": upstream gave no answer"),
        (b"word " * 9000, ": " + ("word " * 16)[:80]),
        (b"<student><givenName>Zoe</givenName></student>", ""),
        (b'{"student":{"givenName":"Zo', ""),
        (b'"Zo', ""),
        (b"Caf\xe9 ", ": Café"),
        ('{"givenName":"Zoe"}'.encode("utf-16"), ""),
        ("Closed".encode("utf-16-le"), ": Closed"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_page_or_a_text_is_named_by_its_first_words(
    operation: Operation, body: bytes, words: str
) -> None:
    with pytest.raises(ProtocolError) as caught:
        answered_id(operation.request, told(body))

    assert str(caught.value) == f"the answer is not JSON{words}"
    assert caught.value.retryable


def test_the_words_of_a_page_contain_nothing_that_was_sent() -> None:
    page = b"<title>Ada Byron, ada@example.com, tok-1</title>"

    with pytest.raises(ProtocolError) as caught:
        answered_id(upsert(student()).request, told(page), "ours-1", "Bearer tok-1")

    assert str(caught.value) == "the answer is not JSON"


def test_what_was_packed_and_comes_out_empty_was_cut_off() -> None:
    with pytest.raises(ProtocolError, match="cut off"):
        answered_id(LINK.request, Response(201, {"Content-Encoding": "gzip"}, b""))


# -- what is no answer


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
    "beside",
    [{"success": "false"}, {"statusCode": "400"}, {"status_code": 500}, {"status": "404"}],
)
def test_a_denial_beside_the_record_counts_in_any_type(beside: dict[str, object]) -> None:
    body = {"student": {"sourcedId": "s-1"}, **beside}

    with pytest.raises(ApiError):
        answered_id(upsert(student()).request, told(body))


def test_an_error_in_place_of_the_record_is_no_record() -> None:
    with pytest.raises(ApiError):
        answered_id(upsert(student()).request, told({"student": {"error": "not saved"}}))


@pytest.mark.parametrize(
    "aside", [{"warnings": [{"status": "invalid"}]}, {"links": [{"status": 404}]}]
)
def test_warnings_and_links_say_nothing_about_the_request(aside: dict[str, object]) -> None:
    body = {"student": {"sourcedId": "s-1"}, **aside}

    assert answered_id(upsert(student()).request, told(body)) == "s-1"


@pytest.mark.parametrize("status", ["9" * 5000, "\u0663" * 5000, "\u00b2"])
def test_a_status_that_can_be_no_number_says_nothing(status: str) -> None:
    body = {"student": {"sourcedId": "s-1"}, "status": status}

    assert answered_id(upsert(student()).request, told(body)) == "s-1"
