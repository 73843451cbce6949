"""A server that plays a script, in place of a transport: what the pool makes of each answer.

It knows nothing of records; `storing` has a server that does.
"""

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from multidict import CIMultiDict

from tests.support.clock import now
from timeback_async import Response, RetryPolicy
from timeback_async.errors import ConnectError, ProtocolError, TimedOutError

AT_ONCE = RetryPolicy(initial=0.0, throttle_initial=0.0)
NO_ANSWER = TimedOutError("no answer")
DISCONNECT = ProtocolError("the connection closed", disconnected=True)
CUT_OFF = ProtocolError("the answer was cut off")
REFUSED = ConnectError("cannot connect")
UNKNOWN_HOST = ConnectError("unknown host", unknown_host=True)


def answer(status: int = 204, body: object = b"", **headers: str) -> Response:
    """Return an answer; in header names "_" stands for "-", and what is not bytes is JSON."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, CIMultiDict(named), content)


def grant(name: str = "granted", **members: object) -> Response:
    return answer(200, {"access_token": name, "token_type": "bearer", **members})


class Sent(NamedTuple):
    """One request as the transport got it, and when."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: float
    at: float

    @property
    def token(self) -> str:
        return self.headers["Authorization"].removeprefix("Bearer ")

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.url.rpartition("/")[2]


Outcome = Response | Exception


class After(NamedTuple):
    """An outcome that takes its time."""

    seconds: float
    outcome: Outcome


Step = Outcome | After | Callable[[Sent], Outcome | After]


class ScriptedServer:
    """Plays `script` to requests and `grants` to token requests, the last step of each for ever.

    Without `grants` every token request is granted another token: token-1, token-2 and so on.
    A step takes `latency`, a grant `grant_latency` seconds, unless it says itself how long.
    """

    def __init__(
        self,
        *script: Step,
        grants: Sequence[Step] = (),
        latency: float = 0.0,
        grant_latency: float = 0.0,
    ) -> None:
        self.script: Sequence[Step] = script or [answer()]
        self.grants = grants or [lambda _: grant(f"token-{len(self.asked)}", expires_in=3600)]
        self.latency, self.grant_latency = latency, grant_latency
        self.sent: list[Sent] = []
        self.asked: list[Sent] = []
        self.in_flight = self.peak = 0

    async def aclose(self) -> None:
        """Nothing to close."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        sent = Sent(method, url, headers, body, timeout, now())
        if url.endswith("/token"):
            self.asked.append(sent)
            return await self._play(self.grants, len(self.asked), sent, self.grant_latency)
        self.sent.append(sent)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._play(self.script, len(self.sent), sent, self.latency)
        finally:
            self.in_flight -= 1

    async def _play(
        self, script: Sequence[Step], number: int, sent: Sent, latency: float
    ) -> Response:
        step = script[min(number, len(script)) - 1]
        if callable(step):
            step = step(sent)
        seconds, outcome = step if isinstance(step, After) else (latency, step)
        await asyncio.sleep(min(seconds, max(0.0, sent.timeout)))
        if seconds > sent.timeout:
            raise TimedOutError(f"no answer within {sent.timeout:g} s")
        if isinstance(outcome, Exception):
            raise copy.copy(outcome)
        return outcome
