"""A TCP server that answers with bytes: what real servers never send, or send in pieces."""

import asyncio
import socket
import ssl
import struct
import zlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self


class Reply(NamedTuple):
    """Bytes to answer with, and what becomes of the connection then."""

    data: bytes = b""
    then: Literal["stay", "close", "reset"] = "stay"


DROP = Reply(then="close")


def reply(body: bytes = b"{}", status: str = "200 OK", headers: Sequence[str] = ()) -> Reply:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return Reply("\r\n".join(head).encode() + body)


def bomb(mebibytes: int) -> bytes:
    """Return so many mebibytes of zeros, packed: one block of it, again and again."""
    zipper = zlib.compressobj(9, wbits=31)
    first, block = (
        zipper.compress(bytes(1 << 20)) + zipper.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    return first + block * (mebibytes - 1)


class RawServer:
    """Plays one reply to each request, the last one for ever.

    Attributes:
        requests: Every request, head and body, as it came.
        connections: TCP connections accepted.
    """

    def __init__(
        self,
        *script: Reply,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._script = script or (reply(),)
        self._tls, self._host, self._port = tls, host, port
        self.requests: list[bytes] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._handlers: list[asyncio.Task[Any]] = []

    @property
    def open_connections(self) -> int:
        return sum(not handler.done() for handler in self._handlers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, self._host, self._port, ssl=self._tls, backlog=1024
        )
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
