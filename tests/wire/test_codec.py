import json
from typing import Any

import msgspec
import pytest

from tests.support.records import link, student, user
from timeback_async import (
    AgentKey,
    AgentLink,
    AgentRecord,
    OrgRecord,
    OrgRef,
    Outcome,
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
    identify,
    raw,
    upsert,
)
from timeback_async._wire.http import CREATEPUT, READONLY, Request
from timeback_async._wire.pages import page_of, page_request
from timeback_async.errors import ConfigError, ProtocolError, RecordError

LINK_ID = "1ee8dc9c-702a-5dd1-b4de-61ba861fa102"
STUDENT_BODY = (
    b'{"student":{"sourcedId":"s-1","givenName":"Ada","familyName":"Byron","status":"active",'
    b'"enabledUser":"true","username":"ada",'
    b'"primaryOrg":{"sourcedId":"org-1","type":"org"},"grades":["5"]}}'
)
USER_BODY = (
    b'{"user":{"sourcedId":"u-1","givenName":"Annabella","familyName":"Byron","status":"active",'
    b'"enabledUser":"true","roles":[{"roleType":"primary","role":"parent",'
    b'"org":{"sourcedId":"org-1","type":"org"}}]}}'
)
LINK_BODY = b'{"user":{"sourcedId":"u-1","type":"user"},"relationshipType":"parent"}'


def page(collection: str = "users", **changes: Any) -> Request:
    query: dict[str, Any] = {
        "limit": 100,
        "offset": 0,
        "filter": None,
        "sort": None,
        "order_by": None,
        "fields": None,
    }
    return page_request(collection, **(query | changes))


# -- methods, paths, scopes and bodies


@pytest.mark.parametrize(
    ("operation", "method", "path", "scope", "body", "success"),
    [
        (
            upsert(student()),
            "PUT",
            "/rostering/1.0/students",
            CREATEPUT,
            STUDENT_BODY,
            Outcome.SAVED,
        ),
        (upsert(user()), "PUT", "/rostering/1.0/users/u-1", CREATEPUT, USER_BODY, Outcome.SAVED),
        (
            upsert(link()),
            "PUT",
            f"/rostering/1.0/students/s-1/agents/{LINK_ID}",
            CREATEPUT,
            LINK_BODY,
            Outcome.SAVED,
        ),
        (
            delete(AgentKey("s-1", "a-1")),
            "DELETE",
            "/rostering/1.0/students/s-1/agents/a-1",
            CREATEPUT,
            None,
            Outcome.DELETED,
        ),
        (
            fetch_agents("s-1"),
            "GET",
            "/rostering/1.0/users/s-1/agents",
            READONLY,
            None,
            Outcome.FETCHED,
        ),
        (fetch_user("u-1"), "GET", "/rostering/1.0/users/u-1", READONLY, None, Outcome.FETCHED),
    ],
    ids=["student", "user", "link", "unlink", "agents", "get-user"],
)
def test_an_operation_is_the_request_that_the_api_documents(
    operation: Operation,
    method: str,
    path: str,
    scope: str,
    body: bytes | None,
    success: Outcome,
) -> None:
    request = operation.request

    assert (request.method, request.path, request.scope) == (method, path, scope)
    assert request.body == body
    assert operation.success is success


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (upsert(user("a/b?c#d")), "/users/a%2Fb%3Fc%23d"),
        (upsert(AgentLink("a/b", "u-1", "parent", "x y")), "/students/a%2Fb/agents/x%20y"),
        (delete(AgentKey("a/b", "é")), "/students/a%2Fb/agents/%C3%A9"),
        (fetch_agents("ada@example.com"), "/users/ada%40example.com/agents"),
        (fetch_user("a%2Fb"), "/users/a%252Fb"),
    ],
)
def test_an_id_in_a_path_is_percent_encoded(operation: Operation, path: str) -> None:
    assert operation.request.path == f"/rostering/1.0{path}"


@pytest.mark.parametrize(
    ("record", "wire"),
    [
        (student(), json.loads(STUDENT_BODY)),
        (user(), json.loads(USER_BODY)),
        (
            link(),
            {"agent": {"studentId": "s-1", "userId": "u-1", "relationshipType": "parent"}},
        ),
        (
            AgentLink("s-1", "u-1", "parent", "a-1"),
            {
                "agent": {
                    "studentId": "s-1",
                    "userId": "u-1",
                    "relationshipType": "parent",
                    "agentId": "a-1",
                }
            },
        ),
    ],
    ids=["student", "user", "link", "link-with-id"],
)
def test_a_record_in_wire_form_is_the_same_operation(record: object, wire: object) -> None:
    assert upsert(wire).request == upsert(record).request


def test_a_key_in_wire_form_is_the_same_operation() -> None:
    wire = {"agent": {"studentId": "s-1", "agentId": "a-1"}}

    assert delete(wire).request == delete(AgentKey("s-1", "a-1")).request


def test_an_operation_says_what_may_not_overtake_it() -> None:
    linked, unlinked = upsert(link()), delete(AgentKey("s-1", LINK_ID))

    assert (upsert(student("x")).key, upsert(user("x")).key) == ("x", "x")
    assert linked.key == unlinked.key == ("s-1", LINK_ID)
    assert linked.needs == ("s-1", "u-1")
    assert unlinked.needs == upsert(student()).needs == ()
    assert fetch_user("u-1").key is None


@pytest.mark.parametrize(
    ("operation", "kind", "sourced_id"),
    [
        (upsert(student()), "student", "s-1"),
        (upsert(user()), "user", "u-1"),
        (upsert(link()), "agent", LINK_ID),
        (delete(AgentKey("s-1", "a-1")), "agent", "a-1"),
        (fetch_agents("s-1"), "user", "s-1"),
        (fetch_user("u-1"), "user", "u-1"),
    ],
)
def test_an_operation_knows_its_record(operation: Operation, kind: str, sourced_id: str) -> None:
    assert (operation.kind, operation.sourced_id) == (kind, sourced_id)


# -- what cannot be sent


@pytest.mark.parametrize("record", [None, 5, "s-1", b"s-1", [], [student()], object(), OrgRef("o")])
def test_anything_else_is_refused_by_its_type(record: object) -> None:
    with pytest.raises(RecordError, match=rf"it is a {type(record).__name__}$") as caught:
        upsert(record)

    assert caught.value.field == ""


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"sourcedId": "s-1", "givenName": "canary"},
        {"student": {}, "user": {}},
        {"org": {}},
        {5: {}},
    ],
)
def test_a_mapping_without_its_envelope_is_told_how_to_have_one(record: object) -> None:
    with pytest.raises(RecordError, match=r'{"student": {…}} or {"user": {…}}') as caught:
        upsert(record)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("key", [None, "a-1", link(), {}, {"student": {}}, {"agent": {}, "a": {}}])
def test_only_a_key_can_be_deleted(key: object) -> None:
    with pytest.raises(RecordError, match=r"an AgentKey|\"agent\""):
        delete(key)


def test_a_key_with_a_wrong_id_is_refused() -> None:
    with pytest.raises(RecordError, match=r"^agentId: must be 1 to 255 characters"):
        delete(AgentKey("s-1", ".."))


@pytest.mark.parametrize("only", ["student", "user", "agent"])
def test_a_record_of_another_kind_than_asked_for_is_refused(only: str) -> None:
    records = {"student": student(), "user": user(), "agent": link()}

    for kind, record in records.items():
        if kind == only:
            assert upsert(record, only).kind == only
        else:
            with pytest.raises(RecordError, match=f"must be a record of kind '{only}'"):
                upsert(record, only)


def test_an_error_in_place_of_a_record_is_raised_as_it_is() -> None:
    error = RecordError("line 7", "is not JSON")

    with pytest.raises(RecordError) as caught:
        upsert(error)

    assert caught.value is error


@pytest.mark.parametrize("user_id", ["", "..", "a\nb", 5, None, b"u-1"])
@pytest.mark.parametrize("fetch", [fetch_agents, fetch_user])
def test_a_wrong_id_is_not_asked_for(fetch: Any, user_id: object) -> None:
    with pytest.raises(RecordError) as caught:
        fetch(user_id)

    assert caught.value.field == "userId"


# -- who it was

ODD: Any = 5


class Unreadable(dict[str, Any]):
    def __len__(self) -> int:
        raise OSError


@pytest.mark.parametrize(
    ("record", "identity"),
    [
        (student("s-1", given_name=5), ("student", "s-1")),
        (user("u-1"), ("user", "u-1")),
        (link(), ("agent", LINK_ID)),
        (AgentKey("s-1", "a-1"), ("agent", "a-1")),
        (student(ODD), ("student", "")),
        ({"student": {"sourcedId": "s-1"}}, ("student", "s-1")),
        ({"user": {"sourcedId": "u-1"}}, ("user", "u-1")),
        ({"agent": {"agentId": "a-1"}}, ("agent", "a-1")),
        ({"agent": {}}, ("agent", "")),
        ({"student": {"sourcedId": 5}}, ("student", "")),
        ({"student": 5}, ("", "")),
        ({"org": {"sourcedId": "o-1"}}, ("", "")),
        ({"student": {}, "user": {}}, ("", "")),
        ("u-1", ("", "")),
        (Unreadable(), ("", "")),
        (5, ("", "")),
        (None, ("", "")),
    ],
)
def test_a_record_that_is_not_valid_is_told_by_what_it_has(
    record: object, identity: tuple[str, str]
) -> None:
    assert identify(record) == identity


# -- calls without an operation


@pytest.mark.parametrize(
    ("method", "body", "scope", "request_made"),
    [
        ("get", None, None, Request("GET", "/x?a=1", READONLY, None, None)),
        ("HEAD", None, None, Request("HEAD", "/x?a=1", READONLY, None, None)),
        ("put", {"a": 1}, None, Request("PUT", "/x?a=1", CREATEPUT, b'{"a":1}', None)),
        ("post", b"as it is", None, Request("POST", "/x?a=1", CREATEPUT, b"as it is", None)),
        ("DELETE", None, "my-scope", Request("DELETE", "/x?a=1", "my-scope", None, None)),
    ],
)
def test_a_raw_call_is_sent_as_it_is_asked_for(
    method: str, body: object, scope: str | None, request_made: Request
) -> None:
    assert raw(method, "/x?a=1", body, scope) == request_made


@pytest.mark.parametrize("method", ["", "G T", "GET\r\n", "GÉT", "G3T"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    with pytest.raises(RecordError, match=r"^method: "):
        raw(method, "/x", None, None)


@pytest.mark.parametrize(
    "path",
    ["", "x", "//host/x", "https://host/x", "/a b", "/a\n", "/é", "/x#f", "/..", "/a/../b", "/a/."],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(RecordError, match=r"^path: "):
        raw("GET", path, None, None)


@pytest.mark.parametrize("path", ["/", "/a/b", "/a%20b", "/a?b=../c", "/a//b", "/.well-known"])
def test_any_other_path_may_be_asked_for(path: str) -> None:
    assert raw("GET", path, None, None).path == path


def test_a_body_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(RecordError, match="cannot be written as JSON"):
        raw("PUT", "/x", object(), None)


# -- lists


@pytest.mark.parametrize(
    ("request_made", "query"),
    [
        (page(), "users?limit=100&offset=0"),
        (page("orgs", limit=1, offset=300), "orgs?limit=1&offset=300"),
        (
            page(filter="givenName='Ada & Co' AND status!='x'"),
            (
                "users?limit=100&offset=0"
                "&filter=givenName%3D%27Ada%20%26%20Co%27%20AND%20status%21%3D%27x%27"
            ),
        ),
        (page(sort="familyName"), "users?limit=100&offset=0&sort=familyName"),
        (page(order_by="desc"), "users?limit=100&offset=0&orderBy=DESC"),
        (page(order_by="ASC"), "users?limit=100&offset=0&orderBy=ASC"),
        (page(fields="a,b"), "users?limit=100&offset=0&fields=a%2Cb"),
        (page(fields=["a", "b"]), "users?limit=100&offset=0&fields=a%2Cb"),
    ],
)
def test_a_page_is_asked_for_with_everything_encoded(request_made: Request, query: str) -> None:
    assert request_made == Request(
        "GET", f"/rostering/1.0/{query}", READONLY, None, query.partition("?")[0]
    )


@pytest.mark.parametrize("limit", [0, 101, -1, True, 10.0, "10", None])
def test_a_page_size_that_the_server_refuses_is_named(limit: object) -> None:
    with pytest.raises(ConfigError, match=r"^page_size: "):
        page(limit=limit)


@pytest.mark.parametrize("order_by", ["", "up", "ASC "])
def test_an_order_that_is_none_is_named(order_by: str) -> None:
    with pytest.raises(ConfigError, match=r"^order_by: "):
        page(order_by=order_by)


@pytest.mark.parametrize(
    ("total", "counted"), [(7, 7), (0, 0), (None, None), ("7", None), (7.5, None)]
)
def test_a_page_has_its_records_and_the_total(total: object, counted: int | None) -> None:
    body = json.dumps({"users": [{"sourcedId": "u-1", "new": 1}], "total": total}).encode()

    users, found = page_of("users", body)

    assert users == [UserRecord(sourced_id="u-1", extra={"new": 1})]
    assert found == counted


def test_a_page_without_a_total_has_none() -> None:
    orgs, total = page_of("orgs", b'{"orgs": [{"sourcedId": "o-1"}]}')

    assert (orgs, total) == ([OrgRecord(sourced_id="o-1")], None)


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
        (page("users"), b'{"orgs": []}'),
        (page("orgs"), b"[]"),
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


def test_a_role_in_wire_form_may_have_dates() -> None:
    org = {"sourcedId": "org-1", "type": "org"}
    role = {"roleType": "primary", "role": "aide", "org": org, "beginDate": "2025-08-01"}
    wire = {"user": json.loads(USER_BODY)["user"] | {"roles": [role]}}

    sent = msgspec.json.decode(upsert(wire).request.body or b"")

    assert sent == wire


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
