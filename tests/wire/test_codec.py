import json
from typing import Any

import msgspec
import pytest

from tests.support.records import link, student, user
from timeback_async import (
    AgentKey,
    AgentLink,
    OrgRef,
    Outcome,
    Student,
    User,
)
from timeback_async._wire import validate
from timeback_async._wire.codec import (
    Encoded,
    Operation,
    delete,
    encoded_link,
    fetch_agents,
    fetch_user,
    identify,
    raw,
    upsert,
)
from timeback_async._wire.http import CREATEPUT, READONLY, Request
from timeback_async.errors import RecordError

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


def test_a_role_in_wire_form_may_have_dates() -> None:
    org = {"sourcedId": "org-1", "type": "org"}
    role = {"roleType": "primary", "role": "aide", "org": org, "beginDate": "2025-08-01"}
    wire = {"user": json.loads(USER_BODY)["user"] | {"roles": [role]}}

    sent = msgspec.json.decode(upsert(wire).request.body or b"")

    assert sent == wire


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


# -- records that have been checked before


def encoded(record: Student | User) -> Encoded:
    kind = "student" if isinstance(record, Student) else "user"
    return Encoded(kind, record.sourced_id, msgspec.json.encode(record))


@pytest.mark.parametrize("record", [student(), user()])
def test_a_record_encoded_before_is_the_same_operation(record: Student | User) -> None:
    assert upsert(encoded(record)) == upsert(record)


def test_a_link_encoded_before_is_the_same_operation() -> None:
    assert upsert(encoded_link(link())) == upsert(link())


def test_a_record_encoded_before_is_neither_encoded_nor_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record, broken = encoded(student()), dict.fromkeys(("_encode", "_decode"))

    for name, nothing in broken.items():
        monkeypatch.setattr(validate, name, nothing)

    assert upsert(record).request.body == b'{"student":%b}' % record.body


def test_a_record_encoded_before_shows_its_id_alone() -> None:
    assert repr(encoded(student())) == "Encoded('student', 's-1', …)"
    assert list(encoded(student()).__rich_repr__()) == ["student", "s-1"]


class Interrupted(dict[str, object]):
    def items(self) -> Any:
        raise KeyboardInterrupt


def test_an_interruption_in_the_callers_own_mapping_is_no_record_without_a_name() -> None:
    with pytest.raises(KeyboardInterrupt):
        identify(Interrupted(student={}))
