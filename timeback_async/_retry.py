"""Decide whether a failed attempt is repeated, and after how long.

This module only decides: it reads no clock, and neither sleeps nor sends. `RequestPool` acts on
the decisions.
"""

import random
from collections.abc import Callable

import msgspec

from ._settings import Count, Seconds, problems
from .errors import ApiError, ConfigError, RateLimitError

__all__ = ["POISON_ATTEMPTS", "RetryPolicy", "is_throttle"]

# A record that makes the server fail gets 500 every time: after four times we are sure.
POISON_ATTEMPTS = 4


def is_throttle(error: Exception) -> bool:
    """Return whether the server asked us to slow down: 429, or 503 with Retry-After."""
    return isinstance(error, RateLimitError) or (
        isinstance(error, ApiError) and error.status == 503 and error.retry_after is not None
    )


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Set how often, and after which waits, a failed attempt is repeated.

    Attributes:
        attempts: How many attempts may fail, the first included. Throttled attempts and 401 do
            not count. The fourth 500 ends a call, whatever `attempts` is.
        initial: Seconds of the first backoff; each further failure doubles it.
        throttle_initial: The same for throttled attempts: 429, and 503 with `Retry-After`.
        ceiling: The longest backoff, in seconds.
        patience: The longest `Retry-After` obeyed, in seconds. A bulk run also ends when nothing
            has come through for this long.

    Raises:
        ConfigError: A value has the wrong type, or is out of range.
    """

    attempts: Count = 8
    initial: Seconds = 0.25
    throttle_initial: Seconds = 1.0
    ceiling: Seconds = 20.0
    patience: Seconds = 300.0

    def __post_init__(self) -> None:
        if wrong := problems(self, "retry."):
            raise ConfigError("; ".join(wrong))

    def delay(
        self,
        error: Exception,
        failures: int,
        throttles: int = 1,
        jitter: Callable[[], float] = random.random,
        internal_errors: int | None = None,
    ) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        The backoff doubles up to `ceiling`. The wait is a random share of it, so that workers do
        not all send at the same moment. A `Retry-After` is waited out in full, plus a random part
        of a tenth of it, at most 1 s. The cases for None:
        - the error is not `retryable`
        - the attempt was not throttled, and `failures` has reached `attempts`
        - it was answered with 500, and `internal_errors` has reached 4
        - the server asks for a longer wait than `patience`

        Args:
            error: What the attempt raised.
            failures: Number of failed attempts so far, this one included; none throttled.
            throttles: Number of throttled attempts so far, this one included.
            jitter: Returns a random number from [0, 1).
            internal_errors: Number of attempts answered with 500, this one included; None for
                the same number as `failures`.

        Source: RFC 9110 section 10.2.3 (Retry-After).
        """
        if not getattr(error, "retryable", False):
            return None
        if is_throttle(error):
            return self.pause(error, throttles, jitter)
        if isinstance(error, ApiError) and error.status == 500:
            of_this_kind = failures if internal_errors is None else internal_errors
            if of_this_kind >= POISON_ATTEMPTS:
                return None
        return self.pause(error, failures, jitter) if failures < self.attempts else None

    def pause(
        self, error: Exception, count: int, jitter: Callable[[], float] = random.random
    ) -> float | None:
        """Return the seconds to wait after failure number `count`, None if above `patience`."""
        base = self.throttle_initial if is_throttle(error) else self.initial
        # The exponent stops at 30: the ceiling is reached long before, and 2.0 ** 1024 overflows.
        backoff = jitter() * min(self.ceiling, base * 2.0 ** min(count - 1, 30))
        asked = error.retry_after if isinstance(error, ApiError) else None
        if asked is None:
            return backoff
        if asked > self.patience:
            return None
        return max(backoff, asked) + jitter() * min(1.0, 0.1 * asked)
