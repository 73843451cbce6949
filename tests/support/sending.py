"""Send single requests over a transport, and look at what comes back."""

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any

import pytest

from tests.support.config import config
from timeback_async import Response
from timeback_async._transport import lanes
from timeback_async._transport.base import Transport
from timeback_async.errors import TransportError

TOKEN = "token-canary"
QUERY = "filter=query-canary"  # its values may be of a person


@asynccontextmanager
async def opened(
    url: str, *, trust: SSLContext | None = None, trace: Any = (), **settings: Any
) -> AsyncIterator[Transport]:
    transport = lanes.transport_for(config(base_url=url, **settings), trust, trace)
    try:
        yield transport
    finally:
        await transport.aclose()


async def put(transport: Transport, url: str, timeout: float = 10.0) -> Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return await transport.send("PUT", url, headers, b"{}", timeout)


async def failure(url: str, timeout: float = 10.0, **settings: Any) -> TransportError:
    """Return the error that one request ends with."""
    async with opened(url, **settings) as transport:
        with pytest.raises(TransportError) as caught:
            await put(transport, f"{url}/x?{QUERY}", timeout)
    assert "canary" not in told(caught.value)
    return caught.value


def told(error: BaseException) -> str:
    """Return all that a log can show of an error and of the errors behind it."""
    shown, left = "".join(traceback.format_exception(error)), [error]
    while left:
        one = left.pop()
        shown += f"{one!s} {one!r} {one.args!r}"
        left += filter(None, (one.__cause__, one.__context__))
    return shown
