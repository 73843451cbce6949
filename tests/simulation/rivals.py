"""What others do in place of our window: for the table, and for controls that must fail.

Each is a `Window`, so that records are given up by the same rule.
"""

from math import inf

from timeback_async._flow.window import Window


class Fixed(Window):
    """So many in flight, whatever the server says: each record backs off for itself."""

    def __init__(self, limit: int = 64) -> None:
        super().__init__(limit)
        self._size = self._limit = float(limit)

    def size(self, now: float) -> float:
        return self._size

    def admit(self, now: float) -> float:
        if self.in_flight >= max(1, int(self.size(now))):
            return inf
        self.in_flight += 1
        return 0.0

    def throttled(self, retry_after: float, now: float) -> None:
        self.failed(now)


class Aimd(Fixed):
    """One more for each window of successes, a tenth less for each throttled answer."""

    def succeeded(self, seconds: float, now: float) -> None:
        super().succeeded(seconds, now)
        self._size = min(self._limit, self._size + 1 / self._size)

    def throttled(self, retry_after: float, now: float) -> None:
        super().throttled(retry_after, now)
        self._size = max(1.0, self._size * 0.9)


class RateCubic(Fixed):
    """A rate in place of a window, as botocore's adaptive retry mode has it.

    A token bucket that begins with the first throttled answer, is cut to 0.7 of the smaller of
    its rate and the measured one, and grows back by a cubic of time.
    """

    BETA, SCALE, SMOOTH = 0.7, 0.4, 0.8

    def __init__(self, limit: int = 64) -> None:
        super().__init__(limit)
        self._rate = inf
        self._too_much, self._cut_at = 0.0, 0.0
        self._level, self._filled_at = 0.0, 0.0
        self._measured, self._bucket, self._count = 0.0, 0.0, 0

    def admit(self, now: float) -> float:
        if self.in_flight >= self._limit:
            return inf
        if self._rate != inf:
            burst = max(self._rate, 1.0)
            self._level = min(burst, self._level + (now - self._filled_at) * self._rate)
            self._filled_at = now
            if self._level < 1:
                return (1 - self._level) / self._rate + 1e-9
            self._level -= 1
        self.in_flight += 1
        return 0.0

    def _measure(self, now: float) -> None:
        self._count += 1
        bucket = int(now * 2) / 2
        if bucket > self._bucket:
            rate = self._count / (bucket - self._bucket)
            self._measured = self.SMOOTH * rate + (1 - self.SMOOTH) * self._measured
            self._count, self._bucket = 0, bucket

    def succeeded(self, seconds: float, now: float) -> None:
        super().succeeded(seconds, now)
        self._measure(now)
        if self._rate != inf:
            back = (self._too_much * (1 - self.BETA) / self.SCALE) ** (1 / 3)
            grown = self.SCALE * (now - self._cut_at - back) ** 3 + self._too_much
            self._rate = max(0.5, min(grown, 2 * self._measured))

    def throttled(self, retry_after: float, now: float) -> None:
        super().throttled(retry_after, now)
        self._measure(now)
        self._too_much = min(self._rate, self._measured) or 0.5
        self._cut_at = self._filled_at = now
        self._rate = max(0.5, self._too_much * self.BETA)
