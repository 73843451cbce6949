"""Decide whether a failed attempt is repeated, and after how long.

Pure decisions: no clock, no sleeping, no sending. `RequestPool` acts on them.
"""

import random
from collections.abc import Callable

import msgspec

from ._settings import Count, Seconds, problems
from .errors import ApiError, ConfigError, RateLimitError

__all__ = ["POISON_ATTEMPTS", "RetryPolicy", "is_throttle"]

# A record that breaks the server answers 500 for ever: four times is enough to tell.
POISON_ATTEMPTS = 4


def is_throttle(error: Exception) -> bool:
    """Whether the server asked us to slow down: 429, or 503 with Retry-After."""
    return isinstance(error, RateLimitError) or (
        isinstance(error, ApiError) and error.status == 503 and error.retry_after is not None
    )


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and how patiently, one request is repeated.

    Attributes:
        attempts: How many attempts may fail, the first included; throttling does not count.
        initial: Seconds of the first backoff; doubled for each failure after it.
        throttle_initial: The same after 429 and 503 with Retry-After.
        ceiling: The longest backoff, in seconds.
        patience: The longest Retry-After obeyed, in seconds.

    Raises:
        ConfigError: A value is out of range.
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

        The backoff doubles up to `ceiling`, then a random share of it is taken so that workers
        spread out. A Retry-After is waited out in full, and a little longer for the same reason.

        Args:
            error: What the attempt raised.
            failures: Failed attempts that count, this one included where it counts.
            throttles: Throttled attempts, this one included where it was throttled.
            jitter: Draws from [0, 1).
            internal_errors: Attempts answered with 500, this one included; None for all
                failures. A record that the server stumbles over gets 4 of them.

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
        """Return the seconds to wait after the `count`th failure, None past our patience."""
        base = self.throttle_initial if is_throttle(error) else self.initial
        # The exponent stops at 30: the ceiling is long reached, and 2.0 ** 1024 overflows.
        backoff = jitter() * min(self.ceiling, base * 2.0 ** min(count - 1, 30))
        asked = error.retry_after if isinstance(error, ApiError) else None
        if asked is None:
            return backoff
        if asked > self.patience:
            return None
        return max(backoff, asked) + jitter() * min(1.0, 0.1 * asked)
