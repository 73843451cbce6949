"""A server that does very little, in a process of its own, so that runs measure the client.

It answers a write with the body of the request, as TimeBack does, and accepts one token. It can be
slow, and it can speak https.

    python -m benchmarks.server --core 1 --latency 0.05 --certificate server.pem
"""

import argparse
import asyncio
import os
import ssl
import time
from typing import Any

import httptools
import msgspec
import uvloop

from .samples import Figures

TOKEN = b"Bearer of-good-tidings"
GRANT = {"access_token": TOKEN[7:].decode(), "token_type": "bearer", "expires_in": 3600}


class Connection(asyncio.Protocol):
    """One client's connection, with one request on it at a time."""

    figures = Figures()
    latency = 0.0

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
        else:
            figures.saved += 1
        self._url = self._body = b""
        self._is_known = False
        answer = (
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )
        if self.latency:
            loop = asyncio.get_running_loop()
            loop.call_later(self.latency, self._write_late, answer, time.monotonic())
        else:
            self._transport.write(answer)

    def _write_late(self, answer: bytes, begun: float) -> None:
        # Timers are late by a millisecond or so, which no client can make up for.
        self.figures.waited += time.monotonic() - begun
        self._transport.write(answer)


async def serve(certificate: str | None) -> None:
    """Print the port, and serve until the process ends."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(
        Connection, "127.0.0.1", 0, ssl=context, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int, help="CPU core to run on")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--certificate", help="speak https with this certificate and its key")
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    Connection.latency = options.latency
    uvloop.run(serve(options.certificate))


if __name__ == "__main__":
    main()
