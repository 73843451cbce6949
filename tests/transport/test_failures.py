import asyncio
import gzip
import re
import socket
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aioresponses import aioresponses

from tests.support.lanes import ON_AIOHTTP
from tests.support.raw import DROP, RawServer, Reply, reply
from tests.support.sending import QUERY, failure, opened, put
from tests.support.tls import certified, trusting
from timeback_async._transport import aiohttp as _aiohttp
from timeback_async._transport import aiohttp_failures as _aiohttp_failures
from timeback_async._transport import origin as _origin
from timeback_async.errors import ConnectError, ProtocolError, TimedOutError

pytestmark = pytest.mark.usefixtures("lane")


@asynccontextmanager
async def answering(data: bytes | None, scheme: str = "https") -> AsyncIterator[str]:
    """Listen, and answer whatever comes with some bytes, or never; yield the URL."""
    handlers: list[asyncio.Task[Any]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.append(task)
        with suppress(OSError, asyncio.CancelledError):
            await reader.read(1)
            if data is None:
                await reader.read(-1)
            writer.write(data or b"")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers)


# -- answers that cannot be read

OK = b"HTTP/1.1 200 OK\r\n"
HEAD = OK + b"Content-Length: 100\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = b"X: " + b"x" * 9000 + b"\r\n"


def packed(coding: str, body: bytes = b"{}") -> Reply:
    return reply(body, headers=[f"Content-Encoding: {coding}"])


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Reply(HEAD + b"{", "close"), "the answer was cut off"),
        (Reply(HEAD + b"{", "reset"), "the answer was cut off"),
        (Reply(CHUNKED + b"5\r\n{", "close"), "the answer was cut off"),
        (Reply(CHUNKED + b"zz\r\n"), "the answer was cut off: a chunk of it has no valid length"),
        (Reply(b"SSH-2.0-OpenSSH\r\n\r\n"), "not HTTP: it has no valid status line"),
        (Reply(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64"), "not HTTP: it has no valid status line"),
        (Reply(b"HTTP/1.1 2x0 OK\r\n\r\n"), "not HTTP: it has no valid status line"),
        (Reply(OK + b"X Y: 1\r\n\r\n"), "not HTTP: a header field of it is not valid"),
        (Reply(OK + b"Content-Length: x\r\n\r\n"), "not HTTP: a header field of it is not valid"),
        (Reply(OK + b"X: a\0b\r\n\r\n"), "not HTTP: a header field of it is not valid"),
        (packed("gzip"), "the body of the answer cannot be decompressed"),
        (packed("deflate", b"zzzz"), "the body of the answer cannot be decompressed"),
    ],
)
async def test_an_answer_damaged_on_its_way_may_be_asked_for_again(
    broken: Reply, words: str
) -> None:
    async with RawServer(broken) as server:
        error = await failure(server.url)

    assert isinstance(error, ProtocolError)
    assert str(error).endswith(words)
    assert (error.retryable, error.disconnected) == (True, False)
    assert len(server.requests) == 1


@pytest.mark.parametrize("end", [DROP, Reply(then="reset"), Reply(OK, "close")])
async def test_a_connection_that_ends_before_the_answer_is_a_disconnect(end: Reply) -> None:
    async with RawServer(end) as server:
        error = await failure(server.url)

    assert isinstance(error, ProtocolError)
    assert str(error) == "the connection closed before the answer"
    assert (error.retryable, error.disconnected) == (True, True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Reply(OK + LONG + b"\r\n"), "a line of more than 8190 bytes"),
        (Reply(OK + b"X: " + b"x" * 100_000), "than 8190 bytes|than 65536 bytes"),
        (Reply(b"HTTP/1.1 200 " + LONG * 10), "than 8190 bytes|than 65536 bytes"),
        (Reply(CHUNKED + b"0\r\n" + LONG + b"\r\n"), "a line of more than 8190 bytes"),
        (Reply(OK + b"X: 1\r\n" * 129 + b"\r\n"), "too many header fields"),
        (Reply(OK + b"Content-Length: 2\r\n" * 2 + b"\r\n{}"), "its length or its form twice"),
        (Reply(OK + b"Content-Length: 2\r\n" + CHUNKED[17:]), "its length or its form twice"),
        (packed("br"), "an unknown Content-Encoding"),
        (packed("zstd"), "an unknown Content-Encoding"),
        (packed("x-gzip", gzip.compress(b"{}")), "an unknown Content-Encoding"),
        (packed("gzip, gzip"), "an unknown Content-Encoding"),
    ],
)
async def test_what_a_server_does_each_time_is_not_worth_a_repetition(
    answer: Reply, words: str
) -> None:
    async with RawServer(answer) as server:
        error = await failure(server.url)

    assert isinstance(error, ProtocolError)
    assert re.search(words, str(error))
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "body", "coding"),
    [("201 Created", b"", "x"), ("404 Not Found", b"?", "x"), ("200 OK", b"{}", "Identity")],
)
async def test_a_coding_does_not_matter_where_the_body_is_not_needed(
    status: str, body: bytes, coding: str
) -> None:
    answer = reply(body, status, [f"Content-Encoding: {coding}"])
    async with RawServer(answer) as server, opened(server.url) as transport:
        response = await put(transport, f"{server.url}/x")

    assert (response.status, response.body) == (int(status[:3]), body)


@ON_AIOHTTP
async def test_a_failure_of_another_kind_is_called_by_its_class() -> None:
    url = "https://timeback.invalid"
    with aioresponses() as mocked:
        mocked.put(f"{url}/x?{QUERY}", exception=aiohttp.ClientConnectionError("canary"))
        error = await failure(url)

    assert isinstance(error, ProtocolError)
    assert str(error) == "no usable answer (ClientConnectionError)"


async def test_an_error_and_the_frame_that_has_the_token_do_not_keep_each_other() -> None:
    async with RawServer(DROP) as server:
        error = await failure(server.url)

    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if frame.f_globals["__name__"].startswith("timeback_async")]
    assert ours
    assert not any(error in frame.f_locals.values() for frame in ours)


# -- no connection


async def test_a_refused_connection_is_a_connect_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        error = await failure(f"http://127.0.0.1:{port}")

    assert isinstance(error, ConnectError)
    assert (error.retryable, error.unknown_host) == (True, False)
    assert str(error) == f"cannot connect to 127.0.0.1:{port}: Connection refused"


async def test_a_name_that_nobody_knows_is_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    error = await failure("https://timeback.invalid")

    assert isinstance(error, ConnectError)
    assert (error.retryable, error.unknown_host) == (True, True)
    assert str(error) == "unknown host timeback.invalid"


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
async def test_a_host_that_can_be_no_name_is_final(host: str) -> None:
    error = await failure(f"https://{host}")

    assert isinstance(error, ConnectError)
    assert str(error) == "the host is neither a valid name nor an address"
    assert not error.retryable


@pytest.mark.parametrize("stalled", ["getaddrinfo", "sock_connect"])
async def test_time_that_ends_before_there_is_a_connection_is_a_connect_error(
    stalled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stall(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), stalled, stall)

    error = await failure("http://localhost:9", timeout=0.02)

    assert isinstance(error, ConnectError)
    assert str(error) == "no connection within 0.02 s"
    assert error.retryable


async def test_a_tls_handshake_that_stalls_is_a_connect_error() -> None:
    async with answering(None) as url:
        error = await failure(url, timeout=0.05)

    assert isinstance(error, ConnectError)
    assert str(error) == "no connection within 0.05 s"


async def test_a_connection_has_less_time_than_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sock_connect(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    for module in (_aiohttp, _aiohttp_failures, _origin):
        monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.02)

    error = await failure("http://127.0.0.1:9")

    assert isinstance(error, ConnectError)
    assert str(error) == "no connection within 0.02 s"


async def test_time_that_ends_on_a_kept_connection_is_a_time_out() -> None:
    async with RawServer(reply(), Reply()) as server, opened(server.url) as transport:
        await put(transport, f"{server.url}/x")
        with pytest.raises(TimedOutError, match=r"no answer within 0\.02 s"):
            await put(transport, f"{server.url}/x", timeout=0.02)

    assert (server.connections, len(server.requests)) == (1, 2)


# -- TLS


async def test_a_private_authority_can_be_trusted(authority: trustme.CA) -> None:
    async with (
        RawServer(tls=certified(authority)) as server,
        opened(server.url, trust=trusting(authority)) as transport,
    ):
        response = await put(transport, f"{server.url}/x")

    assert response.status == 200


@pytest.mark.parametrize(
    ("name", "days", "reason"),
    [
        ("elsewhere.test", (-1, 1), "Hostname mismatch, certificate is not valid for 'localhost'"),
        ("localhost", (-2, -1), "certificate has expired"),
        ("localhost", (1, 2), "certificate is not yet valid; is the clock of this computer right?"),
    ],
)
async def test_a_certificate_that_does_not_hold_is_final_and_the_reason_told(
    authority: trustme.CA, name: str, days: tuple[int, int], reason: str
) -> None:
    now, (first, last) = datetime.now(UTC), (timedelta(days=day) for day in days)
    times = {"not_before": now + first, "not_after": now + last}
    async with RawServer(tls=certified(authority, name, **times)) as server:
        error = await failure(server.url, trust=trusting(authority))

    assert isinstance(error, ConnectError)
    assert str(error) == f"TLS with localhost failed: {reason}"
    assert not error.retryable
    assert server.requests == []


@pytest.mark.parametrize(
    ("is_self_signed", "words"),
    [(False, "unable to get local issuer certificate"), (True, "self-signed certificate")],
)
async def test_an_unknown_authority_can_be_passed_as_ssl_context(
    authority: trustme.CA, is_self_signed: bool, words: str, tmp_path: Path
) -> None:
    tls = certified(authority)
    if is_self_signed:
        authority.cert_pem.write_to_path(tmp_path / "certificate")
        authority.private_key_pem.write_to_path(tmp_path / "key")
        tls.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    async with RawServer(tls=tls) as server:
        error = await failure(server.url)

    assert isinstance(error, ConnectError)
    assert words in str(error)
    assert "pass an ssl_context" in str(error)
    assert not error.retryable


ALERT = b"\x15\x03\x03\0\2\2"  # TLS 1.2, an alert of two bytes, a fatal one


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the server does not speak TLS on port {port}"),
        (b"SSH-2.0-OpenSSH\r\n", "the server does not speak TLS on port {port}"),
        (ALERT + b"\x46", "client and server have no version of TLS in common"),
        (ALERT + b"\x28", "SSLV3_ALERT_HANDSHAKE_FAILURE"),
    ],
)
async def test_a_server_that_does_not_speak_the_same_tls_is_final(data: bytes, reason: str) -> None:
    async with answering(data) as url:
        error = await failure(url)

    assert isinstance(error, ConnectError)
    port = url.rpartition(":")[2]
    assert str(error) == "TLS with localhost failed: " + reason.format(port=port)
    assert not error.retryable


async def test_a_peer_that_hangs_up_in_the_tls_handshake_may_be_asked_again() -> None:
    async with answering(b"") as url:
        error = await failure(url)

    assert isinstance(error, ConnectError)
    assert "closed the connection in the TLS handshake" in str(error)
    assert error.retryable
