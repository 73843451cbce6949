"""Decide whether a call gets another attempt after a failure, and after how long.

`RetryPolicy` decides for a single request. This module adds what concerns all calls of a session:
whether the others fail in the same way, and for how long they have.
"""

import asyncio

from .._retry import RetryPolicy, is_throttle
from .._statistics import WindowMode
from ..errors import AuthError, ConnectError, ProtocolError, TimebackError
from .call import Call, OutOfTime
from .token import FIRST_TRIAL
from .window import Window

__all__ = ["Retries"]

# A name that stays unknown for this many seconds is wrong; before, the resolver may have failed.
UNKNOWN_HOST_PATIENCE = 30.0
# A request that is always rejected, while others are not, ends with this rejection: after 3.75 s.
MAX_REJECTIONS = 6


class Retries:
    """Decides about the next attempt of every call of a session.

    Args:
        policy: The policy for each request.
        window: Reports whether requests come through.

    Attributes:
        throttled: Number of throttled answers.
        unknown_host_since: When the name of the server was first unknown; None while it is known.
    """

    def __init__(self, policy: RetryPolicy, window: Window) -> None:
        self._policy, self._window = policy, window
        self._loop = asyncio.get_running_loop()
        self.throttled = 0
        self.unknown_host_since: float | None = None
        self._tokenless_since: float | None = None

    def delay(self, call: Call, error: Exception) -> float | None:
        """Count a failure; return the seconds until the next attempt, or None to give up.

        Raises:
            OutOfTime: The time of the call will be over by then.
        """
        delay, expires = self._decide(call, error), call.expires
        if delay is not None and expires is not None and self._loop.time() + delay >= expires:
            raise OutOfTime
        return delay

    def _decide(self, call: Call, error: Exception) -> float | None:
        # The token was rejected: repeat at once with the next one. After that, a call that alone is
        # rejected repeats as long as a new token is tried.
        if isinstance(error, AuthError):
            if call.refused or call.rejections >= MAX_REJECTIONS:
                return None
            return FIRST_TRIAL * 2.0 ** (call.rejections - 2) if call.rejections > 1 else 0.0
        # A failure counts unless it is throttled, the one free disconnect, or part of an outage.
        if is_throttle(error):
            call.throttles += 1
            self.throttled += 1
        elif is_forgivable(call, error):
            call.forgiven = True
            return 0.0 if call.request.idempotent else None
        elif not (call.is_bulk and self._is_outage(error)):
            call.failures += 1
            call.internal_errors += getattr(error, "status", None) == 500
        # The name of the host is unknown: repeat until it has been unknown for too long.
        if isinstance(error, ConnectError) and error.unknown_host:
            return self._delay_unknown_host(call, error)
        self.unknown_host_since = None
        # The server may have acted on the request: repeat only what leaves the same state twice.
        # In every other case the policy decides.
        untouched = isinstance(error, ConnectError) or is_throttle(error)
        if not call.request.idempotent and not untouched:
            return None
        return self._policy.delay(
            error, call.failures, call.throttles, internal_errors=call.internal_errors
        )

    def _is_outage(self, error: Exception) -> bool:
        """Return whether no call reaches the server, so that no record can be the cause."""
        return isinstance(error, ConnectError) and self._window.mode is WindowMode.DRY

    def _delay_unknown_host(self, call: Call, error: ConnectError) -> float | None:
        now = self._loop.time()
        if self.unknown_host_since is None:
            self.unknown_host_since = now
        if now - self.unknown_host_since >= UNKNOWN_HOST_PATIENCE:
            error.retryable = False
            return None
        return self._policy.pause(error, call.failures)

    def outlasts(self, call: Call, error: TimebackError, has_served: bool) -> bool:
        """Return whether a call goes on waiting for a token after a failed fetch.

        Args:
            call: The call that needs the token.
            error: Why there is no token.
            has_served: Whether there was a token before. If not, the endpoint may be wrong.
        """
        now = self._loop.time()
        if self._tokenless_since is None:
            self._tokenless_since = now
        is_out = call.is_bulk and has_served and error.retryable
        return is_out and now - self._tokenless_since < self._policy.patience

    def found_token(self) -> None:
        """Record that there is a token again."""
        self._tokenless_since = None


def is_forgivable(call: Call, error: Exception) -> bool:
    """Return whether a failure may come from the connection alone, so that it is free once a call.

    The server may have closed an idle connection at that moment (aiohttp does not report whether a
    connection was used before), or there was another answer left on it.
    """
    is_of_connection = isinstance(error, ProtocolError) and (
        error.disconnected or error.misdirected
    )
    return is_of_connection and not call.forgiven
