"""Servers in memory, on simulated time: what they let in, how soon they answer, when they fail."""

import asyncio
import json
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from typing import Literal, NamedTuple, Protocol

from multidict import CIMultiDict

from timeback_async import Response
from timeback_async.errors import ConnectError, ProtocolError, TimedOutError

GRANT = b'{"access_token":"of-good-tidings","expires_in":3600}'


# What a request can get in place of success; after a comma, seconds of a Retry-After.
Fault = Literal[
    "refused",
    "timed out",
    "dropped",
    "cut off",
    "html",
    "429",
    "429, 1",
    "429, 5",
    "500",
    "502",
    "503",
    "503, 1",
    "503, 5",
    "504",
]


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


class Outage(NamedTuple):
    """From `begin` to `end`, every request fails in one of these ways, drawn at random."""

    begin: float
    end: float
    how: Sequence[Fault] = ("refused",)


class Server:
    """A transport to a modelled server.

    Args:
        limit: What it lets in; None for everything.
        at_once: The most requests that it works on at once; those beyond are turned away.
        says: The fault that a request gets that is turned away.
        latency: Seconds from a request to its answer, on average.
        hint: Whether a throttled answer has a Retry-After.
        failures: The share of requests that fail at random.
        failing: The faults of those, drawn at random.
        outages: When everything fails, and how.
        slowdown: Requests in flight that double the latency.
        poison: What a record always gets, by its id.

    Attributes:
        accepted: When each write was accepted.
        rejected: When each was turned away by the limit.
        failed: When each ended in a random failure or in an outage.
    """

    def __init__(
        self,
        limit: Limit | None = None,
        *,
        at_once: float = inf,
        says: Fault = "429",
        latency: float = 0.05,
        hint: bool = False,
        failures: float = 0.0,
        failing: Sequence[Fault] = ("503",),
        outages: Sequence[Outage] = (),
        slowdown: float = inf,
        poison: Mapping[str, Fault] | None = None,
        seed: int = 1,
    ) -> None:
        self._limit, self._at_once, self._says = limit or NoLimit(), at_once, says
        self._latency, self._hint = latency, hint
        self._failures, self._failing, self.outages = failures, failing, outages
        self._slowdown, self._poison = slowdown, poison or {}
        self._draw = random.Random(seed)
        self._start = asyncio.get_running_loop().time()
        self._in_flight = self._working = 0
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
        is_in = self._working < self._at_once
        self._in_flight += 1
        self._working += is_in
        try:
            busy = 1 + self._in_flight / self._slowdown
            half = self._latency * busy * self._draw.uniform(0.4, 0.6)
            await asyncio.sleep(half)
            fault = self._decide(body, is_in)
            if fault == "timed out":
                await asyncio.sleep(timeout - half)
            elif fault != "refused":
                await asyncio.sleep(half)
            return self._answer(fault)
        finally:
            self._in_flight -= 1
            self._working -= is_in

    def _decide(self, body: bytes | None, is_in: bool) -> Fault | None:
        now = self.now()
        for begin, end, how in self.outages:
            if begin <= now < end:
                self.failed.append(now)
                return self._draw.choice(how)
        if not is_in or not self._limit.admits(now):
            self.rejected.append(now)
            return self._says
        if self._draw.random() < self._failures:
            self.failed.append(now)
            return self._draw.choice(self._failing)
        if self._poison and (fault := self._poison.get(_id_in(body))):
            self.failed.append(now)
            return fault
        self.accepted.append(now)
        return None

    def _answer(self, fault: Fault | None) -> Response:
        match fault:
            case None:
                return Response(204, CIMultiDict(), b"")
            case "refused":
                raise ConnectError("the server is down")
            case "timed out":
                raise TimedOutError("no answer")
            case "dropped":
                raise ProtocolError("the server closed the connection", disconnected=True)
            case "cut off":
                raise ProtocolError("the answer was cut off")
            case "html":
                return Response(200, CIMultiDict({"Content-Type": "text/html"}), b"<p>Soon</p>")
        status, _, retry_after = fault.partition(", ")
        headers: dict[str, str] = {"Retry-After": retry_after} if retry_after else {}
        if self._hint and not retry_after and status in ("429", "503"):
            headers["Retry-After"] = str(ceil(self._limit.opens_in(self.now())))
        return Response(int(status), CIMultiDict(headers), b"{}")


def _id_in(body: bytes | None) -> str:
    sent = json.loads(body or b"{}")
    return str(sent["student"]["sourcedId"])
