"""A server that does very little, in a process of its own, so that runs measure the client.

It answers a write with the body of the request, as TimeBack does, and accepts one token. It can be
slow, and it can have a limit that it does not publish.

    python -m benchmarks.server --core 1 --latency 0.05 --limit 500
"""

import argparse
import asyncio
import os
import time
from typing import Any

import httptools
import msgspec
import uvloop

from .samples import Figures

TOKEN = b"Bearer of-good-tidings"
GRANT = {"access_token": TOKEN[7:].decode(), "token_type": "bearer", "expires_in": 3600}


class Limit:
    """A token bucket: `rate` requests a second, and a tenth of that number at once."""

    def __init__(self, rate: float) -> None:
        self._rate, self._burst = rate, rate / 10
        self._level, self._filled_at = self._burst, time.monotonic()

    def admits(self) -> bool:
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


class Connection(asyncio.Protocol):
    """One client's connection, with one request on it at a time."""

    figures = Figures()
    latency = 0.0
    limit: Limit | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""
        self._is_known = False

    def data_received(self, data: bytes) -> None:
        # Searching the bytes for the token is cheaper than parsing all headers.
        self._is_known = self._is_known or TOKEN in data
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status, body, figures = b"200 OK", self._body, self.figures
        if self._url.endswith(b"/token"):
            body = msgspec.json.encode(GRANT)
        elif self._url == b"/figures":
            figures.cpu = time.process_time()
            body = msgspec.json.encode(figures)
        elif not self._is_known:
            status, body = b"401 Unauthorized", b"{}"
        elif self.limit is not None and not self.limit.admits():
            status, body = b"429 Too Many Requests", b"{}"
            figures.rejected += 1
        else:
            figures.saved += 1
        self._url = self._body = b""
        self._is_known = False
        answer = (
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve() -> None:
    """Print the port, and serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(
        Connection, "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int, help="CPU core to run on")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--limit", type=float, help="the most requests a second")
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    Connection.latency = options.latency
    Connection.limit = Limit(options.limit) if options.limit else None
    uvloop.run(serve())


if __name__ == "__main__":
    main()
