"""A request as we describe it and a response as we keep it: plain data, no I/O."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

__all__ = ["CREATEPUT", "NOT_JSON", "READONLY", "Request", "Response"]

SCOPE_PREFIX = "https://purl.imsglobal.org/spec/or/v1p2/scope/"
CREATEPUT = SCOPE_PREFIX + "roster.createput"
READONLY = SCOPE_PREFIX + "roster.readonly"

# What decoding raises for bytes that are not JSON: broken, nested too deeply, not UTF-8.
NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


class Request(msgspec.Struct, frozen=True, gc=False):
    """One call, encoded once; a retry sends the same bytes again.

    `path` starts with "/" and is percent-encoded; it is appended to the base URL. `envelope` is
    the member of the answer that holds the record, "" where no one knows, None where the answer
    is the caller's business; `sourced_id` is the record it has to be about.
    """

    method: str
    path: str
    scope: str
    body: bytes | None = None
    envelope: str | None = ""
    sourced_id: str = ""

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice leaves the same state.

        Source: RFC 9110 section 9.2.2.
        """
        return self.method in IDEMPOTENT

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path})"

    def __rich_repr__(self) -> Any:
        yield f"{self.method} {self.path}"


class Response(msgspec.Struct, frozen=True):
    """What the server answered.

    Attributes:
        status: HTTP status code.
        headers: Header fields; lookup ignores case.
        body: The bytes, decompressed, complete, at most `Config.max_response_bytes`.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    # Closes the connection the answer came on, for an answer that belongs to another request.
    close_connection: Callable[[], None] = lambda: None

    def json(self) -> object:
        """Return the body decoded as JSON.

        Raises:
            msgspec.DecodeError: The body is not JSON.
        """
        return msgspec.json.decode(self.body)

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> Any:
        yield self.status
