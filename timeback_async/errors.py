"""All errors that timeback_async raises: one class per decision that a caller can take.

    TimebackError
    ├── ConfigError            a setting is missing or wrong: fix it
    ├── SessionError           the session is not open, or belongs to another event loop
    ├── RecordError            one record cannot be sent as it is: fix the record
    ├── SourceError            the iterable of records itself raised
    ├── AuthError              credentials, scope or token rejected, or no token
    ├── TransportError         no complete answer was seen
    │   ├── ConnectError       no connection: unknown host, refused, TLS, proxy
    │   ├── TimedOutError      connected, but no answer in time
    │   └── ProtocolError      an answer that is broken, too large, or to another request
    ├── DeadlineError          a call used up its time; the last failure is attached
    └── ApiError               the server answered with an error status
        ├── RedirectError      3xx: redirects are never followed
        ├── BadRequestError    400, 422
        ├── ForbiddenError     403
        ├── NotFoundError      404
        ├── ConflictError      409
        ├── RateLimitError     429
        └── ServerError        5xx

Messages hold ids, statuses and field names. They never hold names, e-mail addresses, birth dates,
passwords or tokens. Every error can be pickled.
"""

from typing import Any

__all__ = [
    "ApiError",
    "AuthError",
    "BadRequestError",
    "ConfigError",
    "ConflictError",
    "ConnectError",
    "DeadlineError",
    "ForbiddenError",
    "NotFoundError",
    "ProtocolError",
    "RateLimitError",
    "RecordError",
    "RedirectError",
    "ServerError",
    "SessionError",
    "SourceError",
    "TimebackError",
    "TimedOutError",
    "TransportError",
]


class TimebackError(Exception):
    """The base class of all errors here.

    Attributes:
        retryable: Whether the same call may succeed when it is repeated unchanged.
        report: The `Report` of the bulk run that the error ended, else None.
    """

    retryable: bool = False
    report: Any = None  # not typed as a `Report`, whose module imports this one


class ConfigError(TimebackError):
    """Settings or arguments are missing or wrong: `args` has a line for each, "name: rule"."""

    def __str__(self) -> str:
        return "; ".join(map(str, self.args))


class SessionError(TimebackError):
    """The session was used before opening, after closing, or from another event loop."""


class RecordError(TimebackError):
    """One record cannot be sent as it is.

    Attributes:
        field: The field in wire form, such as `primaryOrg.sourcedId`, or "" for the whole record.
        reason: What is wrong with it. It may contain ids, but no other values.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field, self.reason = field, reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


class SourceError(TimebackError):
    """The iterable of records raised an exception, which is the `__cause__`."""


class AuthError(TimebackError):
    """Credentials, scope or token were rejected, or there was no way to get a token.

    It is `retryable` when the token endpoint failed in a way that may pass. It is not when the
    credentials, the scope or a fresh token were rejected: rejected credentials are not sent again
    for some minutes, since that may lock them.

    Attributes:
        reason: What was rejected, and what to do about it.
        code: OAuth 2.0 error code such as `invalid_client`, or "" when there was none.
        status: HTTP status of the answer, or None when there was no answer.
        request_id: The server's id of the rejected request, or ours; "" when there was no answer.

    Source: RFC 6749 section 5.2 (error codes).
    """

    def __init__(
        self,
        reason: str,
        code: str = "",
        status: int | None = None,
        request_id: str = "",
        retryable: bool = False,
    ) -> None:
        super().__init__(reason, code, status, request_id, retryable)
        self.reason, self.code, self.status, self.request_id = reason, code, status, request_id
        self.retryable = retryable

    def __str__(self) -> str:
        facts = [f"HTTP {self.status}" if self.status else "", self.code]
        shown = ", ".join(fact for fact in facts if fact)
        return f"{self.reason} ({shown})" if shown else self.reason


class TransportError(TimebackError):
    """No usable answer was seen: the server may have acted on the request, or not.

    Attributes:
        reason: What happened.
    """

    def __init__(self, reason: str, retryable: bool = True) -> None:
        super().__init__(reason, retryable)
        self.reason, self.retryable = reason, retryable

    def __str__(self) -> str:
        return self.reason


class ConnectError(TransportError):
    """There was no connection, so nothing was sent.

    It is not `retryable` when TLS failed for good, when a proxy refused the request, or when the
    name of the host stays unknown.

    Attributes:
        unknown_host: Whether the name of the host could not be resolved.
    """

    def __init__(self, reason: str, retryable: bool = True, unknown_host: bool = False) -> None:
        super().__init__(reason, retryable)
        self.args = (reason, retryable, unknown_host)
        self.unknown_host = unknown_host


class TimedOutError(TransportError):
    """The request was sent, and no complete answer came within `Config.attempt_timeout`."""


class ProtocolError(TransportError):
    """The connection broke, or the answer was cut off, not HTTP, too large, or no proof.

    It is not `retryable` when a repeated request would be answered in the same way.

    Attributes:
        disconnected: Whether the server closed the connection before the answer.
        misdirected: Whether the answer was about another record.
    """

    def __init__(
        self,
        reason: str,
        retryable: bool = True,
        disconnected: bool = False,
        misdirected: bool = False,
    ) -> None:
        super().__init__(reason, retryable)
        self.args = (reason, retryable, disconnected, misdirected)
        self.disconnected, self.misdirected = disconnected, misdirected


class DeadlineError(TimebackError):
    """A call used up its time: waiting for its turn, for a token and for retries included.

    `__cause__` is the last failure of the call; if it had none, the last one of the session; else
    None. The time is that of the call, or `Config.deadline`; a record of a bulk run has
    `retry.patience` more, from its first turn.
    """

    retryable = True


class ApiError(TimebackError):
    """The server answered with an error status, or with a 2xx status and words of failure.

    Attributes:
        status: HTTP status code.
        code: The server's minor code, such as `invaliddata`; "" when it gave none.
        detail: The server's own words, at most 300 characters, with "…" for each that might be
            personal: a part of what we sent, a name, a date, a phone number or an e-mail address;
            "" when none are left.
        words: The server's own words as they came, at most 1000 characters. They may be personal:
            neither the text nor the repr of the error shows them.
        request_id: The server's id of the request, or ours when it gave none.
        retry_after: Seconds that the server asked us to wait, or None.

    Source: OneRoster 1.2 (imsx status objects); RFC 9110 section 10.2.3 (Retry-After).
    """

    hint = ""
    words = ""

    def __init__(
        self,
        status: int,
        code: str = "",
        detail: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, code, detail, request_id, retry_after)
        self.status, self.code, self.detail = status, code, detail
        self.request_id, self.retry_after = request_id, retry_after
        self.retryable = status in (408, 425, 429) or (status >= 500 and status not in (501, 505))

    def __str__(self) -> str:
        unsaid = "its words may be personal: see error.words" if self.words else "no detail given"
        shown = " ".join(word for word in (self.code, self.detail) if word)
        hint = f" ({self.hint})" if self.hint else ""
        return f"HTTP {self.status}: {shown or unsaid}{hint}"


class RedirectError(ApiError):
    """3xx: the server named another URL. Redirects are not followed: records would go there."""

    hint = "redirects are not followed; is base_url right?"


class BadRequestError(ApiError):
    """400 or 422: the server does not accept the record."""


class ForbiddenError(ApiError):
    """403: the token is valid, but does not permit the operation."""

    hint = "is the scope granted? an app in draft gets no roster scopes in production"


class NotFoundError(ApiError):
    """404: there is no such object."""


class ConflictError(ApiError):
    """409: the record conflicts with one that the server has.

    Attributes:
        sourced_id: The sourcedId in the answer, or "". It may differ from the one sent.
    """

    sourced_id = ""


class RateLimitError(ApiError):
    """429: too many requests. It is repeated until the time of the call is used up."""


class ServerError(ApiError):
    """5xx: the server failed."""
