"""Decide whether a call gets another attempt after a failure, and after how long.

`RetryPolicy` decides for a single request. This module adds what concerns all calls of a session:
whether the others fail in the same way, and for how long they have.
"""

import asyncio

from .._retry import RetryPolicy, is_throttle
from .._statistics import WindowMode
from ..errors import ApiError, AuthError, ConnectError, ProtocolError, TimedOutError
from .admission import out_of_time
from .call import Call, Seen
from .window import Window

__all__ = ["Retries"]

# A name that stays unknown for this many seconds is wrong; before, the resolver may have failed.
UNKNOWN_HOST_PATIENCE = 30.0
# A request that is always rejected, while others are not, must not cost a new token each time.
MAX_REJECTIONS = 3


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
        self._failures = self._witnesses = 0  # of all records; of those that are not suspect
        # How many answers there were, and witnesses, when nothing came through any more.
        self._row_with = self._row_from = 0

    def delay(self, call: Call, error: Exception) -> float | None:
        """Count a failure; return the seconds until the next attempt, or None to give up.

        Raises:
            DeadlineError: The time of the call will be over by then.
        """
        delay, expires = self._decide(call, error), call.expires
        if delay is not None and expires is not None and self._loop.time() + delay >= expires:
            raise out_of_time(call) from call.error
        return delay

    def _decide(self, call: Call, error: Exception) -> float | None:
        # There is no token for now: wait. The token was rejected: repeat at once with a new one,
        # a few times.
        if isinstance(error, AuthError):
            if not error.is_final:
                return self._policy.pause(error, 1)
            return None if call.refused or call.rejections >= MAX_REJECTIONS else 0.0
        is_excused = self._is_excused(call, error) and call.outlasts_outages
        # A failure counts unless it is throttled, the one free disconnect, or excused.
        if is_throttle(error):
            call.throttles += 1
            self.throttled += 1
        elif is_forgivable(call, error):
            call.forgiven = True
            return 0.0 if call.request.idempotent else None
        else:
            call.failures += 1
            call.excused += is_excused
            call.internal_errors += not is_excused and getattr(error, "status", None) == 500
        # The name of the host is unknown: repeat until it has been unknown for too long.
        if isinstance(error, ConnectError) and error.unknown_host:
            return self._delay_unknown_host(call, error)
        self.unknown_host_since = None
        # The server may have acted on the request: repeat only what leaves the same state twice.
        untouched = isinstance(error, ConnectError) or is_throttle(error)
        if not call.request.idempotent and not untouched:
            return None
        # Nothing has come through for too long.
        if (
            call.outlasts_outages
            and self._loop.time() - self._window.dry_since > self._policy.patience
        ):
            return None
        # In every other case the policy decides.
        if is_excused and getattr(error, "retryable", False) and not is_throttle(error):
            # The window keeps the probes at a distance, if it is adaptive.
            is_dry = self._window.mode is WindowMode.DRY
            return self._policy.pause(error, 1 if is_dry else call.failures)
        blamed = call.failures - call.excused
        return self._policy.delay(
            error, blamed, call.throttles, internal_errors=call.internal_errors
        )

    def _is_excused(self, call: Call, error: Exception) -> bool:
        """Return whether a failure shows nothing about its record.

        The cases, in the order of the code:
        - the first failure of a record counts
        - since its last one, the window was cut or found dry, and another record failed, too
        - something has come through since then: it counts
        - nothing has, and the record is suspect: a witness since then excuses it, and that there
          was no connection
        - nothing has: another witness excuses it, and one record alone may not be the cause

        A record is suspect if a request that was sent after it has come through. Then the server
        was well, and its failures are no witness for others: at the end of a run, the records that
        always fail are among themselves.
        """
        window, last = self._window, call.seen
        if window.served != self._row_with:
            self._row_with, self._row_from = window.served, self._witnesses
        if last is None:
            call.first_sent_at = call.sent_at
        is_suspect = window.well_at > call.first_sent_at
        is_dry = last is not None and last.served == window.served
        own = last.own if last is not None and is_dry else 0
        if last is None:
            is_excused = False
        elif window.setbacks > last.setbacks and self._failures > last.failures:
            is_excused = True
            if window.served > window.served_before:  # it was one of many that the limit refused
                call.first_sent_at = call.sent_at
        elif not is_dry:
            is_excused = False
        elif is_suspect:
            is_excused = self._witnesses > last.witnesses or isinstance(error, ConnectError)
        else:
            has_company = self._witnesses - self._row_from > own
            is_excused = has_company or not may_be_its_own(error)
        self._failures += 1
        self._witnesses += not is_suspect
        own += not is_suspect
        call.seen = Seen(window.served, window.setbacks, self._failures, self._witnesses, own)
        return is_excused

    def _delay_unknown_host(self, call: Call, error: ConnectError) -> float | None:
        now = self._loop.time()
        if self.unknown_host_since is None:
            self.unknown_host_since = now
        if now - self.unknown_host_since >= UNKNOWN_HOST_PATIENCE:
            error.retryable = False
            return None
        return self._policy.pause(error, call.failures)

    def outlasts(self, call: Call, error: AuthError, has_served: bool) -> bool:
        """Return whether a call goes on waiting for a token after a failed fetch.

        Args:
            call: The call that needs the token.
            error: Why there is no token.
            has_served: Whether there was a token before. If not, the endpoint may be wrong.
        """
        now = self._loop.time()
        if self._tokenless_since is None:
            self._tokenless_since = now
        is_out = call.outlasts_outages and has_served and not error.is_final
        return is_out and now - self._tokenless_since < self._policy.patience

    def found_token(self) -> None:
        """Record that there is a token again."""
        self._tokenless_since = None


def is_forgivable(call: Call, error: Exception) -> bool:
    """Return whether a failure may be the server closing an idle connection at that moment.

    aiohttp does not report whether a connection was used before. So the first disconnect of each
    call is free.
    """
    return isinstance(error, ProtocolError) and error.disconnected and not call.forgiven


def may_be_its_own(error: Exception) -> bool:
    """Return whether one record can be the cause of a failure, while the server is well."""
    broke_off = isinstance(error, (TimedOutError, ProtocolError))
    return broke_off or (isinstance(error, ApiError) and error.status == 500)
