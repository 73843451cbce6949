"""Every error that timeback_async raises, one class per decision a caller can take.

    TimebackError
    ├── ConfigError            a setting is missing or wrong: fix it
    ├── SessionError           the session is not open, or belongs to another event loop
    ├── RecordError            one record cannot be sent as it is: fix the record
    ├── SourceError            the iterable of records itself raised
    ├── AuthError              credentials or scope refused, or no token
    ├── TransportError         no complete answer was seen
    │   ├── ConnectError       no connection: unknown host, refused, TLS
    │   ├── TimedOutError      connected, but no answer in time
    │   └── ProtocolError      an answer that is broken, too large, or not ours
    ├── DeadlineError          a single call used up its time; the last cause is attached
    └── ApiError               the server answered with an error status
        ├── RedirectError      3xx: redirects are never followed
        ├── BadRequestError    400, 422
        ├── ForbiddenError     403
        ├── NotFoundError      404
        ├── ConflictError      409
        ├── RateLimitError     429
        └── ServerError        5xx

Messages carry ids, statuses and field names; never names, e-mail addresses, birth dates,
passwords or tokens. Every error pickles.
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
    """The base of all errors raised here.

    Attributes:
        retryable: Whether the same call may succeed if it is simply made again.
        report: The `Report` of every record, when the error ended a bulk run; else None. Not
            typed as one, since reports raise these errors.
    """

    retryable: bool = False
    report: Any = None


class ConfigError(TimebackError):
    """A setting is missing or wrong. The message names each setting and what to do about it."""


class SessionError(TimebackError):
    """The session was used before opening, after closing, or from another event loop."""


class RecordError(TimebackError):
    """One record cannot be sent as it is.

    Attributes:
        field: The field in wire form, such as `primaryOrg.sourcedId`, or "" for the whole record.
        reason: What is wrong with it. It may hold ids, never another value.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field, self.reason = field, reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


class SourceError(TimebackError):
    """The iterable of records raised. `__cause__` is its exception, `report` what was done."""


class AuthError(TimebackError):
    """Credentials or scope were refused, or there was no way to get a token.

    Attributes:
        reason: What was refused, and what to do about it.
        code: OAuth 2.0 error code such as `invalid_client`, or "" when there was none.
        status: HTTP status of the refusal, or None when there was no answer.
        request_id: The server's id for the refused request, or "".

    Source: RFC 6749 section 5.2 (error codes).
    """

    def __init__(
        self, reason: str, code: str = "", status: int | None = None, request_id: str = ""
    ) -> None:
        super().__init__(reason, code, status, request_id)
        self.reason, self.code, self.status, self.request_id = reason, code, status, request_id

    @property
    def is_final(self) -> bool:
        """Whether the refusal stands: asking again with the same credentials may lock them."""
        return self.status is not None and self.status < 500 and self.status not in (408, 425, 429)

    def __str__(self) -> str:
        facts = [f"HTTP {self.status}" if self.status else "", self.code]
        shown = ", ".join(fact for fact in facts if fact)
        return f"{self.reason} ({shown})" if shown else self.reason


class TransportError(TimebackError):
    """No complete answer was seen: the request may or may not have reached the server.

    Attributes:
        reason: What happened on the way.
    """

    def __init__(self, reason: str, retryable: bool = True) -> None:
        super().__init__(reason, retryable)
        self.reason, self.retryable = reason, retryable

    def __str__(self) -> str:
        return self.reason


class ConnectError(TransportError):
    """No connection, so nothing was sent. A TLS failure is not `retryable`.

    Attributes:
        unknown_host: Whether it was the name that could not be resolved.
    """

    def __init__(self, reason: str, retryable: bool = True, unknown_host: bool = False) -> None:
        super().__init__(reason, retryable)
        self.args = (reason, retryable, unknown_host)
        self.unknown_host = unknown_host


class TimedOutError(TransportError):
    """No answer within the attempt timeout."""


class ProtocolError(TransportError):
    """The connection broke, or the answer was cut off, too large, or not for this request.

    Attributes:
        disconnected: Whether the server closed the connection before any of the answer.
    """

    def __init__(self, reason: str, retryable: bool = True, disconnected: bool = False) -> None:
        super().__init__(reason, retryable)
        self.args = (reason, retryable, disconnected)
        self.disconnected = disconnected


class DeadlineError(TimebackError):
    """A single call and its retries used up `Config.deadline`. `__cause__` is the last failure."""

    retryable = True


class ApiError(TimebackError):
    """The server answered with an error status.

    Attributes:
        status: HTTP status code.
        code: The server's minor code, such as `invaliddata`, or "" when it gave none.
        detail: The server's own words, shortened, what we sent taken out; "" when it gave none.
        request_id: The server's id for the request, or ours when it gave none.
        retry_after: Seconds the server asked us to wait, or None.
    """

    hint = ""

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
        words = " ".join(word for word in (self.code, self.detail) if word)
        hint = f" ({self.hint})" if self.hint else ""
        return f"HTTP {self.status}: {words or 'no detail given'}{hint}"


class RedirectError(ApiError):
    """3xx: the server sent us elsewhere. Redirects are refused: they would carry records along."""

    hint = "redirects are not followed; is base_url right?"


class BadRequestError(ApiError):
    """400 or 422: the server does not accept the record."""


class ForbiddenError(ApiError):
    """403: the token is valid, the operation is not granted."""

    hint = "is the scope granted? an app in draft gets no roster scopes in production"


class NotFoundError(ApiError):
    """404: no such object."""


class ConflictError(ApiError):
    """409: the record clashes with one that is there.

    Attributes:
        sourced_id: The id of the record in the answer, which may differ from the one sent, or "".
    """

    sourced_id = ""


class RateLimitError(ApiError):
    """429: too many requests; retried until the call's time is used up."""


class ServerError(ApiError):
    """5xx: the server's own trouble."""
