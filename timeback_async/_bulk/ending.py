"""Decide what ends a bulk run before the end of its source."""

import asyncio
from collections.abc import Callable

from .._flow.call import Call
from .._retry import is_throttle
from ..errors import (
    ApiError,
    AuthError,
    ConnectError,
    SessionError,
    TimebackError,
    TransportError,
)

__all__ = ["Ending"]

# End the run after this many rejections in a row of a token that has never been accepted.
MAX_REJECTIONS = 3


class Ending:
    """Whether a run ends early, and why.

    Args:
        patience: Seconds that the run waits while nothing comes through.
        down_for: Returns for how many seconds nothing has come through.

    Attributes:
        reason: Why the run ended before the end of its source, or "".
        fatal: The error that ended the run, raised at its end; None when it was only stopped.
        begun: Set when the run has to end: read no more, begin nothing new.
        rejections: Records in a row that were rejected with a token that was never accepted.
    """

    def __init__(self, patience: float, down_for: Callable[[], float]) -> None:
        self._patience, self._down_for = patience, down_for
        self.rejections = 0
        self.reason = ""
        self.fatal: Exception | None = None
        self.begun = asyncio.Event()

    def begin(self, reason: str, fatal: Exception | None = None) -> bool:
        """End the run; return False when it was ending already. The first fatal error counts."""
        if fatal is not None and self.fatal is None:
            self.reason, self.fatal = reason, fatal
        if self.begun.is_set():
            return False
        self.reason = reason
        self.begun.set()
        return True

    def why(self) -> Exception:
        """Return the error for a record that was not sent, since the run ended first."""
        return self.fatal or TimebackError(f"the run was stopped: {self.reason}")

    def cause(self, call: Call, error: Exception) -> Exception | None:
        """Return the error that ends the run after the failure of a record; None to go on."""
        if self.is_fatal(call, error):
            return error
        if call.refused:
            self.rejections += 1
            if self.rejections == MAX_REJECTIONS:
                return _rejected(error)
        return None

    def is_fatal(self, call: Call, error: Exception) -> bool:
        """Return whether the next record would fail in the same way, whatever is in it."""
        # No request of any record has come through for longer than our patience.
        if self._down_for() > self._patience:
            return True
        # There is no token at all. (The failures of its attempts are the call's own errors.)
        if isinstance(error, AuthError | TransportError) and error is not call.error:
            return True
        # The server asks all calls to wait for longer than our patience.
        if is_throttle(error):
            assert isinstance(error, ApiError)
            return (error.retry_after or 0) > self._patience
        # TLS failed for good, or the host stayed unknown.
        if isinstance(error, ConnectError):
            return not error.retryable
        # The session was closed; or an error of another kind, which no record can have caused.
        return isinstance(error, SessionError) or not isinstance(error, TimebackError)


def _rejected(error: Exception) -> AuthError:
    reason = f"{MAX_REJECTIONS} records in a row were rejected with a fresh token"
    code, status = getattr(error, "code", ""), getattr(error, "status", None)
    return AuthError(reason, code, status, getattr(error, "request_id", ""))
