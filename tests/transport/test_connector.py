import asyncio
import socket
from typing import Any

import aiohttp
import pytest

from tests.support.raw import RawServer
from tests.support.sending import opened, put
from tests.support.tasks import until
from timeback_async._transport import connector as _connector
from timeback_async._transport import origin as _origin
from timeback_async._transport.connector import MAX_AGE, is_unsent

pytestmark = pytest.mark.usefixtures("lane")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, for the pool and for aiohttp's cache of names, as the only item of a list."""
    time = [1000.0]
    for module in (_connector, _origin, aiohttp.connector):
        monkeypatch.setattr(module, "monotonic", lambda: time[0])
    return time


async def test_a_connection_with_bytes_nobody_asked_for_is_not_used_again(lane: str) -> None:
    async with RawServer() as server, opened(server.url) as transport:
        await put(transport, f"{server.url}/first")
        kept: Any = transport
        if lane == "direct":
            (idle,) = kept._origins[0]._resting
        else:
            (((idle, _),),) = kept._session.connector._conns.values()
        server.push(b"HTTP/1.1 204 No Content\r\n\r\n")
        await until(lambda: not idle.is_usable if lane == "direct" else idle.should_close)

        response = await put(transport, f"{server.url}/second")

    assert response.status == 200
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_change_of_dns_is_followed_within_the_greatest_age(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "127.0.0.1"

    async def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async with RawServer() as old, RawServer(host="127.0.0.2", port=old.port) as new:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        async with opened(f"http://localhost:{old.port}", keepalive=1000.0) as transport:
            await put(transport, f"{old.url}/x")
            address = "127.0.0.2"
            for _ in range(20):  # steady traffic for longer than any connection lives
                now[0] += MAX_AGE / 15
                await put(transport, f"{old.url}/x")

    assert 1 + 0.75 * 15 - 1 <= len(old.requests) <= 1 + 15
    assert len(old.requests) + len(new.requests) == 21
    assert (old.connections, new.connections) == (1, 1)


async def test_connections_opened_together_are_not_replaced_together(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([min, max, max])
    monkeypatch.setattr("random.uniform", lambda *bounds: next(draws)(bounds))
    async with RawServer() as server, opened(server.url, keepalive=1000.0) as transport:

        async def both() -> None:
            await asyncio.gather(*(put(transport, f"{server.url}/x") for _ in range(2)))

        await both()
        now[0] += 0.8 * MAX_AGE
        await both()

    assert (server.connections, len(server.requests)) == (3, 4)


def test_an_error_is_unsent_where_the_pool_says_so_of_it_or_of_its_cause() -> None:
    unsent, outer = OSError(), TimeoutError()
    unsent.is_unsent = True  # type: ignore[attr-defined]
    outer.__cause__ = unsent

    assert is_unsent(outer)
    assert not is_unsent(OSError())
