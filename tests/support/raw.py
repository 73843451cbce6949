"""A TCP server that answers with bytes: what real servers never send, or send in pieces."""

import asyncio
import ssl
import zlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

from tests.support.tcp import TcpServer, read_request, reset_at_close


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


class RawServer(TcpServer):
    """Plays one reply to each request, the last one for ever.

    Attributes:
        requests: Every request, head and body, as it came.
    """

    def __init__(
        self,
        *script: Reply,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(tls, host, port)
        self._script = script or (reply(),)
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        then = "stay"
        while then == "stay":
            self.requests.append((await read_request(reader)).raw)
            data, then = self._script[min(len(self.requests), len(self._script)) - 1]
            writer.write(data)
            await writer.drain()
        if then == "reset":
            reset_at_close(writer)
