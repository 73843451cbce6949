"""How the mock server's answers go over the wire: whole, in pieces, cut off, or not at all."""

import asyncio
from typing import Any

from aiohttp import web

from ._answers import Answer

__all__ = ["CountingServer", "dropped", "response", "send_in_pieces"]


class CountingServer(web.Server):
    """aiohttp's server, which also counts the TCP connections it has accepted."""

    connections_made = 0

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        self.connections_made += 1
        super().connection_made(handler, transport)


def response(answer: Answer) -> web.Response:
    """Return an answer as aiohttp sends it."""
    return web.Response(
        status=answer.status,
        body=answer.body,
        content_type=answer.content_type,
        charset="utf-8",
        headers=answer.headers,
    )


def dropped(request: web.BaseRequest, status: int = 499) -> web.StreamResponse:
    """Close the connection without a further byte.

    Args:
        request: The request whose connection is closed.
        status: The status under which the server counts it.
    """
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=status)


async def send_in_pieces(
    request: web.BaseRequest,
    status: int,
    body: bytes,
    *,
    truncated: bool,
    pieces: int,
    seconds: float,
) -> web.StreamResponse:
    """Send a JSON body piece by piece.

    Args:
        request: The request to answer.
        status: The status of the answer.
        body: The whole body, whose length is announced.
        truncated: Whether to close the connection after half of the body.
        pieces: Number of pieces.
        seconds: Time that the whole answer takes.
    """
    stream = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    stream.content_length = len(body)
    await stream.prepare(request)
    if truncated:
        await stream.write(body[: len(body) // 2])
        return dropped(request, status)
    for number in range(pieces):
        part = slice(number * len(body) // pieces, (number + 1) * len(body) // pieces)
        await stream.write(body[part])
        await asyncio.sleep(seconds / pieces)
    await stream.write_eof()
    return stream
