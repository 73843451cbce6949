import asyncio
import gzip
import tracemalloc
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
import pytest

from tests.support.lanes import ON_AIOHTTP
from tests.support.raw import DROP, RawServer, Reply, bomb, reply
from tests.support.records import user
from tests.support.sending import TOKEN, failure, opened, put, told
from tests.support.tasks import until
from timeback_async import Response
from timeback_async._wire.codec import upsert
from timeback_async.errors import ConnectError, ProtocolError, TimedOutError, TransportError

pytestmark = pytest.mark.usefixtures("lane")


# -- one request


async def test_the_answer_has_status_headers_in_any_case_and_body() -> None:
    async with (
        RawServer(reply(b'{"a":1}', "201 Created", ["X-Thing: yes"])) as server,
        opened(server.url) as transport,
    ):
        response = await put(transport, f"{server.url}/x")

    assert (response.status, response.headers["x-thing"]) == (201, "yes")
    assert response.json() == {"a": 1}
    assert repr(response) == "Response(201, 7 bytes)"


async def test_method_headers_and_body_are_on_the_wire_as_given() -> None:
    async with (
        RawServer() as server,
        opened(f"{server.url}/api", user_agent="agent/1") as transport,
    ):
        await put(transport, f"{server.url}/api/x?limit=1&filter=a%3D%27b%27")

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /api/x?limit=1&filter=a%3D%27b%27 HTTP/1.1\r\n")
    assert {
        b"Authorization: Bearer token-canary",
        b"User-Agent: agent/1",
        b"Accept: application/json",
        b"Content-Length: 2",
    } <= set(head.split(b"\r\n"))
    assert body == b"{}"


async def test_the_method_decides_whether_a_request_without_a_body_says_so() -> None:
    async with RawServer() as server, opened(server.url) as transport:
        for method in ("GET", "DELETE"):
            await transport.send(method, f"{server.url}/x", {}, None, 10.0)

    get, delete = server.requests
    assert b"Content-Length" not in get
    assert b"Content-Length: 0\r\n" in delete


async def test_an_answer_may_come_before_a_long_body_was_read() -> None:
    handlers: list[asyncio.Task[Any] | None] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(status="413 Content Too Large").data)
        with suppress(OSError):
            await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
    async with server, opened(url) as transport:
        for _ in range(2):
            response = await transport.send("PUT", f"{url}/x", {}, b"x" * 12_000_000, 10.0)
            assert response.status == 413
    await asyncio.gather(*filter(None, handlers))

    # What had not gone is not in the next one's way.
    assert len(handlers) == 2


@pytest.mark.parametrize(
    "sourced_id",
    ["s-1", "a/b", "a?x=1", "a#f", "a%2Fb", "%2e%2e", "a b", "a+b", "a&b", "a\\b", "@", "ü", "😀"],
)
async def test_an_id_reaches_the_server_as_one_segment_that_decodes_to_itself(
    sourced_id: str,
) -> None:
    path = upsert(user(sourced_id)).request.path

    async with RawServer() as server, opened(server.url) as transport:
        await put(transport, server.url + path)

    target = server.requests[0].split(b" ")[1].decode()
    assert target == f"/rostering/1.0/users/{quote(sourced_id, safe='')}"
    assert unquote(target.rpartition("/")[2]) == sourced_id


async def test_requests_share_a_kept_connection() -> None:
    async with RawServer() as server, opened(server.url) as transport:
        for _ in range(3):
            await put(transport, f"{server.url}/x")

    assert (len(server.requests), server.connections) == (3, 1)


async def test_as_many_requests_are_in_flight_as_are_asked_for() -> None:
    async with RawServer(Reply()) as server, opened(server.url) as transport:
        requests = [asyncio.create_task(put(transport, f"{server.url}/x")) for _ in range(120)]
        await until(lambda: len(server.requests) == 120)
        for request in requests:
            request.cancel()
        await asyncio.wait(requests)

    assert server.connections == 120


async def test_closing_the_connection_of_an_answer_makes_the_next_request_use_another() -> None:
    async with RawServer() as server, opened(server.url) as transport:
        response = await put(transport, f"{server.url}/x")
        response.close_connection()
        await put(transport, f"{server.url}/x")

    assert server.connections == 2


async def test_a_response_of_no_connection_can_be_closed() -> None:
    Response(200, {}, b"").close_connection()


async def test_closing_the_transport_closes_its_connections() -> None:
    async with RawServer() as server:
        async with opened(server.url) as transport:
            await put(transport, f"{server.url}/x")
        await until(lambda: not server.open_connections)

    assert server.connections == 1


async def test_cookies_are_not_kept() -> None:
    async with (
        RawServer(reply(headers=["Set-Cookie: session=1; Path=/"])) as server,
        opened(server.url) as transport,
    ):
        await put(transport, f"{server.url}/x")
        await put(transport, f"{server.url}/x")

    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_returned_and_not_followed(status: int) -> None:
    async with RawServer() as elsewhere:
        moved = reply(b"", f"{status} Moved", [f"Location: {elsewhere.url}/x"])
        async with RawServer(moved) as server, opened(server.url) as transport:
            response = await put(transport, f"{server.url}/x")

    assert response.status == status
    assert (len(server.requests), len(elsewhere.requests)) == (1, 0)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}0/x",
        "http://localhost:{port}.elsewhere.invalid/x",
        "http://localhost:{port}@elsewhere.invalid/x",
        "https://localhost:{port}/x",
        "http://elsewhere.invalid/x",
    ],
)
async def test_a_request_that_would_leave_the_origin_is_refused(url: str) -> None:
    async with RawServer() as server, opened(server.url) as transport:
        with pytest.raises(ConnectError, match="origin") as caught:
            await put(transport, url.format(port=server.port))

    assert not caught.value.retryable
    assert server.connections == 0


@pytest.mark.parametrize("path", ["", "/", "/oauth/token"])
async def test_the_token_url_is_an_origin_of_its_own(path: str) -> None:
    async with (
        RawServer() as server,
        opened("https://timeback.invalid", token_url=server.url + path) as transport,
    ):
        response = await put(transport, server.url + (path or "/"))

    assert response.status == 200


@ON_AIOHTTP
async def test_trace_configs_see_the_request() -> None:
    seen: list[str] = []
    trace = aiohttp.TraceConfig()

    async def note(_: object, __: object, parameters: aiohttp.TraceRequestStartParams) -> None:
        seen.append(parameters.method)

    trace.on_request_start.append(note)
    async with RawServer() as server, opened(server.url, trace=[trace]) as transport:
        await put(transport, f"{server.url}/x")

    assert seen == ["PUT"]


# -- one attempt is one request


async def requests_of_an_attempt(aiohttp_repeats: bool = False) -> int:
    async with RawServer(reply(), DROP) as server, opened(server.url) as transport:
        if aiohttp_repeats:
            transport._session._retry_connection = True  # type: ignore[attr-defined]
        await put(transport, f"{server.url}/x")
        with pytest.raises(ProtocolError) as caught:
            await put(transport, f"{server.url}/x")

    assert caught.value.disconnected
    return len(server.requests) - 1


async def test_one_attempt_is_one_request_on_the_wire() -> None:
    assert await requests_of_an_attempt() == 1


@ON_AIOHTTP
async def test_one_attempt_is_two_requests_where_aiohttp_repeats() -> None:  # the control
    assert await requests_of_an_attempt(aiohttp_repeats=True) == 2


@ON_AIOHTTP
async def test_an_aiohttp_without_that_switch_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.warns(DeprecationWarning, match="Inheritance"):

        class Switchless(aiohttp.ClientSession):
            def __getattribute__(self, name: str) -> Any:
                if name == "_retry_connection":
                    raise AttributeError(name)
                return super().__getattribute__(name)

    monkeypatch.setattr(aiohttp, "ClientSession", Switchless)

    async with RawServer() as server, opened(server.url) as transport:
        monkeypatch.undo()
        session: Any = getattr(transport, "_session")  # noqa: B009
        assert isinstance(session, Switchless)
        assert not hasattr(session, "_retry_connection")


# -- bounds

LIMIT = 1000


def chunked(body: bytes, size: int) -> Reply:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data)


@pytest.mark.parametrize("form", [reply, lambda body: chunked(body, 100)], ids=["whole", "chunked"])
async def test_a_body_as_long_as_allowed_is_read_whole(form: Any) -> None:
    async with (
        RawServer(form(b"x" * LIMIT)) as server,
        opened(server.url, max_response_bytes=LIMIT) as transport,
    ):
        response = await put(transport, f"{server.url}/x")

    assert response.body == b"x" * LIMIT


@pytest.mark.parametrize("excess", [1, 100, 1_000_000])
@pytest.mark.parametrize("form", [reply, lambda body: chunked(body, 100)], ids=["whole", "chunked"])
async def test_a_longer_body_is_an_error_that_no_repetition_mends(form: Any, excess: int) -> None:
    async with RawServer(form(b"x" * (LIMIT + excess))) as server:
        error = await failure(server.url, max_response_bytes=LIMIT)

    assert isinstance(error, ProtocolError)
    assert (error.retryable, error.disconnected) == (False, False)


async def test_the_bound_is_one_mebibyte_unless_set() -> None:
    async with RawServer(reply(b"x" * (2 << 20))) as server:
        error = await failure(server.url)

    assert "1048576" in str(error)


@pytest.mark.parametrize("status", ["302 Found", "400 Bad Request", "503 Unavailable"])
@pytest.mark.parametrize("length", [64 * 1024 + 1, 3 << 20])
async def test_a_long_error_body_is_cut_and_its_status_kept(status: str, length: int) -> None:
    async with (
        RawServer(reply(b"x" * length, status)) as server,
        opened(server.url) as transport,
    ):
        response = await put(transport, f"{server.url}/x")

    assert response.status == int(status[:3])
    assert len(response.body) == 64 * 1024


async def test_a_gzip_body_is_decompressed() -> None:
    body = gzip.compress(b'{"a":1}')
    async with (
        RawServer(reply(body, headers=["Content-Encoding: gzip"])) as server,
        opened(server.url) as transport,
    ):
        response = await put(transport, f"{server.url}/x")

    assert response.body == b'{"a":1}'


async def test_a_gzip_bomb_never_unfolds() -> None:
    async with RawServer(reply(bomb(64), headers=["Content-Encoding: gzip"])) as server:
        tracemalloc.start()
        try:
            error = await failure(server.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert isinstance(error, ProtocolError)
    assert peak < 16 << 20


# -- what goes wrong

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


@pytest.mark.parametrize(
    "slow",
    [
        pytest.param(Reply(), id="no answer"),
        pytest.param(Reply(b"HTTP/1.1 200"), id="half a head"),
        pytest.param(Reply(HEAD + b"{"), id="half a body"),
    ],
)
async def test_an_answer_that_is_not_complete_in_time_is_given_up(slow: Reply) -> None:
    async with RawServer(slow) as server:
        error = await failure(server.url, timeout=0.02)

    assert isinstance(error, TimedOutError)
    assert error.retryable
    assert TOKEN not in told(error)


async def test_the_connection_of_an_answer_given_up_is_not_used_again() -> None:
    async with RawServer(Reply(HEAD + b"{")) as server, opened(server.url) as transport:
        with pytest.raises(TimedOutError):
            await put(transport, f"{server.url}/x", timeout=0.02)

        await until(lambda: not server.open_connections)


async def test_cancelling_a_request_closes_its_connection() -> None:
    async with RawServer(Reply(HEAD + b"{")) as server, opened(server.url) as transport:
        request = asyncio.create_task(put(transport, f"{server.url}/x"))
        await until(lambda: server.requests)
        request.cancel()
        await until(lambda: not server.open_connections)

    assert request.cancelled()


async def test_a_request_on_a_closed_transport_is_a_transport_error() -> None:
    async with RawServer() as server, opened(server.url) as transport:
        await transport.aclose()

        with pytest.raises(TransportError):
            await put(transport, f"{server.url}/x")


async def test_closing_the_transport_ends_a_request_that_connects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, connecting, closed = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    connect = loop.sock_connect

    async def sock_connect(*args: Any) -> None:
        connecting.set()
        await closed.wait()
        await connect(*args)

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    async with RawServer() as server, opened(server.url) as transport:
        request = asyncio.create_task(put(transport, f"{server.url}/x"))
        await connecting.wait()
        await transport.aclose()
        closed.set()

        with pytest.raises(ConnectError, match=r"no connection|the session is closed"):
            await request


async def test_closing_the_transport_ends_a_request_that_waits_for_its_answer() -> None:
    async with RawServer(Reply()) as server, opened(server.url) as transport:
        request = asyncio.create_task(put(transport, f"{server.url}/x"))
        await until(lambda: server.requests)
        await transport.aclose()

        with pytest.raises(TransportError):
            await request


async def test_an_address_may_be_written_in_capitals() -> None:
    async with RawServer() as server:
        url = server.url.upper()
        async with opened(url) as transport:
            response = await put(transport, f"{url}/x")

    assert response.status == 200
