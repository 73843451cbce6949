"""Turn an operation into a request, and an answer into a record.

Everything that is sent is checked here first: types, required fields, enums, ids. What has been
checked is what is encoded, so nothing can differ between the two.

Source: TimeBack onboarding guide (methods, paths, envelopes, scopes).
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urlencode

import msgspec
from msgspec import UNSET, UnsetType

from .._results import Outcome
from ..errors import ConfigError, ProtocolError, RecordError
from ..models import (
    AgentKey,
    AgentLink,
    AgentRecord,
    OrgRecord,
    Student,
    StudentRecord,
    User,
    UserRecord,
    UserRef,
)
from ..models.ids import ID_RULE, path_segment
from .http import CREATEPUT, READONLY, Request, Response
from .validate import checked, encoded

__all__ = ["Operation", "answered_id", "delete", "fetch_agents", "fetch_user", "identify",
           "page_of", "page_request", "raw", "upsert"]  # fmt: skip

ROOT = "/rostering/1.0"
MAX_PAGE = 100


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One record's request, with what the bulk run needs to know about it.

    `key` may not be in flight twice; the people in `needs` have to be written first. Students
    and users share one key space, since TimeBack's links and reads address both as users.
    """

    kind: str
    sourced_id: str
    request: Request
    success: Outcome
    decode: Callable[[bytes], Any]
    key: Hashable = None
    needs: tuple[str, ...] = ()


def upsert(record: object, only: str | None = None) -> Operation:
    """Return the operation that creates or updates a student, a user or an agent link.

    Args:
        record: A `Student`, `User` or `AgentLink`, or a mapping in wire form with its envelope:
            `{"student": {…}}`, `{"user": {…}}`, `{"agent": {…}}`. A `RecordError` stands for a
            record that its reader could not make out, and is raised as it is.
        only: The one kind that is meant; None for any.

    Raises:
        RecordError: It is something else, or not valid; the field is named in wire form.
    """
    kind, value = _envelope(record, _STRUCTS, "a Student, User or AgentLink")
    if only is not None and kind != only:
        raise RecordError("", f"must be a record of kind {only!r}, not {kind!r}")
    return _UPSERTS[kind](value)


def delete(key: object) -> Operation:
    """Return the operation that deletes the link an `AgentKey`, or its wire form, names.

    Raises:
        RecordError: It is something else, or not valid.
    """
    _, value = _envelope(key, {AgentKey: "agent"}, "an AgentKey")
    agent, _ = checked(value, AgentKey)
    request = Request("DELETE", _agent_path(agent.student_id, agent.agent_id), CREATEPUT, None)
    own = (agent.student_id, agent.agent_id)
    return Operation("agent", agent.agent_id, request, Outcome.DELETED, _nothing, own)


def fetch_agents(user_id: object) -> Operation:
    """Return the operation that reads the people linked to a user or student.

    Raises:
        RecordError: The id may not be sent.
    """
    path = f"{ROOT}/users/{_segment(user_id, 'userId')}/agents"
    request = Request("GET", path, READONLY, None, "agents")
    return Operation("user", str(user_id), request, Outcome.FETCHED, _decode_agents)


def fetch_user(user_id: object) -> Operation:
    """Return the operation that reads one user.

    Raises:
        RecordError: The id may not be sent.
    """
    path = f"{ROOT}/users/{_segment(user_id, 'userId')}"
    request = Request("GET", path, READONLY, None, "user", str(user_id))
    return Operation("user", str(user_id), request, Outcome.FETCHED, _decode_read_user)


def raw(method: str, path: str, body: object, scope: str | None) -> Request:
    """Return a request for a call that has no operation of its own.

    Raises:
        RecordError: The method, the path or the body cannot be sent.
    """
    method = method.upper()
    if not method.isascii() or not method.isalpha():
        raise RecordError("method", "must be an HTTP method")
    segments = unquote(path.partition("?")[0]).split("/")
    if not re.fullmatch(r"/(?!/)[!-~]*", path) or "#" in path or {".", ".."} & set(segments):
        rule = 'must begin with one "/", be percent-encoded, and hold no "#" and no dot segments'
        raise RecordError("path", rule)
    if body is not None and not isinstance(body, bytes):
        body = encoded(body)
    if scope is None:
        scope = READONLY if method in ("GET", "HEAD") else CREATEPUT
    return Request(method, path, scope, body, None)


def page_request(
    collection: str,
    *,
    limit: int,
    offset: int,
    filter: str | None,
    sort: str | None,
    order_by: str | None,
    fields: str | Sequence[str] | None,
) -> Request:
    """Return the request for one page of `users` or `orgs`.

    Raises:
        ConfigError: `limit` is not within 1 to 100, or `order_by` is neither ASC nor DESC.

    Source: OneRoster 1.2 REST binding (limit, offset, sort, orderBy, filter, fields).
    """
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise ConfigError(f"page_size: must be a whole number from 1 to {MAX_PAGE}")
    if order_by is not None and order_by.upper() not in ("ASC", "DESC"):
        raise ConfigError('order_by: must be "ASC" or "DESC"')
    query = {
        "limit": limit,
        "offset": offset,
        "filter": filter,
        "sort": sort,
        "orderBy": order_by and order_by.upper(),
        "fields": fields if fields is None or isinstance(fields, str) else ",".join(fields),
    }
    given = {name: value for name, value in query.items() if value is not None}
    path = f"{ROOT}/{collection}?{urlencode(given, quote_via=quote, safe='')}"
    return Request("GET", path, READONLY, None, collection)


def page_of(collection: str, body: bytes) -> tuple[list[Any], int | None]:
    """Return the records of one page, and the total the server counts, if it does."""
    page = _object(body)
    found = [_RECEIVED[collection].from_wire(item) for item in page[collection]]
    total = page.get("total")
    return found, total if isinstance(total, int) else None


def identify(record: object) -> tuple[str, str]:
    """Return kind and id of a record that is not valid, each "" where it cannot be told."""
    with suppress(Exception):  # a mapping of the caller's own may raise anything
        for struct, kind in _STRUCTS.items() | {AgentKey: "agent"}.items():
            if isinstance(record, struct):
                return kind, _text(getattr(record, _OWN_ID[kind][0]))
        if isinstance(record, Mapping) and len(record) == 1:
            ((kind, inner),) = record.items()
            if kind in _OWN_ID and isinstance(inner, Mapping):
                return kind, _text(inner.get(_OWN_ID[kind][1]))
    return "", ""


# The member that holds a record's own id, in Python and on the wire.
_OWN_ID = {
    "student": ("sourced_id", "sourcedId"),
    "user": ("sourced_id", "sourcedId"),
    "agent": ("agent_id", "agentId"),
}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# -- what we send


def _upsert_student(value: object) -> Operation:
    student, body = checked(value, Student)
    body = b'{"student":%b}' % body
    own = student.sourced_id
    request = Request("PUT", f"{ROOT}/students", CREATEPUT, body, "student", own)
    return Operation("student", own, request, Outcome.SAVED, _decode_student, own)


def _upsert_user(value: object) -> Operation:
    user, body = checked(value, User)
    body = b'{"user":%b}' % body
    own = user.sourced_id
    request = Request("PUT", f"{ROOT}/users/{path_segment(own)}", CREATEPUT, body, "user", own)
    return Operation("user", own, request, Outcome.SAVED, _decode_user, own)


def _upsert_agent(value: object) -> Operation:
    link, _ = checked(value, AgentLink)
    user, kind = UserRef(link.user_id), link.relationship_type
    body = encoded({"user": user, "relationshipType": kind})
    request = Request("PUT", _agent_path(link.student_id, link.agent_id), CREATEPUT, body)
    own, needs = (link.student_id, link.agent_id), (link.student_id, link.user_id)
    return Operation("agent", link.agent_id, request, Outcome.SAVED, _decode_agent, own, needs)


_UPSERTS = {"student": _upsert_student, "user": _upsert_user, "agent": _upsert_agent}
_STRUCTS: dict[type, str] = {Student: "student", User: "user", AgentLink: "agent"}


def _agent_path(student_id: str, agent_id: str) -> str:
    return f"{ROOT}/students/{path_segment(student_id)}/agents/{path_segment(agent_id)}"


def _segment(sourced_id: object, field: str) -> str:
    segment = path_segment(sourced_id) if isinstance(sourced_id, str) else None
    if segment is None:
        raise RecordError(field, ID_RULE)
    return segment


def _envelope(record: object, structs: dict[type, str], wanted: str) -> tuple[str, object]:
    kind = structs.get(type(record))
    if kind is not None:
        return kind, record
    if isinstance(record, RecordError):
        raise record
    names = structs.values()
    form = " or ".join(f'{{"{name}": {{…}}}}' for name in names)
    if isinstance(record, Mapping):
        if len(record) == 1 and (name := next(iter(record))) in names:
            return name, record[name]
        raise RecordError("", f"a mapping must have the one key of its envelope: {form}")
    kind = type(record).__name__
    raise RecordError("", f"must be {wanted}, or in wire form {form}; it is a {kind}")


# -- what we receive


def _is_remark(response: Response) -> bool:
    """Whether an answer holds nothing, or "Created" and the like."""
    return not response.body.strip() or response.headers.get("Content-Type", "").startswith(
        "text/plain"
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except _UNREADABLE:
        raise ProtocolError("the answer is not JSON") from None
    return decoded if isinstance(decoded, dict) else {}


def _echo(body: bytes) -> dict[str, Any]:
    """Return the answer to a write, {} where it cannot be read: what was written is written."""
    try:
        return _object(body)
    except ProtocolError:
        return {}


_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def _decode_student(body: bytes) -> StudentRecord | None:
    student = _echo(body).get("student")
    return StudentRecord.from_wire(student) if isinstance(student, dict) else None


def _decode_user(body: bytes) -> UserRecord | None:
    user = _echo(body).get("user")
    return UserRecord.from_wire(user) if isinstance(user, dict) else None


def _decode_read_user(body: bytes) -> UserRecord:
    return UserRecord.from_wire(_object(body)["user"])


def _decode_agent(body: bytes) -> AgentRecord | None:
    # The body is unpublished: bare as it was sent, or in an envelope.
    answer = _echo(body)
    agent = answer.get("agent", answer)
    return AgentRecord.from_wire(agent) if isinstance(agent, dict) and "user" in agent else None


def _decode_agents(body: bytes) -> list[AgentRecord]:
    return [AgentRecord.from_wire(agent) for agent in _object(body)["agents"]]


def _nothing(body: bytes) -> None:
    return None


_RECEIVED: dict[str, Any] = {"users": UserRecord, "orgs": OrgRecord}


class _Identity(msgspec.Struct, rename="camel"):
    sourced_id: str = ""


class _Student(msgspec.Struct):
    student: _Identity | UnsetType = UNSET


class _User(msgspec.Struct):
    user: _Identity | UnsetType = UNSET


class _Agents(msgspec.Struct):
    agents: list[dict[str, Any]] | UnsetType = UNSET


class _Users(msgspec.Struct):
    users: list[dict[str, Any]] | UnsetType = UNSET


class _Orgs(msgspec.Struct):
    orgs: list[dict[str, Any]] | UnsetType = UNSET


# Each looks for its own member alone: what stands beside it is nobody's business.
_read_answer: dict[str, Callable[[bytes], Any]] = {
    "": msgspec.json.decode,
    "student": msgspec.json.Decoder(_Student).decode,
    "user": msgspec.json.Decoder(_User).decode,
    "agents": msgspec.json.Decoder(_Agents).decode,
    "users": msgspec.json.Decoder(_Users).decode,
    "orgs": msgspec.json.Decoder(_Orgs).decode,
}


def answered_id(request: Request, response: Response) -> str:
    """Return the sourcedId that a 2xx answer is about, or "" where it names none.

    A write may be answered with or without a body; a read has to be answered with what was read.

    Raises:
        ProtocolError: The body is not JSON, so whoever answered was not TimeBack; or a read
            came back without what it asked for.
    """
    envelope = request.envelope
    is_read = request.method == "GET"
    if envelope is None or not (is_read or response.body):
        return ""
    try:
        try:
            found = getattr(_read_answer[envelope](response.body), envelope, UNSET)
        except msgspec.ValidationError:  # of another shape, or not JSON further on
            msgspec.json.decode(response.body)
            found = UNSET
    except _UNREADABLE:
        if not is_read and _is_remark(response):
            return ""
        raise ProtocolError("the answer is not JSON") from None
    if found is UNSET and is_read:
        raise ProtocolError(f"the answer holds no {envelope!r}")
    return found.sourced_id if isinstance(found, _Identity) else ""
