"""What ends a bulk run before its source does."""

import asyncio
from collections.abc import Callable

from .._flow.call import Call
from .._retry import is_throttle
from ..errors import ApiError, AuthError, ConnectError, SessionError, TimebackError

__all__ = ["Ending"]

# End the run after this many rejections in a row of a token that has never been accepted.
MAX_REJECTIONS = 3


class Ending:
    """Why a run ends early, and whether it does.

    Args:
        patience: Seconds that the run waits while nothing comes through.
        down_for: Returns for how many seconds nothing has come through.

    Attributes:
        reason: Why the run ended before its source, or "".
        fatal: The error that ended it, to be raised at its end; None where it was stopped.
        begun: Set when the run is to end: read no more, begin nothing new.
        rejections: Records in a row that were refused by a token nothing was accepted with.
    """

    def __init__(self, patience: float, down_for: Callable[[], float]) -> None:
        self._patience, self._down_for = patience, down_for
        self.rejections = 0
        self.reason = ""
        self.fatal: Exception | None = None
        self.begun = asyncio.Event()

    def begin(self, reason: str, fatal: Exception | None = None) -> bool:
        """End the run; return whether it was not ending already. The first fatal error counts."""
        if fatal is not None and self.fatal is None:
            self.reason, self.fatal = reason, fatal
        if self.begun.is_set():
            return False
        self.reason = reason
        self.begun.set()
        return True

    def why(self) -> Exception:
        """Return the error of a record that the run did not come to."""
        return self.fatal or TimebackError(f"the run was stopped: {self.reason}")

    def cause(self, call: Call, error: Exception) -> Exception | None:
        """Return the error that ends the run, where a record's failure does; else None."""
        if self.is_fatal(call, error):
            return error
        if call.refused:
            self.rejections += 1
            if self.rejections == MAX_REJECTIONS:
                return _rejected(error)
        return None

    def is_fatal(self, call: Call, error: Exception) -> bool:
        """Return whether an error is not about this record, so that the next one will meet it."""
        # Nothing comes through, to nobody, for longer than we wait.
        if self._down_for() > self._patience:
            return True
        # There is no token at all. (One that was rejected is the call's own failure.)
        if isinstance(error, AuthError):
            return error is not call.error
        # The server asks everybody to wait for longer than that.
        if is_throttle(error):
            assert isinstance(error, ApiError)
            return (error.retry_after or 0) > self._patience
        # TLS, an unknown host.
        if isinstance(error, ConnectError):
            return not error.retryable
        # An error we have no name for must not be mistaken for one record's fault.
        return isinstance(error, SessionError) or not isinstance(error, TimebackError)


def _rejected(error: Exception) -> AuthError:
    reason = f"{MAX_REJECTIONS} records in a row were refused by a fresh token"
    code, status = getattr(error, "code", ""), getattr(error, "status", None)
    return AuthError(reason, code, status, getattr(error, "request_id", ""))
