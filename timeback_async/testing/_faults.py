"""The faults of the mock server. The same seed and the same requests give the same faults."""

import random
from collections.abc import Mapping
from email.utils import formatdate
from typing import Literal, Self

import msgspec

__all__ = ["Faults", "Throttle"]

Hint = Literal["seconds", "date", "ms"] | None


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """A rate limit of the mock server, for the rostering API.

    Attributes:
        rate: Requests per second on average; greater than 0.
        burst: The most requests at once: the size of the bucket, or of one window; 1 or more.
        kind: "bucket" refills steadily. "window" refills at once, `burst / rate` seconds after the
            first request in the window.
        retry_after: How a rejection says when to try again: "seconds" or "date" (`Retry-After` as
            a number or an HTTP date), "ms" (`retry-after-ms`), or None to say nothing.
        status: The HTTP status of a rejection.
        rejections_cost: Whether a rejected request counts against the limit.
    """

    rate: float
    burst: float = 20
    kind: Literal["bucket", "window"] = "bucket"
    retry_after: Hint = "seconds"
    status: int = 429
    rejections_cost: bool = False


class Limiter:
    """Counts requests against a `Throttle`. Instants are passed in, in seconds."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._left = throttle.burst
        self._since: float | None = None

    def wait(self, now: float) -> float:
        """Count a request: return 0 to admit it, or the seconds until one would be admitted."""
        throttle = self._throttle
        if self._since is None:
            self._since = now
        if throttle.kind == "bucket":
            self._left = min(throttle.burst, self._left + (now - self._since) * throttle.rate)
            self._since = now
        elif now - self._since >= throttle.burst / throttle.rate:
            self._left, self._since = throttle.burst, now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        if throttle.rejections_cost:
            self._left = max(self._left - 1, -throttle.burst)
        if throttle.kind == "bucket":
            return (1 - self._left) / throttle.rate
        return self._since + throttle.burst / throttle.rate - now


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """The faults of a `MockServer`. The default is a server without faults.

    A rate is the share of requests that are affected, from 0.0 (none) to 1.0 (all). Times are in
    seconds.

    Attributes:
        latency: Time before each answer: a number, or a pair (least, most) to draw it from.
        statuses: Rate of each HTTP error status, such as `{503: 0.01}`; the rates add up to 1 at
            most. A request that gets one is not carried out.
        drop_before: Rate of connections closed before the request is carried out.
        drop_after: Rate of connections closed after the request is carried out, unanswered.
        truncate: Rate of answers that end after half of their body; the request is carried out.
        slow: Rate of answers that are sent in four pieces over `slow_seconds`.
        slow_seconds: Time that a slow answer takes.
        throttle: A rate limit, or None.
        error_body: The body of the errors in `statuses` and `token_statuses`: "imsx" (OneRoster's
            JSON), "html", "text", "empty", or "deep" (200 KB of "[").
        token_statuses: Rate of each HTTP error status at the token endpoint.
        token_lifetime: Time for which a token is valid.
        revoke_every: All tokens are revoked each time this number of requests has arrived; 2 or
            more, or 0 for never.
        seed: The same seed and the same requests give the same faults.
    """

    latency: float | tuple[float, float] = 0.0
    statuses: Mapping[int, float] = {}
    drop_before: float = 0.0
    drop_after: float = 0.0
    truncate: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 0.05
    throttle: Throttle | None = None
    error_body: Literal["imsx", "html", "text", "empty", "deep"] = "imsx"
    token_statuses: Mapping[int, float] = {}
    token_lifetime: float = 3600.0
    revoke_every: int = 0
    seed: int = 0

    @classmethod
    def preset(cls, name: str, seed: int = 0) -> Self:
        """Return a named set of faults.

        Args:
            name: "none"; "some": a few errors and dropped connections, as on a bad day; or
                "storm": many faults of every kind, with a rate limit.
            seed: See `Faults.seed`.

        Raises:
            ValueError: The name is not one of these.
        """
        if name == "none":
            return cls(seed=seed)
        if name == "some":
            return cls(
                latency=(0.001, 0.01),
                statuses={503: 0.01, 502: 0.005, 500: 0.002},
                drop_before=0.002,
                drop_after=0.003,
                seed=seed,
            )
        if name == "storm":
            return cls(
                latency=(0.001, 0.05),
                statuses={503: 0.05, 502: 0.03, 504: 0.01, 500: 0.01},
                drop_before=0.01,
                drop_after=0.02,
                truncate=0.01,
                slow=0.01,
                throttle=Throttle(rate=1500, burst=300, retry_after="seconds"),
                error_body="html",
                revoke_every=2000,
                seed=seed,
            )
        raise ValueError(f"unknown faults {name!r}; use none, some or storm")


def happens(draw: random.Random, rate: float) -> bool:
    """Return True at this rate; a rate of 0 draws no random number."""
    return rate > 0 and draw.random() < rate


def drawn(draw: random.Random, rates: Mapping[int, float]) -> int:
    """Return one of the statuses, each at its own rate, or 0 for none of them."""
    if not rates:
        return 0
    left = draw.random()
    for status, rate in rates.items():
        left -= rate
        if left < 0:
            return status
    return 0


def retry_headers(form: Hint, wait: float, now: float) -> dict[str, str]:
    """Return the headers that ask a client to wait.

    Args:
        form: See `Throttle.retry_after`.
        wait: Seconds until a request would be admitted.
        now: Seconds since 1970.
    """
    match form:
        case "seconds":
            return {"Retry-After": str(max(1, round(wait + 0.5)))}
        case "ms":
            return {"retry-after-ms": str(round(wait * 1000) + 1)}
        case "date":
            until = formatdate(now + wait + 1, usegmt=True)
            return {"Retry-After": until, "Date": formatdate(now, usegmt=True)}
    return {}
