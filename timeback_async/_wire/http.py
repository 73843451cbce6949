"""A request and its response as plain data. No I/O."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

__all__ = [
    "CREATEPUT",
    "NOT_JSON",
    "READONLY",
    "Request",
    "Response",
    "decoded_json",
    "whole_number",
]

SCOPE_PREFIX = "https://purl.imsglobal.org/spec/or/v1p2/scope/"
CREATEPUT = SCOPE_PREFIX + "roster.createput"
READONLY = SCOPE_PREFIX + "roster.readonly"

# The errors of decoding what is not JSON: broken, nested too deeply, not UTF-8.
NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

MAX_DIGITS = 20  # of a number that a server writes as text

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


def decoded_json(body: bytes) -> Any:
    """Return a body decoded as JSON; a byte order mark before it is ignored.

    Raises one of `NOT_JSON`.

    Source: RFC 8259 section 8.1 (a parser may ignore the mark).
    """
    return msgspec.json.decode(body.removeprefix(BYTE_ORDER_MARK))


def whole_number(value: object) -> int | None:
    """Return a number that a server wrote, as such or as text; None for anything else.

    Python refuses to convert texts of thousands of digits, and no such number is meant.
    """
    if isinstance(value, str) and len(value) <= MAX_DIGITS and value.strip().isdecimal():
        return int(value)
    return value if type(value) is int else None


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request, encoded once. A retry sends the same bytes again.

    Attributes:
        method: HTTP method, in capitals.
        path: Path and query, percent-encoded, from "/"; appended to the base URL.
        scope: OAuth 2.0 scope.
        body: The bytes to send, or None for no body.
        envelope: The member of the answer that contains the record; "" when unknown, None when
            only the caller knows.
        sourced_id: The record that the answer must be about; "" for any.
    """

    method: str
    path: str
    scope: str
    body: bytes | None = None
    envelope: str | None = ""
    sourced_id: str = ""

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice leaves the same state as sending it once.

        Source: RFC 9110 section 9.2.2.
        """
        return self.method in IDEMPOTENT

    def __repr__(self) -> str:
        return f"Request({self._line})"

    def __rich_repr__(self) -> Any:
        yield self._line

    @property
    def _line(self) -> str:
        path, mark, _ = self.path.partition("?")  # a filter may name a person
        return f"{self.method} {path}{mark and '?…'}"


class Response(msgspec.Struct, frozen=True):
    """Hold the answer of the server.

    Attributes:
        status: HTTP status code.
        headers: Header fields. The lookup of a name must ignore case.
        body: The complete body, decompressed: at most `Config.max_response_bytes`. The body of an
            error answer may be cut off.
        close_connection: Closes the connection of this answer. It is called when the answer
            belongs to another request.
        request_id: What `TimebackSession.request` adds: the server's id of the request, or ours.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    close_connection: Callable[[], None] = lambda: None
    request_id: str = ""

    def json(self) -> object:
        """Return the body decoded as JSON; a byte order mark before it is ignored.

        Raises:
            msgspec.DecodeError: The body is not JSON.
            UnicodeDecodeError: The body is not UTF-8.
            RecursionError: The body is nested too deeply.
        """
        return decoded_json(self.body)

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> Any:
        yield self.status
