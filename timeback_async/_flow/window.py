"""Decide whether one more request may be sent now.

No I/O: the clock is passed in, and nothing here sleeps or sends. `RequestPool` asks before every
attempt, and reports its result after it. Token requests do not pass through here, so a closed gate
cannot stop the renewal of a token.
"""

from math import inf

from .._statistics import WindowMode

__all__ = ["Window"]

# A Retry-After of this many seconds or more stops all requests, a shorter one only its own:
# stopping all of them for each short one costs a fifth of the throughput.
GATE_FROM = 2.0
# A wake-up that is late by up to this many seconds does not reduce the rate.
RATE_SLACK = 0.05
# Nothing comes through after this many failures in a row, or as many as are in flight.
DRY_FROM = 6


class Window:
    """At most `limit` requests in flight, at most `max_rate` a second, none while the gate is shut.

    Attributes:
        in_flight: Number of requests in flight now.
        gate: When the gate opens, in seconds of the clock; in the past while it is open.
        mode: How the size is found.
        served: Number of answers that showed no overload.
        well_at: When the latest request was sent that came through.
        dry_since: Since when nothing comes through; `inf` while requests come through.
        round_trip: Smoothed seconds from a request to its answer; 0 before the first answer.
    """

    def __init__(self, limit: int, max_rate: float | None = None) -> None:
        self.in_flight = 0
        self.gate = -inf
        self.mode = WindowMode.OPEN
        self.round_trip = 0.0
        self.served = 0
        self.well_at, self.dry_since = -inf, inf
        self._bound = limit
        self._row, self._row_since = 0, -inf  # failures in a row, throttled answers included
        self._opens_at = -inf  # for the gate and for pauses, not for the rate
        self._spacing = 1.0 / max_rate if max_rate else 0.0
        self._next_at = -inf
        self._is_settled = True  # whether a success changes nothing else

    def size(self, now: float) -> float:
        """Return how many requests may be in flight. Below 1 it is one, with pauses."""
        return self._bound

    def admit(self, now: float) -> float:
        """Take a slot and return 0, or return the seconds to wait before asking again.

        `inf` means to wait until a slot is given back.
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
        """Give a slot back, after the result of its attempt was reported."""
        self.in_flight -= 1

    def succeeded(self, seconds: float, now: float) -> None:
        """Count an answer that shows no overload, `seconds` after its request."""
        self.round_trip += (seconds - self.round_trip) / (8 if self.round_trip else 1)
        self.served += 1
        if now - seconds > self.well_at:
            self.well_at = now - seconds
        self._row, self.dry_since = 0, inf
        if not self._is_settled:
            self._adapt(seconds, now)

    def throttled(self, retry_after: float, now: float) -> None:
        """Count a throttled answer: a long Retry-After shuts the gate for all requests."""
        Window.failed(self, now)
        if retry_after >= GATE_FROM:
            self.gate = max(self.gate, now + retry_after)
            self._opens_at = max(self._opens_at, self.gate)

    def failed(self, now: float) -> None:
        """Count an attempt without a usable answer."""
        self._row += 1
        if self._row == 1:
            self._row_since = now
        if self.dry_since == inf and self._row >= max(DRY_FROM, self.in_flight):
            self.dry_since = self._row_since

    def _adapt(self, seconds: float, now: float) -> None:
        """Change the size after a success; see `succeeded`."""
