"""TimeBack in memory, in place of a transport: what the server has when a bulk run is over.

Its answers are scripted for each record; `scripted` has a server that answers in order.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from tests.support.clock import now
from timeback_async._wire.http import Response
from timeback_async.errors import ConnectError, ProtocolError, TimedOutError


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the server does with one request. `error` is raised in place of an answer."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    error: Exception | None = None
    is_stored: bool | None = None
    seconds: float | None = None


OK = Answer()
DROPPED = Answer(error=ProtocolError("dropped", disconnected=True))
LOST = Answer(error=ProtocolError("cut off"), is_stored=True)
UNREACHABLE = Answer(error=ConnectError("connection refused"))
STUCK = Answer(seconds=1e9)
NO_TLS = Answer(error=ConnectError("certificate verify failed", retryable=False))


def refusal(status: int, **headers: str) -> Answer:
    return Answer(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})


class StoringServer:
    """Keeps what it is sent, in memory.

    A request is stored half way through its time, so that a cut can come before or after.

    Attributes:
        seconds: How long a request takes.
        answers: What comes next, by sourcedId; `default` when there is nothing (more).
        saved: The records, by sourcedId, as last sent.
        seen: The sourcedIds sent, in order, and at what time.
        peak: The most requests in flight at once.
        overlaps: The sourcedIds that were twice in flight.
    """

    def __init__(self) -> None:
        self.seconds = 1.0
        self.default = self.token_answer = OK
        self.answers: dict[str, list[Answer]] = {}
        self.saved: dict[str, dict[str, Any]] = {}
        self.seen: list[str] = []
        self.times: dict[str, list[float]] = {}
        self.versions: list[str] = []
        self.overlaps: set[str] = set()
        self.peak = self.token_requests = 0
        self._in_flight: Counter[str] = Counter()

    async def aclose(self) -> None:
        """Nothing to close."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        path = urlsplit(url).path
        try:
            async with asyncio.timeout(timeout):
                if path == "/auth/1.0/token":
                    return await self._grant()
                return await self._handle(method, path.split("/")[3:], body)
        except TimeoutError:
            raise TimedOutError("no answer in time") from None

    async def _grant(self) -> Response:
        self.token_requests += 1
        await asyncio.sleep(self.seconds)
        grant = {"access_token": f"t-{self.token_requests}", "expires_in": 1e6}
        return _response(self.token_answer, msgspec.json.encode(grant))

    async def _handle(self, method: str, parts: list[str], body: bytes | None) -> Response:
        own, inner = parsed(parts, body)
        self.seen.append(own)
        self.times.setdefault(own, []).append(now())
        self.versions.append(inner.get("givenName", ""))
        if self._in_flight[own]:
            self.overlaps.add(own)
        self._in_flight[own] += 1
        self.peak = max(self.peak, self._in_flight.total())
        try:
            waiting = self.answers.get(own)
            answer = waiting.pop(0) if waiting else self.default
            return await self._answer(answer, method, parts, own, inner)
        finally:
            self._in_flight[own] -= 1

    async def _answer(
        self, answer: Answer, method: str, parts: list[str], own: str, inner: dict[str, Any]
    ) -> Response:
        seconds = self.seconds if answer.seconds is None else answer.seconds
        await asyncio.sleep(seconds / 2)
        is_ok = answer.error is None and answer.status < 300
        if answer.is_stored or (answer.is_stored is None and is_ok):
            if len(parts) == 4 and not {parts[1], self._agent(inner, parts[1])} <= set(self.saved):
                answer = refusal(404)
            elif method == "PUT":
                self.saved[own] = inner
            else:
                self.saved.pop(own, None)
        await asyncio.sleep(seconds / 2)
        return _response(answer, b'{"agents": []}' if method == "GET" else b"")

    def _agent(self, link: dict[str, Any], student_id: str) -> str:
        """Return whom a link names, or the student where a DELETE names nobody."""
        return str(link["user"]["sourcedId"]) if link else student_id


def parsed(parts: list[str], body: bytes | None) -> tuple[str, dict[str, Any]]:
    """Return the id that a request is about, and the record in it."""
    record = msgspec.json.decode(body) if body else {}
    match parts:
        case ["students"]:
            return record["student"]["sourcedId"], record["student"]
        case ["users", own]:
            return unquote(own), record.get("user", {})
        case ["users", own, "agents"]:
            return unquote(own), {}
    return unquote(parts[-1]), record


def _response(answer: Answer, body: bytes) -> Response:
    if answer.error is not None:
        raise answer.error
    assert HTTPStatus(answer.status)
    return Response(answer.status, answer.headers, body if answer.body is None else answer.body)
