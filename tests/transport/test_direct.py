"""The direct lane on real sockets, on both event loops: what servers and networks do to it."""

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Literal

import pytest
import trustme

from tests.support import lanes
from tests.support import tls as _tls
from tests.support.amounts import amount
from tests.support.proxy import FaultProxy, Weather
from tests.support.raw import RawServer, Reply, reply
from tests.support.sending import failure, opened, put
from tests.support.tasks import steps, until
from tests.support.tcp import TcpServer, read_request, reset_at_close
from timeback_async import Response
from timeback_async._transport import origin as _origin
from timeback_async._transport.base import Transport
from timeback_async.errors import ConnectError, ProtocolError, TimedOutError, TransportError


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


# The contexts take longer to make than most tests to run.
certified = cache(_tls.certified)
trusting = cache(_tls.trusting)


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes.use(monkeypatch, "direct")


@pytest.fixture(autouse=True)
async def no_reports() -> AsyncIterator[None]:
    """Hold each test to this: the event loop has no error to report."""
    loop, reports = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, report: reports.append(report))
    yield
    await steps(5)
    assert reports == []


def origin(transport: Transport) -> _origin.Origin:
    found: _origin.Origin = transport._origins[0]  # type: ignore[attr-defined]
    return found


@asynccontextmanager
async def serving(
    *script: Reply, tls: trustme.CA | None = None, **settings: Any
) -> AsyncIterator[tuple[RawServer, Transport]]:
    """Run a server and a transport to it; at the end no connection is open."""
    context = certified(tls) if tls else None
    trust = trusting(tls) if tls else None
    async with RawServer(*script, tls=context) as server:
        async with opened(server.url, trust=trust, **settings) as transport:
            yield server, transport
        await until(lambda: not server.open_connections)
        await until(lambda: not origin(transport)._open)


# -- what a server sends at a wrong time

TWICE = reply(b"1")._replace(data=reply(b"1").data + reply(b"2").data)


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
async def test_the_second_of_two_answers_is_nobodys(tls: bool, authority: trustme.CA) -> None:
    async with serving(TWICE, tls=authority if tls else None) as (server, transport):
        bodies = [(await put(transport, f"{server.url}/x")).body for _ in range(3)]

    assert bodies == [b"1"] * 3
    assert server.connections == 3


class SpeaksFirst(RawServer):
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(b"not asked for").data)
        await super().serve(reader, writer)


async def test_an_answer_before_the_request_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    connect: Any = loop.create_connection

    async def create_connection(*args: Any, **settings: Any) -> Any:
        transport, connection = await connect(*args, **settings)
        await until(lambda: not connection.is_usable)
        return transport, connection

    async with SpeaksFirst() as server:
        monkeypatch.setattr(loop, "create_connection", create_connection)
        error = await failure(server.url)

    assert isinstance(error, ConnectError)
    assert error.retryable
    assert server.requests == []


class TimesOut(RawServer):
    """Says 408 and closes, once a connection has rested."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await read_request(reader)).raw)
        writer.write(reply(b"kept").data)
        await self.rested.wait()
        writer.write(reply(b"", "408 Request Timeout", ["Connection: close"]).data)

    rested = asyncio.Event()


async def test_a_408_on_an_idle_connection_is_not_the_answer_to_the_next_request() -> None:
    async with TimesOut() as server, opened(server.url) as transport:
        server.rested = asyncio.Event()
        await put(transport, f"{server.url}/x")
        server.rested.set()
        await until(lambda: not origin(transport)._open)
        response = await put(transport, f"{server.url}/x")

    assert (response.status, response.body) == (200, b"kept")
    assert server.connections == 2


class HalfCloses(RawServer):
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await read_request(reader)).raw)
        writer.write(self._script[0].data)
        writer.write_eof()
        await reader.read(-1)


@pytest.mark.parametrize(
    "answer", [reply(), Reply(b"HTTP/1.1 200 OK\r\n\r\n{}")], ids=["sized", "until the end"]
)
async def test_a_server_that_closes_its_half_has_answered(answer: Reply) -> None:
    async with HalfCloses(answer) as server, opened(server.url) as transport:
        for _ in range(2):
            assert (await put(transport, f"{server.url}/x")).body == b"{}"
            await until(lambda: not server.open_connections)

    assert server.connections == 2


# -- connections that end

WHOLE = len(reply(b"x" * 50).data)
ANSWER_POINTS = [1, 17, WHOLE - 50, WHOLE - 1]


@pytest.mark.parametrize("then", ["close", "reset", "half-close", "silence"])
@pytest.mark.parametrize("point", ANSWER_POINTS)
async def test_an_answer_that_is_cut_off_is_an_error(
    point: int, then: Literal["close", "reset", "half-close", "silence"]
) -> None:
    async with (
        RawServer(reply(b"x" * 50)) as server,
        FaultProxy(server.port, lambda _: Weather(answer_bytes=point, then=then)) as proxy,
    ):
        timeout = 0.05 if then == "silence" else 10.0
        error = await failure(proxy.url, timeout)

    assert isinstance(error, TimedOutError if then == "silence" else ProtocolError)
    assert error.retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize("then", ["close", "reset", "silence"])
@pytest.mark.parametrize("point", [1, 100, 100_000])
async def test_a_request_that_is_cut_off_is_an_error(
    point: int, then: Literal["close", "reset", "silence"]
) -> None:
    async with (
        RawServer() as server,
        FaultProxy(server.port, lambda _: Weather(request_bytes=point, then=then)) as proxy,
        opened(proxy.url) as transport,
    ):
        timeout = 0.05 if then == "silence" else 10.0
        with pytest.raises((TimedOutError, ProtocolError)) as caught:
            await transport.send("PUT", f"{proxy.url}/x", {}, b"x" * 200_000, timeout)
        await until(lambda: not origin(transport)._open)

    assert caught.value.retryable
    assert server.requests == []


@pytest.mark.parametrize("before", ["close", "reset"])
async def test_a_connection_that_ends_at_once_is_an_error(
    before: Literal["close", "reset"],
) -> None:
    async with (
        RawServer() as server,
        FaultProxy(server.port, lambda _: Weather(before=before)) as p,
    ):
        error = await failure(p.url)

    assert isinstance(error, ProtocolError | ConnectError)
    assert error.retryable


class NeverReads(TcpServer):
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
async def test_a_server_that_does_not_read_costs_the_time_of_the_attempt(
    tls: bool, authority: trustme.CA
) -> None:
    context, trust = (certified(authority), trusting(authority)) if tls else (None, None)
    async with NeverReads(context) as server, opened(server.url, trust=trust) as transport:
        with pytest.raises(TimedOutError):
            await transport.send("PUT", f"{server.url}/x", {}, b"x" * 12_000_000, 0.3)
        await until(lambda: not origin(transport)._open)


# -- connections at rest


async def test_a_connection_that_has_rested_long_enough_is_closed() -> None:
    async with serving(keepalive=0.05) as (server, transport):
        await asyncio.gather(*(put(transport, f"{server.url}/x") for _ in range(3)))
        await put(transport, f"{server.url}/x")
        await until(lambda: not server.open_connections)
        await put(transport, f"{server.url}/x")

    assert server.connections == 4


async def test_a_connection_that_rested_too_long_for_the_timer_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = 1000.0
    monkeypatch.setattr(_origin, "monotonic", lambda: time)
    async with serving() as (server, transport):
        await put(transport, f"{server.url}/x")
        time += 4.5  # the timer has not run
        await put(transport, f"{server.url}/x")

    assert server.connections == 2


async def test_the_connection_used_last_is_used_next() -> None:
    async with serving() as (server, transport):
        await asyncio.gather(*(put(transport, f"{server.url}/x") for _ in range(3)))
        last = list(origin(transport)._resting)[-1]
        await put(transport, f"{server.url}/x")

        assert list(origin(transport)._resting)[-1] is last


# -- connecting


def addressed(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> list[str]:
    """Let every name have these addresses; return the list of the names looked up."""
    asked: list[str] = []

    def found(host: str, port: int) -> Any:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return family, socket.SOCK_STREAM, 6, "", (host, port)

    async def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        if host in hosts:  # uvloop looks addresses up, too
            return [found(host, port)]
        asked.append(host)
        await asyncio.sleep(0)
        return [found(each, port) for each in hosts]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("how", ["stalls", "refuses"])
async def test_another_address_is_tried_where_the_first_does_not_answer(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.2":
            if how == "refuses":
                raise ConnectionRefusedError(111, "refused")
            await asyncio.Event().wait()
        await connect(sock, address)

    monkeypatch.setattr(_origin, "HAPPY_EYEBALLS_DELAY", 0.02)
    addressed(monkeypatch, "127.0.0.2", "127.0.0.1")
    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    async with serving() as (server, transport):
        assert (await put(transport, f"{server.url}/x")).status == 200


@pytest.mark.parametrize("error", [OSError(113, "x"), RuntimeError("x")])
async def test_an_address_that_cannot_be_reached_is_a_connect_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sock_connect(*_: object) -> None:
        raise error  # uvloop has a RuntimeError for some

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    addressed(monkeypatch, "127.0.0.1", "127.0.0.2")

    failed = await failure("http://localhost:9")

    assert isinstance(failed, ConnectError)
    assert failed.retryable


async def test_a_cancellation_counts_in_the_moment_of_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, request = asyncio.get_running_loop(), asyncio.Future[asyncio.Task[Response]]()
    connect = loop.sock_connect

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.1":
            await connect(sock, address)
            return
        try:
            await asyncio.Event().wait()
        finally:  # the other address has won
            request.result().cancel()

    monkeypatch.setattr(_origin, "HAPPY_EYEBALLS_DELAY", 0.001)
    addressed(monkeypatch, "127.0.0.2", "127.0.0.1")
    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    async with serving() as (server, transport):
        request.set_result(asyncio.create_task(put(transport, f"{server.url}/x")))
        await asyncio.wait([request.result()])

    assert request.result().cancelled()
    assert server.requests == []


async def test_a_burst_of_connections_looks_its_server_up_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = addressed(monkeypatch, "127.0.0.1")
    async with serving() as (server, transport):
        await asyncio.gather(*(put(transport, f"{server.url}/x") for _ in range(20)))

    assert (server.connections, asked) == (20, ["localhost"])


async def test_a_burst_of_connections_shares_a_failed_look_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    async def getaddrinfo(*_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        raise socket.gaierror(socket.EAI_AGAIN, "busy")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    async with opened("https://timeback.invalid") as transport:
        url = "https://timeback.invalid/x"
        first = await asyncio.gather(
            *(put(transport, url) for _ in range(20)), return_exceptions=True
        )
        assert asked == 1
        with pytest.raises(ConnectError, match="unknown host"):
            await put(transport, url)

    assert asked == 2
    assert {str(error) for error in first} == {"unknown host timeback.invalid"}
    assert len(set(map(id, first))) == 20


async def test_a_cancelled_look_up_is_that_of_its_caller_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = addressed(monkeypatch, "127.0.0.1")
    async with serving() as (server, transport):
        first, second = (asyncio.create_task(put(transport, f"{server.url}/x")) for _ in range(2))
        await steps(1)
        first.cancel()

        assert (await second).status == 200
    assert first.cancelled()
    assert len(asked) == 2


async def test_a_name_is_looked_up_again_after_a_while_or_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = 1000.0
    monkeypatch.setattr(_origin, "monotonic", lambda: time)
    asked = addressed(monkeypatch, "127.0.0.1")
    async with serving(reply(headers=["Connection: close"])) as (server, transport):
        for seconds in (0.0, 9.0, 2.0):
            time += seconds
            await put(transport, f"{server.url}/x")
        assert len(asked) == 2
    async with opened("http://localhost:9") as transport:
        for _ in range(2):
            with pytest.raises(ConnectError):
                await put(transport, "http://localhost:9/x")
    assert len(asked) == 4


# -- addresses as they are written


HOSTS = [
    ("localhost", "localhost", "localhost"),
    ("LocalHost", "localhost", "localhost"),
    ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
    ("[::1]", "::1", "[::1]"),
]


@pytest.mark.parametrize(
    ("scheme", "host", "name", "said"),
    [
        *((scheme, *host) for scheme in ("http", "https") for host in HOSTS),
        ("https", "timeback.test.", "timeback.test", "timeback.test"),
    ],
)
async def test_a_host_is_connected_to_checked_and_said_in_its_form(
    scheme: str,
    host: str,
    name: str,
    said: str,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = "::1" if name == "::1" else "127.0.0.1"
    asked = addressed(monkeypatch, address)
    tls = certified(authority, name) if scheme == "https" else None
    async with RawServer(tls=tls, host=address) as server:
        url = f"{scheme}://{host}:{server.port}/some/path"
        async with opened(url, trust=trusting(authority)) as transport:
            await put(transport, f"{url}/x?a=b%20c")

    line, field, *_ = server.requests[0].decode().split("\r\n")
    assert line == "PUT /some/path/x?a=b%20c HTTP/1.1"
    assert field == f"Host: {said}:{server.port}"
    assert asked == [name for name in [host.lower()] if name.strip("[]") != address]


@pytest.mark.parametrize(
    ("url", "said"), [("https://timeback.test", "timeback.test"), ("http://[::1]", "[::1]")]
)
async def test_the_port_of_a_scheme_is_not_said(url: str, said: str) -> None:
    async with opened(url) as transport:
        assert origin(transport).host == said
        assert origin(transport)._port == (443 if "https" in url else 80)


@pytest.mark.parametrize(("host", "wrong"), [("127.0.0.1", "::1"), ("localhost", "127.0.0.1")])
async def test_a_certificate_for_another_address_is_refused(
    host: str, wrong: str, authority: trustme.CA
) -> None:
    async with RawServer(tls=certified(authority, wrong)) as server:
        error = await failure(f"https://{host}:{server.port}", trust=trusting(authority))

    assert isinstance(error, ConnectError)
    assert "mismatch" in str(error)
    assert not error.retryable
    assert server.requests == []


async def test_tokens_may_come_from_another_server() -> None:
    async with RawServer(reply(b"token")) as tokens:
        async with serving(token_url=f"{tokens.url}/t") as (server, transport):
            assert (await put(transport, f"{tokens.url}/t")).body == b"token"
            assert (await put(transport, f"{server.url}/x")).body == b"{}"
        await until(lambda: not tokens.open_connections)

    assert (len(tokens.requests), len(server.requests)) == (1, 1)


# -- the end of TLS


class EndsTls(TcpServer):
    """Answers, and ends the connection: with TLS's own end before it, or without."""

    def __init__(self, tls: ssl.SSLContext, answer: bytes, is_said: bool) -> None:
        super().__init__(tls)
        self._answer, self._is_said = answer, is_said

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(self._answer)
        await writer.drain()
        if not self._is_said:
            with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as tcp:
                tcp.shutdown(socket.SHUT_WR)
            await reader.read(-1)


PARTS = {
    "sized": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True),
    "sized, in part": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", False),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", True),
    "chunked, in part": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", False,
    ),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\n{}", None),
    "until the end, and empty": (b"HTTP/1.1 200 OK\r\n\r\n", None),
}  # fmt: skip


@pytest.mark.parametrize("is_said", [True, False], ids=["said", "cut off"])
@pytest.mark.parametrize("part", PARTS)
async def test_an_end_that_the_server_did_not_say_completes_nothing(
    part: str, is_said: bool, authority: trustme.CA
) -> None:
    answer, is_whole = PARTS[part]
    async with (
        EndsTls(certified(authority), answer, is_said) as server,
        opened(server.url, trust=trusting(authority)) as transport,
    ):
        request = asyncio.create_task(put(transport, f"{server.url}/x"))
        await asyncio.wait([request])
        await until(lambda: not origin(transport)._open)

    if is_said if is_whole is None else is_whole:
        assert request.result().status == 200
    else:
        assert isinstance(request.exception(), ProtocolError)
        assert "cut off" in str(request.exception())


class IgnoresTheEnd(RawServer):
    """Answers once, and takes part in nothing after that."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply().data)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()


async def test_closing_does_not_wait_for_ever_for_a_server_that_ignores_it(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_origin, "CLOSE_TIMEOUT", 0.02)
    async with IgnoresTheEnd(tls=certified(authority)) as server:
        async with opened(server.url, trust=trusting(authority)) as transport:
            await put(transport, f"{server.url}/x")
            async with asyncio.timeout(10):  # TLS itself would wait for 30 s
                await transport.aclose()
        assert not origin(transport)._open


# -- ending at every stage


class Stalls(TcpServer):
    """Goes as far as a stage, and no further."""

    def __init__(self, tls: ssl.SSLContext | None, stage: str, reached: asyncio.Event) -> None:
        super().__init__(tls)
        self._stage, self._reached = stage, reached

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._stage in ("handshaking", "sending"):
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            self._reached.set()
            await asyncio.Event().wait()
        await read_request(reader)
        if self._stage == "reading":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        self._reached.set()
        await reader.read(-1)


STAGES = ["looking up", "connecting", "handshaking", "sending", "waiting", "reading"]
ENDINGS = ["cancel", "close", "time out"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("stage", "tls"),
    [(stage, tls) for stage in STAGES for tls in (False, True) if tls or stage != "handshaking"],
)
async def test_an_attempt_may_end_at_every_stage(
    stage: str, ending: str, tls: bool, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, reached, go_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    async def stall(*_: object, **__: object) -> None:
        reached.set()
        await go_on.wait()
        raise ConnectionRefusedError(111, "refused")

    context = certified(authority) if tls and stage != "handshaking" else None
    async with Stalls(context, stage, reached) as server:
        url = f"{'https' if tls else 'http'}://localhost:{server.port}"
        async with opened(url, trust=trusting(authority) if tls else None) as transport:
            with monkeypatch.context() as patch:
                if stage == "looking up":
                    patch.setattr(loop, "getaddrinfo", stall)
                if stage == "connecting":
                    patch.setattr(loop, "sock_connect", stall)
                body = b"x" * (12_000_000 if stage == "sending" else 10)
                request = asyncio.create_task(transport.send("PUT", f"{url}/x", {}, body, 60.0))
                await reached.wait()
                if stage == "sending":
                    await until(lambda: origin(transport)._open)
                if ending == "cancel":
                    request.cancel()
                if ending == "time out":  # as the timer does, at the very stage
                    for timeout in list(origin(transport)._timeouts.running):
                        timeout.expire()
                if ending == "close":
                    await transport.aclose()
                    if stage == "handshaking":
                        server.push(b"no TLS at all")
                go_on.set()
                await asyncio.wait([request])
        await until(lambda: not server.open_connections or stage in ("sending", "handshaking"))
        assert not origin(transport)._open

    assert request.cancelled() == (ending == "cancel")
    if ending != "cancel":
        before = stage in STAGES[:3]
        assert isinstance(
            request.exception(),
            ConnectError if before else TimedOutError if ending == "time out" else ProtocolError,
        )


async def test_a_server_that_answers_while_the_session_closes_leaves_nothing_open(
    authority: trustme.CA,
) -> None:
    async with serving(tls=authority) as (server, transport):
        requests = [asyncio.create_task(put(transport, f"{server.url}/x")) for _ in range(10)]
        await until(lambda: server.requests)
        await transport.aclose()
        await asyncio.wait(requests)

    for request in requests:
        error = request.exception()
        assert error is None or isinstance(error, TransportError)


async def test_a_closed_session_opens_no_connection() -> None:
    async with serving() as (server, transport):
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(ConnectError, match="closed"):
            await put(transport, f"{server.url}/x")

    assert server.connections == 0


async def test_a_request_that_cannot_be_written_takes_no_connection() -> None:
    async with serving() as (server, transport):
        with pytest.raises(UnicodeEncodeError):
            await transport.send("PUT", f"{server.url}/x", {"X": "\ud800"}, b"", 10.0)
        await put(transport, f"{server.url}/x")
        with pytest.raises(UnicodeEncodeError):
            await transport.send("PUT", f"{server.url}/x", {"X": "\ud800"}, b"", 10.0)

        assert len(origin(transport)._open) == len(origin(transport)._resting) == 1


# -- leaks


class Fickle(RawServer):
    """Ends each connection in another way; some stay."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = self.connections % 5
        if way == 0:
            return
        if way == 1:
            await super().serve(reader, writer)
        await read_request(reader)
        writer.write([b"", b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1", b"x"][way - 1])
        if way == 3:
            reset_at_close(writer)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux counts files there")  # noqa: PTH112
async def test_connections_that_come_and_go_leave_nothing() -> None:
    def connections() -> int:
        gc.collect()
        return sum(type(each).__name__ in ("Connection", "_Timeout") for each in gc.get_objects())

    async with Fickle() as server, opened(server.url) as transport:

        async def one(number: int) -> None:
            request = asyncio.create_task(put(transport, f"{server.url}/x", 1.0))
            if number % 3 == 0:
                for _ in range(number % 11):
                    await asyncio.sleep(0)
                request.cancel()
            await asyncio.wait([request])
            request.cancelled() or request.exception()

        async def several(count: int) -> tuple[int, int]:
            for start in range(0, count, 10):
                await asyncio.gather(*(one(start + number) for number in range(10)))
            for connection in list(origin(transport)._open):
                connection.abort()
            await until(lambda: not server.open_connections and not origin(transport)._open)
            await steps(5)
            return open_files(), connections()

        before = await several(50)
        after = await several(amount(300, long=10_000))

        assert after == before
        assert not transport._timeouts.running  # type: ignore[attr-defined]
        assert not origin(transport)._resting
