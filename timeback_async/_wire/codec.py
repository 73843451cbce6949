"""Turn an operation into a request, and an answer into a record.

Every record is checked here before it is sent: types, required fields, enums, ids. The checked
record itself is encoded, so that the two cannot differ.

Source: TimeBack onboarding guide (methods, paths, envelopes, scopes).
"""

import re
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from .._results import Outcome
from ..errors import RecordError
from ..models import AgentKey, AgentLink, UserRef
from ..models.ids import ID_RULE, is_sendable, path_segment
from ..models.kinds import KINDS
from .decode import (
    decode_agent,
    decode_agents,
    decode_nothing,
    decode_read_user,
    decode_student,
    decode_user,
)
from .http import CREATEPUT, READONLY, Request
from .validate import checked, encoded

__all__ = [
    "ROOT",
    "Encoded",
    "Gone",
    "Operation",
    "delete",
    "encoded_link",
    "fetch_agents",
    "fetch_user",
    "identify",
    "raw",
    "upsert",
]

ROOT = "/rostering/1.0"
STUDENTS = f"{ROOT}/students"
SAVED = Outcome.SAVED  # Python 3.11 looks a member of an enum up in four steps


class Operation(msgspec.Struct, frozen=True, gc=False):
    """The request of one record, with the decoder of its answer.

    Attributes:
        kind: "student", "user" or "agent".
        sourced_id: The sourcedId of the record; the `agent_id` of a link.
        request: The request.
        success: The outcome of a 2xx answer.
        decode: Returns the record in the answer, from its body.
        key: What may not be in flight twice, or None. Students and users share their keys, since
            TimeBack's links and reads address both as users.
        needs: The people who have to be saved first.
    """

    kind: str
    sourced_id: str
    request: Request
    success: Outcome
    decode: Callable[[bytes], Any]
    key: Hashable = None
    needs: tuple[str, ...] = ()


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """A record that was checked and encoded before. It is sent without being decoded.

    Attributes:
        kind: "student", "user" or "agent".
        sourced_id: The sourcedId of the record; the `agent_id` of a link.
        body: The record as JSON; for a link, the body of its request.
        people: For a link, the sourcedIds of its student and its agent; else empty.
    """

    kind: str
    sourced_id: str
    body: bytes
    people: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Encoded({self.kind!r}, {self.sourced_id!r}, …)"

    def __rich_repr__(self) -> Any:
        yield self.kind
        yield self.sourced_id


class Gone(RecordError):
    """Stands for a person to be deleted whom the server does not have: nothing is left to do."""


def encoded_link(link: AgentLink) -> Encoded:
    """Encode a link whose ids were checked before."""
    user = UserRef(link.user_id)
    body = encoded({"user": user, "relationshipType": link.relationship_type})
    return Encoded("agent", link.agent_id, body, (link.student_id, link.user_id))


def upsert(record: object, only: str | None = None) -> Operation:
    """Return the operation that creates or updates a student, a user or a link.

    Args:
        record: One of these:
            - a `Student`, `User` or `AgentLink`
            - a mapping in wire form with its envelope: `{"student": {…}}`, `{"user": {…}}` or
              `{"agent": {…}}`
            - an `Encoded`, which is sent as it is
            - a `RecordError`, for a record that could not be read; it is raised, as is `Gone`
        only: The one kind that is accepted; None for any.

    Raises:
        RecordError: `record` is something else, or not valid. The field is named in wire form.
    """
    if type(record) is Encoded:
        return _UPSERTS[record.kind](record.sourced_id, record.body, record.people)
    kind, value = _STRUCTS.get(type(record)), record
    if kind is None:
        kind, value = _opened(record, _STRUCTS.values(), "a Student, User or AgentLink")
    if only is not None and kind != only:
        raise RecordError("", f"must be a record of kind {only!r}, not {kind!r}")
    if kind == "agent":
        link, _ = checked(value, AgentLink)
        return upsert(encoded_link(link))
    person, body = checked(value, _SENT[kind])
    return _UPSERTS[kind](person.sourced_id, body, ())


def delete(key: object) -> Operation:
    """Return the operation that deletes a link.

    Args:
        key: An `AgentKey`, or its wire form with the envelope "agent".

    Raises:
        RecordError: `key` is something else, or not valid.
    """
    value = key if type(key) is AgentKey else _opened(key, ["agent"], "an AgentKey")[1]
    agent, _ = checked(value, AgentKey)
    request = Request("DELETE", _agent_path(agent.student_id, agent.agent_id), CREATEPUT, None)
    key = (agent.student_id, agent.agent_id)
    return Operation("agent", agent.agent_id, request, Outcome.DELETED, decode_nothing, key)


def fetch_agents(user_id: object) -> Operation:
    """Return the operation that reads the agents of a student.

    Raises:
        RecordError: The id may not be sent.
    """
    path = f"{ROOT}/users/{_segment(user_id, 'userId')}/agents"
    request = Request("GET", path, READONLY, None, "agents")
    return Operation("user", str(user_id), request, Outcome.FETCHED, decode_agents)


def fetch_user(user_id: object) -> Operation:
    """Return the operation that reads one user or student.

    Raises:
        RecordError: The id may not be sent.
    """
    path = f"{ROOT}/users/{_segment(user_id, 'userId')}"
    request = Request("GET", path, READONLY, None, "user", str(user_id))
    return Operation("user", str(user_id), request, Outcome.FETCHED, decode_read_user)


def raw(method: str, path: str, body: object, scope: str | None) -> Request:
    """Return a request that no operation here describes.

    Raises:
        RecordError: The method, the path or the body cannot be sent.
    """
    method = method.upper()
    if not method.isascii() or not method.isalpha():
        raise RecordError("method", "must be an HTTP method")
    segments = unquote(path.partition("?")[0]).split("/")
    if not re.fullmatch(r"/(?!/)[!-~]*", path) or "#" in path or {".", ".."} & set(segments):
        rule = 'must begin with one "/", be percent-encoded, and not contain "#", "/./" or "/../"'
        raise RecordError("path", rule)
    if body is not None and not isinstance(body, bytes):
        body = encoded(body)
    if scope is None:
        scope = READONLY if method in ("GET", "HEAD") else CREATEPUT
    return Request(method, path, scope, body, None)


def identify(record: object) -> tuple[str, str]:
    """Return the kind and the id of a record that is not valid, each "" when unknown."""
    try:
        for struct, name in _STRUCTS.items() | {AgentKey: "agent"}.items():
            if isinstance(record, struct):
                return name, _text(getattr(record, KINDS[name].id_field))
        if isinstance(record, Mapping) and len(record) == 1:
            ((name, inner),) = record.items()
            if name in KINDS and isinstance(inner, Mapping):
                return name, _text(inner.get(KINDS[name].id_member))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: S110 - the caller's own mapping may raise anything at all
        pass
    return "", ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# -- what we send


People = tuple[str, ...]


def _upsert_student(sourced_id: str, body: bytes, _: People) -> Operation:
    body = b'{"student":' + body + b"}"
    request = Request("PUT", STUDENTS, CREATEPUT, body, "student", sourced_id)
    return Operation("student", sourced_id, request, SAVED, decode_student, sourced_id)


def _upsert_user(sourced_id: str, body: bytes, _: People) -> Operation:
    path, body = f"{ROOT}/users/{path_segment(sourced_id)}", b'{"user":' + body + b"}"
    request = Request("PUT", path, CREATEPUT, body, "user", sourced_id)
    return Operation("user", sourced_id, request, SAVED, decode_user, sourced_id)


def _upsert_agent(agent_id: str, body: bytes, people: People) -> Operation:
    key = (people[0], agent_id)
    request = Request("PUT", _agent_path(*key), CREATEPUT, body)
    return Operation("agent", agent_id, request, SAVED, decode_agent, key, people)


_UPSERTS = {"student": _upsert_student, "user": _upsert_user, "agent": _upsert_agent}
_SENT: dict[str, Any] = {name: kind.sent for name, kind in KINDS.items()}
_STRUCTS: dict[type, str] = {kind.sent: kind.name for kind in KINDS.values()}


def _agent_path(student_id: str, agent_id: str) -> str:
    return f"{STUDENTS}/{path_segment(student_id)}/agents/{path_segment(agent_id)}"


def _segment(sourced_id: object, field: str) -> str:
    if not isinstance(sourced_id, str) or not is_sendable(sourced_id):
        raise RecordError(field, ID_RULE)
    return path_segment(sourced_id)


def _opened(record: object, names: Collection[str], wanted: str) -> tuple[str, object]:
    """Return the name and the content of the envelope of a record in wire form."""
    if isinstance(record, RecordError):
        raise record
    if isinstance(record, Mapping) and len(record) == 1:
        for name in record:
            if name in names:
                return name, record[name]
    form = " or ".join(f'{{"{name}": {{…}}}}' for name in names)
    if isinstance(record, Mapping):
        raise RecordError("", f"a mapping must have its envelope as the only key: {form}")
    kind = type(record).__name__
    raise RecordError("", f"must be {wanted}, or in wire form {form}; it is a {kind}")
