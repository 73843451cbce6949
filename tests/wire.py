"""The other end of the wire, scripted: a transport without a network, and a raw TCP server."""

import asyncio
import copy
import functools
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, ParamSpec, Self

import msgspec
from multidict import CIMultiDict

from timeback_async import Config, Response
from timeback_async.errors import TimedOutError

from .clock import run_simulated

P = ParamSpec("P")

BASE = "https://timeback.test"
SECRET = "secret-canary"


def config(**settings: Any) -> Config:
    return Config(**{"client_id": "me", "client_secret": SECRET, "base_url": BASE, **settings})


def simulated(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on simulated time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_simulated(test(*args, **kwargs))

    return run


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the network brings about, where nothing else tells."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)


# -- a transport without a network


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


class FakeTransport:
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
        sent = Sent(method, url, headers, body, timeout, asyncio.get_running_loop().time())
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


# -- a raw TCP server


class Reply(NamedTuple):
    """Bytes to answer with, and what becomes of the connection then."""

    data: bytes = b""
    then: Literal["stay", "close", "reset"] = "stay"


DROP = Reply(then="close")


def reply(body: bytes = b"{}", status: str = "200 OK", headers: Sequence[str] = ()) -> Reply:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return Reply("\r\n".join(head).encode() + body)


class RawServer:
    """Plays one reply to each request, the last one for ever.

    Attributes:
        requests: Every request, head and body, as it came.
        connections: TCP connections accepted.
    """

    def __init__(self, *script: Reply, tls: ssl.SSLContext | None = None) -> None:
        self._script = script or (reply(),)
        self._tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._handlers: list[asyncio.Task[Any]] = []

    @property
    def open_connections(self) -> int:
        return sum(not handler.done() for handler in self._handlers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://localhost:{self.port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.append(task)
        self._writers.append(writer)
        self.connections += 1
        then = "stay"
        try:
            while then == "stay":
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head + await reader.readexactly(_length(head)))
                data, then = self._script[min(len(self.requests), len(self._script)) - 1]
                writer.write(data)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        if then == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0
