"""TimeBack in memory, with scripted answers, and bulk runs against it on simulated time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, ParamSpec
from urllib.parse import unquote, urlsplit

import msgspec

from tests.clock import run_simulated
from tests.samples import student
from timeback_async import Config, Student
from timeback_async._bulk.run import Bulk
from timeback_async._flow.pool import RequestPool
from timeback_async._flow.token import TokenStore
from timeback_async._wire.codec import Operation, upsert
from timeback_async._wire.http import Response
from timeback_async.errors import ConnectError, ProtocolError, TimedOutError

P = ParamSpec("P")


def simulated(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on simulated time. No task may be left at its end."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            await test(*args, **kwargs)
            assert other_tasks() == set()

        run_simulated(main())

    return run


def other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def steps(number: int) -> None:
    """Let the event loop turn so many times, while no time passes."""
    for _ in range(number):
        await asyncio.sleep(0)


def students(number: int) -> list[Student]:
    return [student(f"s-{n}") for n in range(number)]


class Source:
    """An iterable, sync or async, that counts what was read and can raise at its end."""

    def __init__(self, records: Iterable[object], error: BaseException | None = None) -> None:
        self.reads = 0
        self._records = records
        self._error = error

    def __iter__(self) -> Iterator[object]:
        for record in self._records:
            self.reads += 1
            yield record
        if self._error is not None:
            raise self._error

    async def stream(self, seconds: float = 0) -> AsyncIterator[object]:
        """Iterate, with so many seconds before each record."""
        for record in self._records:
            await asyncio.sleep(seconds)
            self.reads += 1
            yield record
        if self._error is not None:
            raise self._error

    def open(self, is_async: bool) -> object:
        return self.stream() if is_async else iter(self)


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


class FakeServer:
    """A `Transport` that keeps what it is sent.

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
        own, inner = _parsed(parts, body)
        self.seen.append(own)
        self.times.setdefault(own, []).append(asyncio.get_running_loop().time())
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


def _parsed(parts: list[str], body: bytes | None) -> tuple[str, dict[str, Any]]:
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


class Rig:
    """A fake server and a pool that sends to it, four requests at a time unless told."""

    def __init__(self, **settings: Any) -> None:
        self.config = Config(
            **{
                "client_id": "c",
                "client_secret": "secret",
                "base_url": "https://timeback.test",
                "max_in_flight": 4,
                "adaptive": False,
                **settings,
            }
        )
        self.server = FakeServer()
        self.tokens = TokenStore(self.config, self.server)
        self.pool = RequestPool(self.config, self.server, self.tokens)

    def run(
        self, records: object, prepare: Callable[[Any], Operation] = upsert, **how: Any
    ) -> Bulk:
        patience = self.config.retry.patience
        how.setdefault("in_flight", self.config.max_in_flight)
        allowed = self.config.deadline + patience
        return Bulk(self.pool, prepare, records, allowed=allowed, patience=patience, **how)
