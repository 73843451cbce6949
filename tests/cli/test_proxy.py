"""The command behind a proxy, as in a school's network."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from anyio.from_thread import start_blocking_portal

from tests.support.command import family, run
from tests.support.raw import RawServer, reply
from tests.support.tcp import TcpServer, read_request
from timeback_async.testing import MockServer


class Forward(TcpServer):
    """A proxy for plain HTTP: it passes on each request, and closes the connection.

    Attributes:
        asked: The URLs that it was asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        self.asked.append(request.path)
        host, path = request.path.removeprefix("http://").split("/", 1)
        answers, server = await asyncio.open_connection(*host.split(":"))
        head = request.raw.replace(request.path.encode(), f"/{path}".encode(), 1)
        try:
            server.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            while data := await answers.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            server.close()


@contextmanager
def running(server: TcpServer) -> Iterator[str]:
    """Run a server in a thread of its own; yield its host and port."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server):
        yield f"127.0.0.1:{server.port}"


@pytest.fixture(autouse=True)
def _trust(monkeypatch: pytest.MonkeyPatch, server: MockServer) -> None:
    for kind in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{kind}_proxy", raising=False)
        monkeypatch.delenv(f"{kind}_proxy".upper(), raising=False)


def test_check_says_which_proxy_it_goes_through(server: MockServer) -> None:
    forward = Forward()
    with running(forward) as address:
        done = run("check", HTTP_PROXY=f"http://me:canary@{address}")

    assert done.exit_code == 0, done.output
    assert f"through the proxy {address} (HTTP_PROXY)" in done.stdout
    assert done.stdout.count("\nok ") == 3
    assert len(forward.asked) == 3
    assert "canary" not in done.output


@pytest.mark.parametrize("command", ["upsert", "sync"])
def test_everything_is_sent_through_the_proxy(server: MockServer, command: str) -> None:
    forward = Forward()
    with running(forward) as address:
        done = run(command, family(), HTTP_PROXY=address)

    assert done.exit_code == 0, done.output
    assert len(server.students) == 2
    assert len(forward.asked) == server.requests + server.token_requests


def test_without_trust_nothing_reaches_the_proxy(server: MockServer) -> None:
    forward = Forward()
    with running(forward) as address:
        done = run("check", HTTP_PROXY=address, TIMEBACK_TRUST_ENV="false")

    assert done.exit_code == 0
    assert forward.asked == []


def test_check_says_what_the_proxy_answered_and_which_variable_to_check() -> None:
    proxy = RawServer(reply(status="407 Proxy Authentication Required"))
    with running(proxy) as address:
        done = run("check", TIMEBACK_BASE_URL="https://nowhere.invalid", HTTPS_PROXY=address)

    assert done.exit_code == 2
    assert proxy.requests[0].startswith(b"CONNECT nowhere.invalid:443 ")
    assert f"the proxy {address} refused: HTTP 407: check HTTPS_PROXY" in done.stdout


def test_check_says_that_the_proxy_is_not_there() -> None:
    environ = {"TIMEBACK_BASE_URL": "https://nowhere.invalid", "ALL_PROXY": "127.0.0.1:1"}

    done = run("check", **environ)

    assert done.exit_code == 2
    assert "check ALL_PROXY" in done.stdout


def test_a_direct_transport_that_is_asked_for_refuses_a_proxy(server: MockServer) -> None:
    done = run("check", HTTP_PROXY="127.0.0.1:1", TIMEBACK_TRANSPORT="direct")

    assert done.exit_code == 2
    assert 'use "aiohttp"' in done.output


def test_check_reminds_of_a_proxy_where_a_host_is_unknown() -> None:
    done = run("check", TIMEBACK_BASE_URL="https://nowhere.invalid")

    assert "behind a proxy, set HTTPS_PROXY" in done.stdout
