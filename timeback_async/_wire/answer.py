"""Find out whether a 2xx answer is one to our request: whose record it is about.

Looks at the members that prove it and at nothing else, so no record is decoded here.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ..errors import ProtocolError
from .http import NOT_JSON, Request, Response

__all__ = ["answered_id"]


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
    except NOT_JSON:
        if not is_read and _is_remark(response):
            return ""
        raise ProtocolError("the answer is not JSON") from None
    if found is UNSET and is_read:
        raise ProtocolError(f"the answer holds no {envelope!r}")
    return found.sourced_id if isinstance(found, _Identity) else ""


def _is_remark(response: Response) -> bool:
    """Whether an answer holds nothing, or "Created" and the like."""
    return not response.body.strip() or response.headers.get("Content-Type", "").startswith(
        "text/plain"
    )
