"""Judge a 2xx answer: whether it proves that the request was carried out, and for which record.

A write is carried out only on proof: the status is one of `DONE`, and the answer is
- empty: no body, only white space, or an empty JSON value
- the record, in its own envelope or bare
- an imsx status of `success`
- a short remark such as "Created"

An answer that says that the request failed is an error of the server's, whatever its status and
whatever stands beside it. Every other answer leaves open what became of the request.

Source: 1EdTech OneRoster 1.1 and 1.2 (imsx_codeMajor: success, processing, failure, unsupported).
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET

from ..errors import ApiError, ProtocolError
from .http import NOT_JSON, Request, Response, decoded_json, whole_number
from .status import api_error, query_values

__all__ = ["answered_id"]

# 202 is a promise, 206 is a part, and 207 has a status for each of several parts.
DONE = frozenset({200, 201, 203, 204, 205})
REMARKS = {
    "PUT": {"ok", "success", "done", "no content", "created", "updated", "saved"},
    "DELETE": {"ok", "success", "done", "no content", "deleted", "removed"},
}
FAILED = {"failure", "unsupported", "failed", "fail", "error", "rejected", "invalid"}
# What gateways answer with: a message, and nothing but the id of the request beside it.
MESSAGE_ALONE = {"message", "requestid", "request_id"}
LISTS = ("agents", "users", "orgs")
REMARKS_ASIDE = ("warnings", "links")  # what they say is not about the request
MAX_WORDS = 80


class _Identity(msgspec.Struct, rename="camel", gc=False):
    sourced_id: str = ""


class _Student(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    record: _Identity = msgspec.field(name="student")


class _User(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    record: _Identity = msgspec.field(name="user")


class _Agent(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    user: _Identity
    relationship_type: str = ""
    agent_id: str = ""
    record: ClassVar[None] = None  # none with a sourcedId of its own


class _Agents(msgspec.Struct, forbid_unknown_fields=True):
    record: ClassVar[None] = None
    agents: list[dict[str, Any]]


# The usual answer of each operation, with nothing beside it: known in one step, without a look at
# the rest of the record. Every other answer is judged in full.
_usual: dict[str, Callable[[bytes], Any]] = {
    "": msgspec.json.Decoder(_Agent).decode,
    "student": msgspec.json.Decoder(_Student).decode,
    "user": msgspec.json.Decoder(_User).decode,
    "agents": msgspec.json.Decoder(_Agents).decode,
}


def answered_id(
    request: Request, response: Response, request_id: str = "", authorization: str = ""
) -> str:
    """Return the sourcedId in a 2xx answer that is proof, or "" when it contains none.

    Args:
        request: What was sent. The answer to a read must contain what was requested; an answer
            that only the caller can judge is not looked at.
        response: The answer.
        request_id: Our id of the request, for an answer that has none.
        authorization: The header that was sent; the token in it is kept out of errors.

    Raises:
        ApiError: The answer says that the request failed.
        ProtocolError: The answer does not say what became of the request. It is `retryable` when
            it is not from TimeBack: a page or a text, as in an outage.
    """
    envelope, is_read = request.envelope, request.method == "GET"
    if envelope is None:
        return ""
    if is_read or response.status in DONE:
        if not (response.body or is_read):
            if "Content-Encoding" in response.headers:  # aiohttp accepts gzip without its end
                raise ProtocolError("the answer was cut off")
            return ""
        try:
            record: _Identity | None = _usual[envelope](response.body).record
        except (KeyError, *NOT_JSON):
            pass
        else:
            if record is None:
                return ""
            if record.sourced_id:
                return record.sourced_id
    return _judged(request, response, request_id, authorization)


def _judged(request: Request, response: Response, request_id: str, authorization: str) -> str:
    """Return what `answered_id` does, for an answer in any form.

    The cases, in the order of the code:
    - the answer says that the request failed
    - the answer to a read contains what was requested, or that to a write is proof
    - the answer is a page or a text: somebody else has answered
    - the answer to a read contains something else
    - the answer to a write is no proof: a repetition would be answered in the same way
    """
    status, method = response.status, request.method
    secrets = (authorization.removeprefix("Bearer "), *query_values(request.path))

    def server_error() -> ApiError:
        return api_error(response, request.body, request_id, secrets)

    answer, is_json = _read(response.body)
    content = _content(request.envelope, answer)
    statements = list(_statements(answer, content))
    if any(map(_is_failure, statements)) or _is_message(answer):
        raise server_error()
    majors = {_word(said["imsx_codemajor"]) for said in statements if "imsx_codemajor" in said}
    is_proof = content is not None
    if method != "GET":
        is_proof = is_proof or bool(majors) or _is_remark(answer, method)
        is_proof = is_proof and status in DONE and majors <= {"success"}
    if is_proof:
        if request.envelope == "agents":
            _refuse_part(answer, content)
        return _id_in(content)
    if not is_json and (status in DONE or method == "GET"):
        raise ProtocolError(_with("the answer is not JSON", server_error().detail[:MAX_WORDS]))
    if method == "GET":
        raise ProtocolError(f"the answer does not contain {request.envelope!r}")
    accepted = "accepted, but " if status == 202 or "processing" in majors else ""
    wanted = "deleted" if method == "DELETE" else "saved"
    reason = f"HTTP {status}: {accepted}no proof that it was {wanted}"
    raise ProtocolError(_with(reason, server_error().detail), retryable=False)


def _refuse_part(answer: object, agents: object) -> None:
    """Raise if the links of a student, which have no pages, are not all there."""
    total = whole_number(answer.get("total")) if isinstance(answer, dict) else None
    number = len(agents) if isinstance(agents, list) else 0
    if total is not None and total > number:
        sent = f"the answer has {number} agents of {total}"
        raise ProtocolError(f"{sent}, and no way to ask for the others", retryable=False)


def _with(reason: str, words: str) -> str:
    return f"{reason}: {words}" if words else reason


# -- what an answer contains


def _read(body: bytes) -> tuple[object, bool]:
    """Return the JSON in a body, or else its text; and whether it is JSON."""
    try:
        return decoded_json(body), True
    except NOT_JSON:
        return body.decode("utf-8-sig", errors="replace"), False


def _content(envelope: str | None, answer: object) -> object:
    """Return the record or the list that an answer contains, or None.

    A list that is null is an empty one. A record need not have its envelope, unless there is a
    message beside it: that may say anything.
    """
    if not isinstance(answer, dict):
        return None
    if envelope in LISTS:
        found = answer.get(envelope, UNSET)
        is_list = isinstance(found, list) and all(isinstance(each, dict) for each in found)
        return found if is_list else [] if found is None else None
    # The answer to a link is not documented: expect the link as it was sent, or in an envelope.
    found = answer.get(envelope or "agent")
    if isinstance(found, dict):
        return found
    has_own = isinstance(answer.get("user"), dict) if not envelope else bool(_id_in(answer))
    return answer if has_own and "message" not in answer else None


def _id_in(content: object) -> str:
    found = content.get("sourcedId") if isinstance(content, dict) else None
    return str(found) if type(found) in (str, int) else ""


def _statements(answer: object, content: object) -> Iterator[dict[str, Any]]:
    """Yield all objects in an answer that are no part of the record, with names in lower case."""
    if isinstance(answer, dict) and answer is content:
        yield _lowered(answer)
        return
    waiting = [answer]
    for value in waiting:  # it grows
        if isinstance(value, dict):
            yield _lowered(value)
            for name, inner in value.items():
                # A record without an id may be something else in its place.
                if inner is not content or not _id_in(content):
                    waiting += [] if name.lower() in REMARKS_ASIDE else [inner]
        elif isinstance(value, list):
            waiting += value


def _lowered(members: dict[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in members.items()}


# -- what it says


def _word(value: object) -> str:
    """Return a text as it is compared: without its final punctuation, whatever its case."""
    return value.strip().rstrip(".!").casefold() if isinstance(value, str) else ""


def _is_failure(said: dict[str, Any]) -> bool:
    """Return whether an object says that the request failed."""
    statuses = [said.get(name) for name in ("status", "statuscode", "status_code")]
    return (
        _word(said.get("imsx_codemajor")) in ("failure", "unsupported")
        or any(said.get(name) for name in ("error", "errors", "errormessage", "fault"))
        or any(said.get(name) in (False, "false") for name in ("success", "ok"))
        or any(_word(status) in FAILED for status in statuses)
        or any((whole_number(status) or 0) >= 300 for status in statuses)
    )


def _is_message(answer: object) -> bool:
    """Return whether an answer is a message alone, as gateways send it, and no remark."""
    if not isinstance(answer, dict):
        return False
    said = _lowered(answer)
    word = _word(said.get("message"))
    return said.keys() <= MESSAGE_ALONE and bool(word) and word not in REMARKS["PUT"]


def _is_remark(answer: object, method: str) -> bool:
    """Return whether an answer is empty, or short words of success."""
    if isinstance(answer, str):
        return not answer.strip() or _word(answer) in REMARKS[method]
    return answer in (None, [], {})
