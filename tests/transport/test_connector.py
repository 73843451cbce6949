from typing import Any

import aiohttp
import pytest

from tests.support.raw import RawServer
from tests.support.sending import opened, put
from tests.support.tasks import until
from timeback_async._transport.connector import is_unsent

pytestmark = pytest.mark.usefixtures("_both_ways_to_send")


@pytest.mark.parametrize("is_traced", [False, True])
async def test_a_connection_with_bytes_nobody_asked_for_is_not_used_again(is_traced: bool) -> None:
    trace = [aiohttp.TraceConfig()] if is_traced else []
    async with RawServer() as server, opened(server.url, trace=trace) as transport:
        await put(transport, f"{server.url}/first")
        connector: Any = transport._session.connector
        (((idle, _),),) = connector._conns.values()
        server._writers[0].write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await until(lambda: idle.should_close)

        response = await put(transport, f"{server.url}/second")

    assert response.status == 200
    assert (server.connections, len(server.requests)) == (2, 2)


def test_an_error_is_unsent_where_the_pool_says_so_of_it_or_of_its_cause() -> None:
    unsent, outer = OSError(), TimeoutError()
    unsent.is_unsent = True  # type: ignore[attr-defined]
    outer.__cause__ = unsent

    assert is_unsent(outer)
    assert not is_unsent(OSError())
