"""Figures about what a session has done and is doing, and how long its answers took."""

import enum
from collections import Counter
from math import floor, log2

import msgspec

__all__ = ["Histogram", "Latency", "Statistics", "WindowMode"]

PER_DOUBLING = 18  # the ratio of two neighbouring buckets is 1.04
SHORTEST = 1e-6


class WindowMode(enum.StrEnum):
    """Name how the window finds its size."""

    OPEN = "open"
    """No limit of the server is known: an adaptive window grows with every answer."""
    LIMITED = "limited"
    """The server asked to slow down: the window was cut, and grows again with time."""
    DRY = "dry"
    """Nothing comes through: one probe is sent at a time."""


class Latency(msgspec.Struct, frozen=True):
    """Give percentiles of the seconds that answered attempts took, within 2 %; None without any."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Histogram:
    """Counts durations in buckets that grow by 4 %, so that a percentile is within 2 %."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        """Count one duration. A shorter one than a microsecond counts as a microsecond."""
        counted = seconds if seconds > SHORTEST else SHORTEST  # noqa: FURB136 - `max` is slow
        bucket = floor(log2(counted) * PER_DOUBLING)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def snapshot(self) -> Counter[int]:
        """Return the buckets as they are now, for `latency(since=…)`."""
        return Counter(self._buckets)

    def latency(self, since: Counter[int] | None = None) -> Latency:
        """Return the percentiles of everything counted so far, or since a snapshot."""
        buckets = Counter(self._buckets) - (since or Counter())
        total = buckets.total()
        found, seen, wanted = [], 0, [0.5, 0.95, 0.99]
        for bucket, count in sorted(buckets.items()):
            seen += count
            while wanted and seen >= wanted[0] * total:
                found.append(2.0 ** ((bucket + 0.5) / PER_DOUBLING))
                del wanted[0]
        return Latency(*found)


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Report what a session has done so far and is doing now. Durations are in seconds.

    Attributes:
        in_flight: Requests in flight now.
        waiting: Calls that wait for a slot now.
        window: The most requests in flight at once, now. Below 1 it is one, with pauses.
        mode: How the window finds its size: "open", "limited" or "dry".
        round_trip: Smoothed seconds from a request to its answer; 0 before the first answer.
        gate: Seconds until the gate opens again after a long `Retry-After`; 0 when it is open.
        down_for: Seconds for which nothing has come through, or nobody has got a token that calls
            wait for; 0 while requests come through.
        failure: What the last of these attempts or token requests raised; None while `down_for`
            is 0.
        attempts: Requests sent, without those for tokens.
        retries: Those of them that were not the first of their call.
        throttled: Answers that were 429, or 503 with `Retry-After`.
        token_requests: Requests sent for tokens.
        latency: Percentiles of all answered attempts.
    """

    in_flight: int
    waiting: int
    window: float
    mode: WindowMode
    round_trip: float
    gate: float
    down_for: float
    failure: Exception | None
    attempts: int
    retries: int
    throttled: int
    token_requests: int
    latency: Latency
