"""A TCP server on loopback: each class decides what it does with a connection."""

import asyncio
import socket
import ssl
import struct
from types import TracebackType
from typing import NamedTuple, Self


class Read(NamedTuple):
    """One HTTP request, as it came."""

    method: str
    path: str
    raw: bytes
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Read:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.lower().partition(":")[::2] for line in lines)
    body = await reader.readexactly(int(fields.get("content-length", 0)))
    method, path, _ = first.split(" ")
    return Read(method, path, head + body, body)


def reset_at_close(writer: asyncio.StreamWriter) -> None:
    """Let the connection end in a reset when it is closed."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class TcpServer:
    """Calls `serve` for each connection, in a task that ends with the server.

    Attributes:
        connections: TCP connections accepted.
        url: Its address, once it runs.
    """

    def __init__(
        self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._tls, self._host, self.port = tls, host, port
        self.connections = 0
        self._running: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def open_connections(self) -> int:
        return len(self._running)

    def push(self, data: bytes) -> None:
        """Send bytes that nobody asked for to every client."""
        for writer in self._running.values():
            writer.write(data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do with one connection what the server is for; it is closed afterwards."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, self._host, self.port, ssl=self._tls, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://localhost:{self.port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._server.close()
        running = dict(self._running)
        for task, writer in running.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running[task] = writer
        self.connections += 1
        try:
            await self.serve(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            del self._running[task]
            writer.close()
