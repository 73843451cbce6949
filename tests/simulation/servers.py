"""Servers in memory, on simulated time: what they let in, how soon they answer, when they fail."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from typing import Protocol

from multidict import CIMultiDict

from timeback_async import Response
from timeback_async.errors import ConnectError

GRANT = b'{"access_token":"of-good-tidings","expires_in":3600}'


class Limit(Protocol):
    """What a server lets in."""

    def admits(self, now: float) -> bool: ...

    def opens_in(self, now: float) -> float:
        """Return the seconds until a request will be let in."""


class Bucket:
    """A token bucket. `rate` may change with time; where rejections cost, they take tokens too."""

    def __init__(
        self, rate: float | Callable[[float], float], burst: float = 20, *, costly: bool = False
    ) -> None:
        self._rate = rate if callable(rate) else lambda _: rate
        self._burst, self._costly = burst, costly
        self._level, self._filled_at = burst, 0.0

    def admits(self, now: float) -> bool:
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate(now))
        self._filled_at = now
        if self._level >= 1:
            self._level -= 1
            return True
        if self._costly:
            self._level = max(-self._burst, self._level - 1)
        return False

    def opens_in(self, now: float) -> float:
        return max(0.0, (1 - self._level) / self._rate(now))


class Quota:
    """So many in each window of so many seconds, fixed or sliding."""

    def __init__(self, number: int, seconds: float, *, sliding: bool = False) -> None:
        self._number, self._seconds, self._sliding = number, seconds, sliding
        self._taken: deque[float] = deque()

    def admits(self, now: float) -> bool:
        begin = now - self._seconds if self._sliding else now - now % self._seconds
        while self._taken and self._taken[0] < begin:
            self._taken.popleft()
        if len(self._taken) < self._number:
            self._taken.append(now)
            return True
        return False

    def opens_in(self, now: float) -> float:
        if self._sliding:
            return max(0.0, self._taken[0] + self._seconds - now)
        return self._seconds - now % self._seconds


class NoLimit:
    def admits(self, now: float) -> bool:
        return True

    def opens_in(self, now: float) -> float:
        return 0.0


class Server:
    """A transport to a modelled server.

    Attributes:
        accepted: When each write was accepted.
        rejected: When each was turned away by the limit.
        failed: When each ended in a random failure or in an outage.
    """

    def __init__(
        self,
        limit: Limit | None = None,
        *,
        latency: float = 0.05,
        hint: bool = False,
        failures: float = 0.0,
        outages: Sequence[tuple[float, float]] = (),
        slowdown: float = inf,
        seed: int = 1,
    ) -> None:
        self._limit = limit or NoLimit()
        self._latency, self._hint = latency, hint
        self._failures, self.outages = failures, outages
        self._slowdown = slowdown  # requests in flight that double the latency
        self._draw = random.Random(seed)
        self._start = asyncio.get_running_loop().time()
        self._in_flight = 0
        self.accepted: list[float] = []
        self.rejected: list[float] = []
        self.failed: list[float] = []

    @property
    def requests(self) -> int:
        return len(self.accepted) + len(self.rejected) + len(self.failed)

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self._start

    async def aclose(self) -> None:
        """Nothing to close."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        if method == "POST":
            return Response(200, CIMultiDict(), GRANT)
        self._in_flight += 1
        try:
            busy = 1 + self._in_flight / self._slowdown
            half = self._latency * busy * self._draw.uniform(0.4, 0.6)
            await asyncio.sleep(half)
            answer = self._decide()
            await asyncio.sleep(half)
            return answer
        finally:
            self._in_flight -= 1

    def _decide(self) -> Response:
        now = self.now()
        if any(begin <= now < end for begin, end in self.outages):
            self.failed.append(now)
            raise ConnectError("the server is down")
        if not self._limit.admits(now):
            self.rejected.append(now)
            wait = str(ceil(self._limit.opens_in(now)))
            return Response(429, CIMultiDict({"Retry-After": wait} if self._hint else {}), b"{}")
        if self._draw.random() < self._failures:
            self.failed.append(now)
            return Response(503, CIMultiDict(), b"{}")
        self.accepted.append(now)
        return Response(204, CIMultiDict(), b"")
