"""Decide whether a call gets another attempt after a failure, and after how long.

`RetryPolicy` decides for a single request. This module adds what concerns all calls of a session:
whether the others fail in the same way, and for how long they have.
"""

import asyncio

from .._retry import RetryPolicy, is_throttle
from .._statistics import WindowMode
from ..errors import AuthError, ConnectError, ProtocolError
from .call import Call, OutOfTime
from .token import FIRST_TRIAL
from .window import Window

__all__ = ["Retries"]

# A name that stays unknown for this many seconds is wrong; before, the resolver may have failed.
UNKNOWN_HOST_PATIENCE = 30.0
# A request that is always rejected, while others are not, ends with this rejection: after 3.75 s.
LAST_REJECTION = 6


class Retries:
    """Decides about the next attempt of every call of a session.

    Args:
        policy: The policy for each request.
        window: Reports whether requests come through.
        is_adaptive: Whether outages and limits are told from bad records; else all failures count.

    Attributes:
        throttled: Number of throttled answers.
        unknown_host_since: When the name of the server was first unknown; None while it is known.
    """

    def __init__(self, policy: RetryPolicy, window: Window, *, is_adaptive: bool) -> None:
        self._policy, self._window, self._is_adaptive = policy, window, is_adaptive
        self._loop = asyncio.get_running_loop()
        self.throttled = 0
        self.unknown_host_since: float | None = None
        # See `_blame`. Failures that witness against the server; what `served` was when something
        # last came through; the first call that witnessed since then, and whether others did, too.
        self._witnesses = self._served = 0
        self._witness = 0  # the id() of that call: the call itself would be kept alive
        self._has_several = False

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
            if call.refused or call.rejections >= LAST_REJECTION:
                return None
            return FIRST_TRIAL * 2.0 ** (call.rejections - 2) if call.rejections > 1 else 0.0
        # A failure counts unless it is throttled or free; how much, `_blame` says.
        blame, is_throttled = self._blame(call, error), is_throttle(error)
        if is_throttled:
            call.throttles += 1
            self.throttled += 1
        elif is_forgivable(call, error):
            call.forgiven = True
            return 0.0 if call.request.idempotent else None
        else:
            call.failures += 1
            call.blame += blame
            call.internal_blame += blame * (getattr(error, "status", None) == 500)
        # The name of the host is unknown: repeat until it has been unknown for too long.
        if isinstance(error, ConnectError) and error.unknown_host:
            return self._delay_unknown_host(call, error)
        self.unknown_host_since = None
        # The server may have acted on the request: repeat only what leaves the same state twice.
        untouched = isinstance(error, ConnectError) or is_throttled
        if not call.request.idempotent and not untouched:
            return None
        # Nothing has come through for too long.
        now, window = self._loop.time(), self._window
        if call.is_bulk and now - window.dry_since > self._policy.patience:
            return None
        # In every other case the policy decides.
        delay = self._policy.delay(
            error, round(call.blame), call.throttles, internal_errors=round(call.internal_blame)
        )
        if delay is None or is_throttled or call.blame == call.failures:
            return delay
        # Failures that do not count space out the attempts all the same, unless the window does.
        return self._policy.pause(error, 1 if window.mode is WindowMode.DRY else call.failures)

    def is_suspect(self, call: Call) -> bool:
        """Return whether a record was the cause of a failure, while the server was well.

        That is so when a request that was sent later has come through.
        """
        return 0.0 < call.blamed_at < self._window.well_at

    def _blame(self, call: Call, error: Exception) -> float:
        """Return how much of a failure its call may be the cause of, from 0 to 1.

        Failures of single calls count in full. Those of a record depend on what became of the other
        requests since its last failure. The cases, in the order of the code:
        - some came through: if all did, the record is the cause; with a limit of the server it is
          something between
        - none did, or it is the first failure, and another record has failed since something last
          came through: the server is the cause
        - the record is alone: it counts as the cause, unless there was no connection

        The failures of a suspect record do not witness against the server, else bad records at the
        end of a run would excuse each other.
        """
        window, last = self._window, call.seen
        call.blamed_at = call.blamed_at or call.sent_at
        is_suspect = self.is_suspect(call)
        if window.served != self._served:
            self._served, self._witness, self._has_several = window.served, 0, False
        has_company = self._has_several or self._witness not in (0, id(call))
        witnesses = self._witnesses
        if not is_suspect:
            self._witnesses += 1
            self._has_several, self._witness = has_company, self._witness or id(call)
        call.seen = window.served, self._witnesses
        if not (call.is_bulk and self._is_adaptive):
            return 1.0
        if last is not None and (served := window.served - last[0]):
            blame = (served / (served + witnesses - last[1])) ** 2
        elif has_company or (last is not None and isinstance(error, ConnectError)):
            blame = 0.0
        else:
            blame = 1.0
        if is_throttle(error) or blame < 0.5:
            call.blamed_at = 0.0
        return blame

    def _delay_unknown_host(self, call: Call, error: ConnectError) -> float | None:
        now = self._loop.time()
        if self.unknown_host_since is None:
            self.unknown_host_since = now
        if now - self.unknown_host_since >= UNKNOWN_HOST_PATIENCE:
            error.retryable = False
            return None
        return self._policy.pause(error, call.failures)


def is_forgivable(call: Call, error: Exception) -> bool:
    """Return whether a failure may come from the connection alone, so that it is free once a call.

    The server may have closed an idle connection at that moment (aiohttp does not report whether a
    connection was used before), or there was another answer left on it.
    """
    is_of_connection = isinstance(error, ProtocolError) and (
        error.disconnected or error.misdirected
    )
    return is_of_connection and not call.forgiven
