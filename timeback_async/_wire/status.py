"""Turn an answer that means failure into an error: its class, its text, and how long to wait."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl

import msgspec

from ..errors import (
    ApiError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    RedirectError,
    ServerError,
)
from .http import NOT_JSON, Response
from .private import Private, personal_values
from .words import error_words, facts_of, one_line, text_of

__all__ = ["api_error", "error_words", "query_values", "request_id_of", "retry_after"]

MAX_DETAIL = 300
REQUEST_ID_HEADERS = ("X-Request-ID", "X-Correlation-ID", "X-Amzn-RequestId", "CF-Ray")

_seconds = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII).fullmatch
_quoted = re.compile(r"'([^']*)'").findall


def api_error(
    response: Response, sent: bytes | None, request_id: str, secrets: Sequence[str] = ()
) -> ApiError:
    """Return the error for an answer that means failure, whatever its status.

    Args:
        response: The answer.
        sent: The body of the request. What is personal in it is not shown.
        request_id: The id that we sent, for an answer that has none.
        secrets: Tokens and other values that were sent, which are not shown either.
    """
    status = response.status
    code, words = error_words(response.body)
    # Most errors of an outage say nothing, and cost nothing here.
    private = Private([*secrets, *personal_values(sent)] if code or words else ())
    kind = _KINDS.get(status) or _FAMILIES.get(status // 100, ApiError)
    error = kind(
        status,
        code=code if private.out_of(code) == code else "",
        detail=private.out_of(words)[:MAX_DETAIL],
        request_id=request_id_of(response.headers) or request_id,
        retry_after=retry_after(response.headers),
    )
    for secret in secrets:
        words = words.replace(secret, "…") if len(secret) > 3 else words
    error.words = words
    if isinstance(error, ConflictError):
        error.sourced_id = _sourced_id(response.body)
    return error


_KINDS = {
    400: BadRequestError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitError,
}
_FAMILIES = {3: RedirectError, 5: ServerError}


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return the server's id of the request, or ""."""
    for name in REQUEST_ID_HEADERS:
        if value := headers.get(name):
            return one_line(value)[:128]
    return ""


def retry_after(
    headers: Mapping[str, str], wall_clock: Callable[[], float] = time.time
) -> float | None:
    """Return the seconds that the server asks us to wait, 0 or more; None if it does not ask.

    The longest of several values counts. An HTTP date is compared with the `Date` of the answer,
    since the server's clock and ours may differ; without a `Date`, with our clock. Values that
    cannot be read are ignored.

    Source: RFC 9110 section 10.2.3.
    """
    values = [part for value in _all(headers, "Retry-After") for part in _parts(value)]
    waits = [_wait(value, headers, wall_clock) for value in values]
    waits += [float(ms) / 1000 for ms in _all(headers, "retry-after-ms") if _seconds(ms.strip())]
    known = [wait for wait in waits if wait is not None]
    return max(0.0, *known) if known else None


def _parts(value: str) -> list[str]:
    """Return numbers that a proxy joined with commas as parts; a date, with its comma, as one."""
    parts = [part.strip() for part in value.split(",")]
    return parts if all(map(_seconds, parts)) else [value.strip()]


def _wait(value: str, headers: Mapping[str, str], wall_clock: Callable[[], float]) -> float | None:
    if _seconds(value):
        return float(value)
    until = _instant(value)
    if until is None:
        return None
    answered = _instant(headers.get("Date", ""))
    return until - (wall_clock() if answered is None else answered)


def _instant(http_date: str) -> float | None:
    try:
        instant = parsedate_to_datetime(http_date)
        # The oldest of the three forms has no zone, but every HTTP date is in UTC.
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _all(headers: Mapping[str, str], name: str) -> list[str]:
    getall = getattr(headers, "getall", None)
    if getall is not None:
        return list(getall(name, []))
    return [headers[name]] if name in headers else []


def _sourced_id(body: bytes) -> str:
    try:
        found = facts_of(msgspec.json.decode(text_of(body))).get("sourcedid", "")
    except NOT_JSON:
        return ""
    return found if isinstance(found, str) else ""


def query_values(path: str) -> list[str]:
    """Return the values in the query of a path, and the texts in quotes in them."""
    values = [value for _, value in parse_qsl(path.partition("?")[2])]
    return values + [text for value in values for text in _quoted(value)]
