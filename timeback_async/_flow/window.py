"""Decide whether one more request may be sent now.

Pure: the clock is passed in, nothing sleeps and nothing is sent. `RequestPool` asks before every
attempt and tells how it ended. Token requests do not pass through here, so that a closed gate can
never keep the token from being renewed.
"""

from math import inf

from .._statistics import WindowMode

__all__ = ["Window"]

# A Retry-After of this many seconds or more speaks for the whole client, a shorter one for one
# request only: stopping everything for each short one costs a fifth of the throughput.
GATE_FROM = 2.0
# A pacer that never catches up loses every late wake-up; this much lateness is made good.
RATE_SLACK = 0.05


class Window:
    """At most `limit` requests in flight, at most `max_rate` a second, none while the gate is shut.

    Attributes:
        in_flight: How many requests are in flight now.
        gate: When the gate opens, in the clock's seconds; in the past while it is open.
        mode: How the size is found.
        dry_since: Since when nothing comes through; `inf` while something does.
        round_trip: Smoothed seconds from a request to its answer; 0 before the first.
    """

    def __init__(self, limit: int, max_rate: float | None = None) -> None:
        self.in_flight = 0
        self.gate = -inf
        self.mode = WindowMode.OPEN
        self.round_trip = 0.0
        self._bound = limit
        self.dry_since = inf
        self._opens_at = -inf  # for whatever reason but the rate
        self._spacing = 1.0 / max_rate if max_rate else 0.0
        self._next_at = -inf

    def size(self, now: float) -> float:
        """Return how many requests may be in flight; below 1, one with pauses between."""
        return self._bound

    def admit(self, now: float) -> float:
        """Take a slot and return 0, or return how long to wait before asking again.

        The wait is in seconds; `inf` means until a slot is given back.
        """
        if self.in_flight >= self._bound:
            return inf
        if now < self._opens_at:
            return self._opens_at - now
        if self._spacing:
            if now < self._next_at:
                return self._next_at - now
            self._next_at = max(self._next_at, now - RATE_SLACK) + self._spacing
        self.in_flight += 1
        return 0.0

    def release(self) -> None:
        """Give the slot back, once it has been told how the attempt ended."""
        self.in_flight -= 1

    def succeeded(self, seconds: float, now: float) -> None:
        """Take note of an answer, so many seconds after its request, of a server that is well."""
        self.round_trip += (seconds - self.round_trip) / (8 if self.round_trip else 1)

    def throttled(self, retry_after: float, now: float) -> None:
        """Take note of a throttled answer: a long Retry-After shuts the gate for everybody."""
        if retry_after >= GATE_FROM:
            self.gate = max(self.gate, now + retry_after)
            self._opens_at = max(self._opens_at, self.gate)

    def failed(self, now: float) -> None:
        """Take note of an attempt without a usable answer."""
