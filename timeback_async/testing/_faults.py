"""What goes wrong on the mock server, and how often. Seeded: the same requests, the same faults."""

import random
from collections.abc import Mapping
from email.utils import formatdate
from typing import Literal, Self

import msgspec

__all__ = ["Faults", "Throttle"]

Hint = Literal["seconds", "date", "ms"] | None


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """A rate limit of the server.

    Attributes:
        rate: Requests a second on average.
        burst: Requests at once: the size of the bucket, or of one window.
        kind: "bucket" refills steadily; "window" refills all at once, `burst / rate` s after the
            first request in it.
        retry_after: The form of the hint: "seconds", "date" (an HTTP date), "ms"
            (`retry-after-ms`), or None for no hint.
        status: The status of a rejection.
        rejections_cost: Whether a rejected request uses up the limit too.
    """

    rate: float
    burst: float = 20
    kind: Literal["bucket", "window"] = "bucket"
    retry_after: Hint = "seconds"
    status: int = 429
    rejections_cost: bool = False


class Limiter:
    """Counts requests against a `Throttle`. The clock is passed in."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._left = throttle.burst
        self._since: float | None = None

    def wait(self, now: float) -> float:
        """Return 0 to let a request pass, or the seconds until one would."""
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
    """What goes wrong. Rates are shares of the requests, from 0 to 1.

    Attributes:
        latency: Seconds before an answer: a number, or the bounds to draw from.
        statuses: Rate of each error status, such as `{503: 0.01}`; nothing is stored.
        drop_before: Connections dropped before the body is read; nothing is stored.
        drop_after: Connections dropped after it was read and stored, without an answer.
        truncate: Answers cut off in the middle; the request was stored.
        slow: Answers that come in pieces over `slow_seconds`.
        slow_seconds: See `slow`.
        throttle: A rate limit.
        error_body: The body of the statuses above: "imsx", "html", "text", "empty", or "deep"
            (200 KB of "[").
        token_statuses: Rate of each error status at the token endpoint.
        token_lifetime: Seconds a token lives.
        revoke_every: All tokens are revoked after every so many requests, 2 or more; 0 for never.
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
        """Return the faults named "none", "some" (an ordinary bad day) or "storm".

        Raises:
            ValueError: There is no preset of that name.
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
        raise ValueError(f"no faults named {name!r}; there are none, some and storm")


def happens(draw: random.Random, rate: float) -> bool:
    """Return True in this share of the calls; nothing is drawn for a rate of 0."""
    return rate > 0 and draw.random() < rate


def drawn(draw: random.Random, rates: Mapping[int, float]) -> int:
    """Return one of the statuses, each at its own rate, or 0."""
    if not rates:
        return 0
    left = draw.random()
    for status, rate in rates.items():
        left -= rate
        if left < 0:
            return status
    return 0


def retry_headers(form: Hint, wait: float, now: float) -> dict[str, str]:
    """Return the headers that ask a client to wait, in one of the forms of `Throttle`.

    Args:
        form: See `Throttle.retry_after`.
        wait: Seconds until a request would pass.
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
        case None:
            return {}
