"""Send over each transport to a server in memory, so that the client's instructions alone count.

python -m benchmarks.lanes direct 1000        # run them once, to count from outside
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

from timeback_async import Config, TimebackSession

from .contenders import as_structs

GRANT = b'{"access_token":"of-good-tidings","expires_in":3600,"scope":""}'


class _Wire(asyncio.Transport):
    """A connection to a server that answers a write with the body of the request."""

    def __init__(self, protocol: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._protocol, self._loop, self._is_closing = protocol, loop, False

    def write(self, data: Any) -> None:
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        if head.startswith(b"POST"):
            body = GRANT
        answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        )
        self._loop.call_soon(self._protocol.data_received, answer % (len(body), body))

    def is_closing(self) -> bool:
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose connections all lead to that server."""

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Do nothing."""

    async def create_connection(
        self, factory: Callable[[], Any], *_: Any, sock: Any, **__: Any
    ) -> Any:
        sock.close()
        protocol = factory()
        wire = _Wire(protocol, self)
        protocol.connection_made(wire)
        return wire, protocol


async def upsert(transport: Any, count: int) -> None:
    """Send so many students over a transport."""
    config = Config(
        client_id="me", client_secret="mine", base_url="http://127.0.0.1:9", transport=transport
    )
    async with TimebackSession(config) as timeback:
        report = await timeback.upsert_many(as_structs(count))
    assert report.saved == count, report


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(upsert(sys.argv[1], int(sys.argv[2])))
