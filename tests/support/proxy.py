"""Proxies of our own: one that does to bytes what networks do to them, and one for CONNECT."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import msgspec

from tests.support.tcp import TcpServer, read_request, reset_at_close

Then = Literal["go on", "close", "reset", "half-close", "silence"]


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection goes through. Numbers of bytes count from its beginning.

    Attributes:
        latency: Seconds that each piece of bytes takes, in each direction.
        bandwidth: Bytes a second towards the client; None for no bound.
        slice: Bytes towards the client come in pieces of this many; None as they come.
        request_bytes: So many bytes of requests go through before `then`; None for all.
        answer_bytes: The same of answers.
        then: What happens when one of the two is used up: "close", "reset", "half-close" (the
            client gets an end, its bytes still arrive) or "silence" (a black hole: nothing
            arrives any more, nothing is closed).
        idle: The connection is closed when nothing was on its way for so many seconds.
        before: What happens at once after accepting, before a byte was read.
    """

    latency: float = 0.0
    bandwidth: float | None = None
    slice: int | None = None
    request_bytes: int | None = None
    answer_bytes: int | None = None
    then: Then = "close"
    idle: float | None = None
    before: Then = "go on"


FAIR = Weather()


class FaultProxy(TcpServer):
    """Carries connections to a server, each through the weather it is given.

        async with FaultProxy(port, lambda number: Weather(then="reset", answer_bytes=10)) as proxy:
            ...

    Args:
        port: Where the server listens on loopback.
        weather: The weather of connection `number`, from 0; may be replaced at any time.

    Attributes:
        open: The connections that are open now.
    """

    def __init__(self, port: int, weather: Callable[[int], Weather] = lambda _: FAIR) -> None:
        super().__init__()
        self._upstream = port
        self.weather = weather
        self.open: set[_Connection] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self.weather(self.connections - 1), reader, writer)
        self.open.add(connection)
        try:
            await connection.run(self._upstream)
        finally:
            self.open.discard(connection)
            await connection.end()


class _Connection:
    def __init__(
        self, weather: Weather, reader: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task: asyncio.Task[Any] = task
        self.client = client
        self._weather, self._reader = weather, reader
        self._server: asyncio.StreamWriter | None = None
        self._last_at = asyncio.get_running_loop().time()

    async def run(self, port: int) -> None:
        weather = self._weather
        if weather.before != "go on":
            await self._happen(weather.before)
            return
        answers, self._server = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests())
                group.create_task(self._answers(answers))
                if weather.idle is not None:
                    group.create_task(self._close_when_idle(weather.idle))
        except* (_Over, OSError):
            pass

    async def end(self) -> None:
        for writer in (self.client, self._server):
            if writer is not None:
                writer.close()
                with suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()

    async def _requests(self) -> None:
        assert self._server is not None
        left = self._weather.request_bytes
        while data := await self._reader.read(65536):
            await self._delay()
            if left is not None and len(data) >= left:
                self._server.write(data[:left])
                await self._server.drain()
                await self._happen(self._weather.then)
                raise _Over
            left = None if left is None else left - len(data)
            self._server.write(data)
            await self._server.drain()
        raise _Over

    async def _answers(self, answers: asyncio.StreamReader) -> None:
        weather, left = self._weather, self._weather.answer_bytes
        while data := await answers.read(65536):
            await self._delay()
            whole = left is None or len(data) < left
            await self._send(data if whole else data[:left])
            if not whole and weather.then == "half-close":
                self.client.write_eof()
                return  # `_requests` reads on, up to the client's end
            if not whole:
                await self._happen(weather.then)
                raise _Over
            left = None if left is None else left - len(data)
        raise _Over

    async def _send(self, data: bytes) -> None:
        size = self._weather.slice or len(data) or 1
        for begin in range(0, len(data), size):
            piece = data[begin : begin + size]
            self._last_at = asyncio.get_running_loop().time()
            self.client.write(piece)
            await self.client.drain()
            await asyncio.sleep(
                len(piece) / self._weather.bandwidth if self._weather.bandwidth else 0
            )

    async def _delay(self) -> None:
        self._last_at = asyncio.get_running_loop().time()
        if self._weather.latency:
            await asyncio.sleep(self._weather.latency)

    async def _close_when_idle(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        while (left := self._last_at + seconds - loop.time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)
        raise _Over

    async def _happen(self, then: Then) -> None:
        if then == "silence":
            await asyncio.Event().wait()
        elif then == "half-close":
            self.client.write_eof()
            await self._reader.read()
        elif then == "reset":
            reset_at_close(self.client)
            self.client.transport.abort()


class _Over(Exception):
    """The connection has come to its end."""


class Tunnel(TcpServer):
    """An HTTP proxy that leads every CONNECT to one server.

    Args:
        port: Where the server listens on loopback.
        tls: To be spoken to over TLS.

    Attributes:
        requests: The heads of the requests, as they came.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self._upstream = port
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await read_request(reader)).raw)
        answers, server = await asyncio.open_connection("127.0.0.1", self._upstream)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_pour(reader, server), _pour(answers, writer))
        finally:
            server.close()


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        into.write(data)
        await into.drain()
    into.close()
