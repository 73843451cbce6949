"""Record how a run goes over time, in memory that does not grow with its length."""

from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise
from time import monotonic
from typing import NamedTuple

from ._statistics import Statistics

__all__ = ["Slot", "Trace"]

MOST = 512
SHORTEST = 0.05  # seconds between the first moments


class _Moment(NamedTuple):
    """The state of a run `at` seconds after its start; `done` and `throttled` are totals."""

    at: float
    done: float
    throttled: float
    window: float
    round_trip: float


class Slot(NamedTuple):
    """What happened in one part of a run's time.

    Attributes:
        until: End of this part, in seconds from the start of the run.
        rate: Records per second.
        throttled: Throttled answers per second.
        window: The most requests in flight at once, at the end of this part.
        round_trip: Smoothed seconds from a request to its answer, at the end of this part.
    """

    until: float
    rate: float
    throttled: float
    window: float
    round_trip: float


class Trace:
    """Records moments of a run; when its memory is full, it drops every second one."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._interval = SHORTEST
        self._moments = [_Moment(0.0, 0, 0, 0.0, 0.0)]

    def note(self, done: int, statistics: Callable[[], Statistics]) -> None:
        """Record where the run stands, unless the last moment is too recent."""
        if self._clock() - self._started - self._moments[-1].at >= self._interval:
            self.end(done, statistics)

    def end(self, done: int, statistics: Callable[[], Statistics]) -> None:
        """Record where the run stands at its end, however short it was."""
        at, now = self._clock() - self._started, statistics()
        if at > self._moments[-1].at:
            self._moments.append(_Moment(at, done, now.throttled, now.window, now.round_trip))
        if len(self._moments) == MOST:
            del self._moments[1:-1:2]
            self._interval *= 2

    def slots(self, number: int) -> list[Slot]:
        """Return the run in `number` parts of equal length; [] when nothing was recorded."""
        end = self._moments[-1].at
        if not end:
            return []
        bounds = [self._moment(end * n / number) for n in range(number + 1)]
        return [
            Slot(
                two.at,
                (two.done - one.done) / (two.at - one.at),
                (two.throttled - one.throttled) / (two.at - one.at),
                two.window,
                two.round_trip,
            )
            for one, two in pairwise(bounds)
        ]

    def _moment(self, at: float) -> _Moment:
        """Return where the run stood `at` this time, between two recorded moments."""
        place = bisect_left(self._moments, at, lo=1, hi=len(self._moments) - 1, key=lambda m: m.at)
        before, after = self._moments[place - 1 : place + 1]
        share = (at - before.at) / (after.at - before.at)
        return _Moment(*(a + (b - a) * share for a, b in zip(before, after, strict=True)))
