"""Decide whether one more request may be sent now.

Pure: the clock is passed in, nothing sleeps and nothing is sent. `RequestPool` asks before every
attempt and tells when it is over. Token requests do not pass through here, so that a closed gate
can never keep the token from being renewed.
"""

from math import inf

__all__ = ["Window"]

# A Retry-After of this many seconds or more speaks for the whole client, a shorter one for one
# request only: stopping everything for each short one costs a fifth of the throughput.
GATE_FROM = 2.0
# A pacer that never catches up loses every late wake-up; this much lateness is made good.
PACING_SLACK = 0.05


class Window:
    """At most `limit` requests in flight, at most `max_rate` a second, none while the gate is shut.

    Attributes:
        limit: The most requests in flight at once.
        in_flight: How many are now.
        gate: When the gate opens, in the clock's seconds; in the past while it is open.
    """

    def __init__(self, limit: int, max_rate: float | None = None) -> None:
        self.limit = limit
        self.in_flight = 0
        self.gate = -inf
        self._spacing = 1.0 / max_rate if max_rate else 0.0
        self._next_at = -inf

    def admit(self, now: float) -> float:
        """Take a slot and return 0, or return how long to wait before asking again.

        The wait is in seconds; `inf` means until a slot is given back.
        """
        if self.in_flight >= self.limit:
            return inf
        if now < self.gate:
            return self.gate - now
        if self._spacing:
            if now < self._next_at:
                return self._next_at - now
            self._next_at = max(self._next_at, now - PACING_SLACK) + self._spacing
        self.in_flight += 1
        return 0.0

    def release(self) -> None:
        """Give the slot back."""
        self.in_flight -= 1

    def throttled(self, retry_after: float, now: float) -> None:
        """Take note of a throttled answer: a long Retry-After shuts the gate for everybody."""
        if retry_after >= GATE_FROM:
            self.gate = max(self.gate, now + retry_after)
