"""What a trace is fed with: a clock that is set by hand, and figures of a session."""

from collections.abc import Callable

from timeback_async import Statistics
from timeback_async._statistics import Latency, WindowMode


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def statistics(throttled: int = 0, window: float = 4.0) -> Callable[[], Statistics]:
    now = Statistics(
        in_flight=0, waiting=0, window=window, mode=WindowMode.OPEN, round_trip=0.5, gate=0.0,
        down_for=0.0, failure=None,
        attempts=0, retries=0, throttled=throttled, token_requests=0, latency=Latency(),
    )  # fmt: skip
    return lambda: now
