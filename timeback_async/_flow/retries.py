"""Decide, after a failed attempt, whether there is another one, and after how long.

`RetryPolicy` says how often and how patiently one request is repeated. Here is what a single
request cannot know: whether the failure is everybody's, and for how long already.
"""

import asyncio

from .._retry import RetryPolicy, is_throttle
from .._statistics import WindowMode
from ..errors import AuthError, ConnectError, ProtocolError
from .admission import out_of_time
from .call import Call
from .window import Window

__all__ = ["Retries"]

# A name that stays unknown this many seconds is a wrong name, not a hiccup.
UNKNOWN_HOST_PATIENCE = 30.0
# A request that alone is refused, while others pass, must not cost token after token.
MAX_REJECTIONS = 3


class Retries:
    """Decides about the next attempt of every call of a session.

    Args:
        policy: What holds for each request.
        window: Knows whether anything comes through.

    Attributes:
        throttled: Answers that asked us to slow down.
        unknown_host_since: Since when the server's name cannot be resolved; None while it can.
    """

    def __init__(self, policy: RetryPolicy, window: Window) -> None:
        self._policy, self._window = policy, window
        self._loop = asyncio.get_running_loop()
        self.throttled = 0
        self.unknown_host_since: float | None = None
        self._tokenless_since: float | None = None

    def delay(self, call: Call, error: Exception) -> float | None:
        """Count a failure; return the seconds until the next attempt, or None for no other.

        Raises:
            DeadlineError: The call's time will be over by then.
        """
        delay, expires = self._decide(call, error), call.expires
        if delay is not None and expires is not None and self._loop.time() + delay >= expires:
            raise out_of_time(call) from call.error
        return delay

    def _decide(self, call: Call, error: Exception) -> float | None:
        # No token, for now: wait. A token refused: at once with a new one, a few times.
        if isinstance(error, AuthError):
            if not error.is_final:
                return self._policy.pause(error, 1)
            return None if call.refused or call.rejections >= MAX_REJECTIONS else 0.0
        # Which failures count: none that asks us to slow down, none that everybody meets.
        if is_throttle(error):
            call.throttles += 1
            self.throttled += 1
        elif is_forgivable(call, error):
            call.forgiven = True
            return 0.0 if call.request.idempotent else None
        elif not (call.outlasts_outages and self._is_outage(error)):
            call.failures += 1
            call.internal_errors += getattr(error, "status", None) == 500
        # An unknown name may be a hiccup of the resolver, whose patience is its own.
        if isinstance(error, ConnectError) and error.unknown_host:
            return self._delay_unknown_host(call, error)
        self.unknown_host_since = None
        # What may have done its work is repeated only where twice is the same as once.
        untouched = isinstance(error, ConnectError) or is_throttle(error)
        if not call.request.idempotent and not untouched:
            return None
        return self._policy.delay(
            error, call.failures, call.throttles, internal_errors=call.internal_errors
        )

    def _is_outage(self, error: Exception) -> bool:
        """Whether nobody is there, for anybody: nothing that a record could be blamed for."""
        return isinstance(error, ConnectError) and self._window.mode is WindowMode.DRY

    def _delay_unknown_host(self, call: Call, error: ConnectError) -> float | None:
        now = self._loop.time()
        if self.unknown_host_since is None:
            self.unknown_host_since = now
        if now - self.unknown_host_since >= UNKNOWN_HOST_PATIENCE:
            error.retryable = False
            return None
        return self._policy.pause(error, call.failures)

    def outlasts(self, call: Call, error: AuthError, has_served: bool) -> bool:
        """Return whether a call waits on, though there is no token: there will be one again.

        Args:
            call: Who needs the token.
            error: Why there is none.
            has_served: Whether there was one before. Without, an endpoint that does not answer
                may be a wrong one.
        """
        now = self._loop.time()
        if self._tokenless_since is None:
            self._tokenless_since = now
        is_out = call.outlasts_outages and has_served and not error.is_final
        return is_out and now - self._tokenless_since < self._policy.patience

    def found_token(self) -> None:
        """Take note that there is a token again."""
        self._tokenless_since = None


def is_forgivable(call: Call, error: Exception) -> bool:
    """Return whether an attempt met an idle connection that the server closed just then.

    aiohttp does not say whether a connection was used before, so a call's first disconnect counts
    as that in any case.
    """
    return isinstance(error, ProtocolError) and error.disconnected and not call.forgiven
