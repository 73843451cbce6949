"""Turn an answer with an error status into an error: its class, its text, and how long to wait.

No part of an error body is required. TimeBack, and the gateways in front of it, answer with imsx
status objects (bare or wrapped), OAuth 2.0 errors, plain messages, HTML, or nothing.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
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

__all__ = ["api_error", "error_words", "query_values", "request_id_of", "retry_after"]

MAX_DETAIL = 300
REQUEST_ID_HEADERS = ("X-Request-ID", "X-Correlation-ID", "X-Amzn-RequestId", "CF-Ray")
DETAILS = ("imsx_description", "error_description", "message", "detail", "description", "title")
# Members whose values are not personal: they may be part of an error's detail.
IMPERSONAL = frozenset(
    ["sourcedid", "status", "enableduser", "roles", "primaryorg", "relationshiptype", "user",
     "student", "type"]
)  # fmt: skip

_seconds = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII).fullmatch
_email = re.compile(r"[^\s@'\"<>(),;:]+@[^\s@'\"<>(),;:]+")
_quoted = re.compile(r"'([^']*)'").findall
_unprintable = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def api_error(
    response: Response, sent: bytes | None, request_id: str, secrets: Sequence[str] = ()
) -> ApiError:
    """Return the error for an answer that is not 2xx.

    Args:
        response: The answer.
        sent: The body of the request. Its values are removed from the server's text.
        request_id: The id that we sent, for an answer that has none.
        secrets: Tokens and other values that were sent, which are removed too.
    """
    status = response.status
    code, detail = error_words(response.body)
    values = [*secrets, *_sent_values(sent)]
    kind = _KINDS.get(status) or _FAMILIES.get(status // 100, ApiError)
    error = kind(
        status,
        code=_without(code, values)[:64],
        detail=_without(detail, values)[:MAX_DETAIL],
        request_id=request_id_of(response.headers) or request_id,
        retry_after=retry_after(response.headers),
    )
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
            return _unprintable.sub(" ", value)[:128]
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


def error_words(body: bytes) -> tuple[str, str]:
    """Return the minor code and the description in an error body, each "" when missing."""
    try:
        facts = _facts(msgspec.json.decode(body))
        code = _code_minor(facts.get("imsx_codeminor"))
        details = list(_strings(facts.get("imsx_error_details")))
    except NOT_JSON:
        return "", ""
    error = facts.get("error")
    if not code and isinstance(error, str):
        code = error
    found = [facts[name] for name in DETAILS if isinstance(facts.get(name), str)][:1]
    return _line(code), _line("; ".join(found + details))


def _facts(root: object) -> dict[str, Any]:
    """Return the members of an object and of the objects in it as one dict, names in lower case."""
    if not isinstance(root, dict):
        return {}
    facts = {name.lower(): value for name, value in root.items()}
    for inner in root.values():
        if isinstance(inner, dict):
            facts = {name.lower(): value for name, value in inner.items()} | facts
    return facts


def _code_minor(found: object) -> str:
    if isinstance(found, str):
        return found
    fields = _facts(found).get("imsx_codeminorfield")
    for field in fields if isinstance(fields, list) else [fields]:
        value = _facts(field).get("imsx_codeminorfieldvalue")
        if isinstance(value, str):
            return value
    return ""


def _sourced_id(body: bytes) -> str:
    try:
        found = _facts(msgspec.json.decode(body)).get("sourcedid", "")
    except NOT_JSON:
        return ""
    return found if isinstance(found, str) else ""


def _line(text: str) -> str:
    return _unprintable.sub(" ", text).strip()


def _sent_values(sent: bytes | None) -> list[str]:
    """Return the personal values in a request body: all except those of `IMPERSONAL` members."""
    try:
        body = msgspec.json.decode(sent or b"null")
        if isinstance(body, dict):
            facts = _facts(body)
            body = {name: value for name, value in facts.items() if name not in IMPERSONAL}
        return list(_strings(body))
    except NOT_JSON:
        return []


def query_values(path: str) -> list[str]:
    """Return the values in the query of a path, and the texts in quotes in them."""
    values = [value for _, value in parse_qsl(path.partition("?")[2])]
    return values + [text for value in values for text in _quoted(value)]


def _without(text: str, values: list[str]) -> str:
    """Remove values, and everything like an e-mail address, from the server's text."""
    for value in sorted(set(values), key=len, reverse=True) if text else ():
        if len(value) > 1:
            # A short value may be part of other words: remove it only as a whole word.
            pattern = re.escape(value) if len(value) > 3 else rf"(?<!\w){re.escape(value)}(?!\w)"
            text = re.sub(pattern, "…", text, flags=re.IGNORECASE)
    return _email.sub("…", text)


def _strings(value: object) -> Iterator[str]:
    """Yield all scalars in a decoded JSON value, and the names in `metadata`, as text."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "metadata" and isinstance(inner, dict):
                yield from map(_line, inner)
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield _line(str(value))
