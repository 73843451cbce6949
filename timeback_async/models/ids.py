"""Check which sourcedIds may be sent, and encode them for a path.

A path, a proxy or a header parser reads some ids differently, and the request then changes the
record of another student. Such ids are rejected. All other ids are percent-encoded.
"""

import re
from typing import Annotated
from urllib.parse import quote
from uuid import UUID, uuid5

import msgspec

__all__ = ["ID_RULE", "SourcedId", "agent_id_of", "is_sendable", "path_segment"]

ID_RULE = (
    "must be 1 to 255 characters, without control characters, without spaces at its start or end, "
    "and without '.' or '..' as a path segment"
)

MAX_LENGTH = 255

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_is_fit = re.compile(
    r"(?!(?:.*/)?\.{1,2}(?:/|\Z))"
    rf"[^\s{_CONTROL}](?:[^{_CONTROL}]*[^\s{_CONTROL}])?"
).fullmatch
_is_unreserved = re.compile(r"[0-9A-Za-z._~-]*").fullmatch

# `is_sendable` is asked when a record is sent: a pattern in here would cost five times as much.
SourcedId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LENGTH)]

_LINKS = UUID("8d0a52c4-6f3e-5b1d-9a77-3c1c54e0b6f2")


def agent_id_of(student_id: str, user_id: str) -> str:
    """Return the id of the link between two people. The same two always give the same id.

    A line feed joins the ids, since no id can contain one: ("a", "b/c") and ("a/b", "c") differ.

    Source: RFC 9562 section 5.5 (UUIDv5).
    """
    return str(uuid5(_LINKS, f"{student_id}\n{user_id}"))


def is_sendable(sourced_id: str) -> bool:
    """Return whether an id may be sent, in a body or in a path.

    Source: OneRoster 1.2 (an id may contain "/" and "@").
    """
    if not 0 < len(sourced_id) <= MAX_LENGTH:
        return False
    # Nearly all real ids are so plain, and this costs a fraction of the pattern.
    is_plain = sourced_id.isprintable() and not (" " in sourced_id or "/" in sourced_id)
    return (is_plain and sourced_id[0] != ".") or _is_fit(sourced_id) is not None


def path_segment(sourced_id: str) -> str:
    """Return an id that may be sent, percent-encoded for a URL path.

    Source: RFC 3986 section 2.1.
    """
    # `quote` finds out the same, and takes three times as long.
    return sourced_id if _is_unreserved(sourced_id) else quote(sourced_id, safe="")
