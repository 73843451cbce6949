"""What a session has done and is doing, in figures, and how long its answers took."""

import enum
from collections import Counter
from math import exp, log

import msgspec

__all__ = ["Histogram", "Latency", "Statistics", "WindowMode"]

GROWTH = log(1.04)  # from one bucket of durations to the next
SHORTEST = 1e-6


class WindowMode(enum.StrEnum):
    """How the window finds its size."""

    OPEN = "open"
    """Nothing speaks against its size."""
    LIMITED = "limited"
    """It grows with time, from below what the server said was too much."""
    DRY = "dry"
    """Nothing comes through: one probe at a time."""


class Latency(msgspec.Struct, frozen=True):
    """How long the answered attempts took, in seconds, within 2 %; None before the first."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Histogram:
    """Durations counted in buckets that grow by 4 %, so that a percentile is within 2 %."""

    def __init__(self) -> None:
        self._buckets: Counter[float] = Counter()

    def add(self, seconds: float) -> None:
        """Count one duration. Anything below a microsecond counts as one."""
        self._buckets[log(max(SHORTEST, seconds)) // GROWTH] += 1

    def snapshot(self) -> Counter[float]:
        """Return the buckets as they are now, for `latency(since=…)`."""
        return self._buckets.copy()

    def latency(self, since: Counter[float] | None = None) -> Latency:
        """Return the percentiles of everything counted so far, or since a snapshot."""
        buckets = self._buckets - since if since else self._buckets
        total = buckets.total()
        found, seen, wanted = [], 0, [0.5, 0.95, 0.99]
        for bucket, count in sorted(buckets.items()):
            seen += count
            while wanted and seen >= wanted[0] * total:
                found.append(exp((bucket + 0.5) * GROWTH))
                del wanted[0]
        return Latency(*found)


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a session has done and is doing. Durations are in seconds.

    Attributes:
        in_flight: Requests in flight now.
        waiting: Requests that wait to be admitted.
        window: The most requests in flight at once; below 1, one with pauses between.
        mode: How the window finds its size: "open", "limited" or "dry".
        round_trip: Smoothed seconds from a request to its answer; 0 while unknown.
        gate: Seconds until new requests are sent again after a long Retry-After; 0 when open.
        attempts: Requests sent.
        retries: Requests that repeated an earlier one.
        throttled: Answers that asked us to slow down.
        token_requests: Requests sent for tokens.
        latency: Percentiles of the answered attempts.
    """

    in_flight: int
    waiting: int
    window: float
    mode: WindowMode
    round_trip: float
    gate: float
    attempts: int
    retries: int
    throttled: int
    token_requests: int
    latency: Latency
