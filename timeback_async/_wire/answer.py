"""Find out which record a 2xx answer is about, to know whether it answers our request.

Only the members that show it are decoded here, not the record.
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


# Each reads only its own member, and ignores all others.
_read_answer: dict[str, Callable[[bytes], Any]] = {
    "": msgspec.json.decode,
    "student": msgspec.json.Decoder(_Student).decode,
    "user": msgspec.json.Decoder(_User).decode,
    "agents": msgspec.json.Decoder(_Agents).decode,
    "users": msgspec.json.Decoder(_Users).decode,
    "orgs": msgspec.json.Decoder(_Orgs).decode,
}


def answered_id(request: Request, response: Response) -> str:
    """Return the sourcedId in a 2xx answer, or "" when it contains none.

    The answer to a write may have no body. The answer to a read must contain what was requested.

    Raises:
        ProtocolError: The body is not JSON, so another server answered; or the answer to a read
            does not contain what was requested.
    """
    envelope = request.envelope
    is_read = request.method == "GET"
    if envelope is None or not (is_read or response.body):
        return ""
    try:
        try:
            found = getattr(_read_answer[envelope](response.body), envelope, UNSET)
        except msgspec.ValidationError:  # another shape, or not JSON after this point
            msgspec.json.decode(response.body)
            found = UNSET
    except NOT_JSON:
        if not is_read and _is_remark(response):
            return ""
        raise ProtocolError("the answer is not JSON") from None
    if found is UNSET and is_read:
        raise ProtocolError(f"the answer does not contain {envelope!r}")
    return found.sourced_id if isinstance(found, _Identity) else ""


def _is_remark(response: Response) -> bool:
    """Return whether an answer is blank, or plain text such as "Created"."""
    return not response.body.strip() or response.headers.get("Content-Type", "").startswith(
        "text/plain"
    )
