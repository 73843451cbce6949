"""What a server, or whoever answers in its place, can do to the client that reads it."""

import asyncio
import ssl
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import trustme
from aiohttp import web

from tests.support.case import CANARY, case, private_student, private_students, trying
from tests.support.config import config
from tests.support.figures import figure
from tests.support.proxy import FAIR
from tests.support.raw import RawServer, bomb, reply
from tests.support.scripted import grant
from timeback_async import Report, TimebackSession
from timeback_async.errors import ConnectError, RedirectError
from timeback_async.testing import MockServer

JSON, GZIP = ("Content-Type", "application/json"), ("Content-Encoding", "gzip")
Delivery = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


async def id_in(request: web.BaseRequest) -> str:
    return str(msgspec.json.decode(await request.read())["student"]["sourcedId"])


# -- bytes that nobody asked for

OTHER = reply(b'{"student": {"sourcedId": "s-other", "givenName": "Other"}}').data
UNSOLICITED = {
    "an-answer-about-another": OTHER,
    "two-of-them": OTHER * 2,
    "one-and-a-half": OTHER + OTHER[: len(OTHER) // 2],
    "half-of-its-head": OTHER[:30],
    "half-of-its-body": OTHER[:-20],
    "garbage": bytes(range(256)),
    "words": b"Good morning\r\n\r\n",
    "an-answer-without-a-body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "an-empty-answer": reply(b"").data,
    **{f"a-{status}": reply(b"{}", f"{status} x").data for status in (400, 422, 500, 503)},
}


@pytest.mark.parametrize("name", UNSOLICITED)
async def test_bytes_on_an_idle_connection_are_no_records_answer(name: str) -> None:
    how = trying(10, attempt_timeout=0.2, counts_match=False)
    async with case(weather=FAIR, **how) as it:
        assert it.proxy is not None
        for number in range(4):
            await it.upsert([private_student(f"{number}-{n}") for n in range(16)])
            it.proxy.push(UNSOLICITED[name])
            await asyncio.sleep(0.005 * (number % 2))

        wrong = sum(not each.ok or each.value.sourced_id != each.sourced_id for each in it.results)
        assert wrong == 0
        figure(f"unsolicited bytes, {name}: wrong results", wrong)


# -- answers that are cut off, in forms that do not tell how long they are


def chunked(body: bytes) -> bytes:
    chunks = [body[n : n + 50] for n in range(0, len(body), 50)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"Transfer-Encoding: chunked\r\n\r\n" + framed


def until_close(body: bytes) -> bytes:
    return b"Connection: close\r\n\r\n" + body


@pytest.mark.parametrize("form", [chunked, until_close])
async def test_an_answer_of_unknown_length_cut_off_at_any_byte_is_no_record(
    form: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(own: str) -> bytes:
        body = msgspec.json.encode({"student": {"sourcedId": own, "givenName": "Ada" * 60}})
        return b"HTTP/1.1 200 OK\r\n" + form(body)

    async def deliver(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        own = await id_in(request)
        request.transport.write(answer(own)[: int(own.removeprefix("s-"))])
        request.transport.close()
        return web.Response()

    size = len(answer("s-000"))
    async with case(**trying(1)) as it:
        monkeypatch.setattr(it.server, "_deliver", lambda request, *_: deliver(request))
        report = await it.upsert(private_student(f"{n:03}") for n in range(size))

        bodiless = form is until_close  # a 200 with nothing after its head is whole
        assert report.saved == bodiless
        assert report.unknown == size - bodiless
        assert not any(each.value for each in it.results)
        figure(f"answers cut off, {form.__name__}, each of {size} bytes: half records", 0)


# -- answers that nobody should follow, unpack or wait for


def whole(body: bytes, status: int = 200, header: tuple[str, str] = ("X", "")) -> Delivery:
    async def deliver(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=dict([JSON, header]))

    return deliver


def endless(begin: bytes, piece: bytes) -> Delivery:
    async def deliver(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(begin)
        while not request.transport.is_closing():
            request.transport.write(piece)
            await asyncio.sleep(0)
        return web.Response()

    return deliver


OK = b"HTTP/1.1 200 OK\r\n"
DEEP = b"[" * 10**6
BOMB = bomb(256)
HOSTILE: dict[str, Delivery] = {
    "gzip-bomb": whole(BOMB, 200, GZIP),
    "gzip-bomb-as-an-error": whole(BOMB, 503, GZIP),
    "deep": whole(DEEP),
    "deep-in-the-record": whole(b'{"student":{"sourcedId":"s-0","metadata":' + DEEP),
    "deep-error": whole(DEEP, 422),
    "endless-body": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n%4096d\r\n" % 0),
    "endless-body-without-chunks": endless(OK + b"\r\n", bytes(4096)),
    "endless-header": endless(OK + b"X: ", b"x" * 4096),
    "endless-headers": endless(OK, b"X: x\r\n" * 1000),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_costs_one_record_and_little_memory(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with case(**trying(3, attempt_timeout=1.0)) as it:
        await it.upsert(private_students(1))
        tracemalloc.start()
        try:
            with monkeypatch.context() as hostile:
                hostile.setattr(it.server, "_deliver", lambda request, *_: HOSTILE[name](request))
                bad = await it.upsert(private_students(1))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        good = await it.upsert(private_students(10))

        assert bad.failed + bad.unknown == 1
        assert good.saved == good.attempts == 10
        assert peak < 8 << 20
        figure(f"hostile answer, {name}: MiB more", f"{peak / (1 << 20):.1f}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_no_record_along(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MockServer() as elsewhere, case() as it:
        moved = whole(b"", status, ("Location", f"{elsewhere.base_url}/rostering/1.0/students"))
        monkeypatch.setattr(it.server, "_deliver", lambda request, *_: moved(request))
        report = await it.upsert(private_students(20))

        assert report.failed == report.attempts == 20
        assert all(isinstance(each.error, RedirectError) for each in report.failures)
        assert elsewhere.connections == 0
        figure(f"redirects with {status}: requests to the other server", elsewhere.requests)


# -- certificates

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def self_signed() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with STRANGER.cert_pem.tempfile() as own, STRANGER.private_key_pem.tempfile() as key:
        context.load_cert_chain(own, key)
    return context


REFUSED = {
    "expired": serving(AUTHORITY.issue_cert("localhost", not_after=YESTERDAY)),
    "self-signed": self_signed(),
    "of-a-stranger": serving(STRANGER.issue_cert("localhost")),
    "wrong-host": serving(AUTHORITY.issue_cert("elsewhere.test")),
}
GOOD = serving(AUTHORITY.issue_cert("localhost"))
GRANT = reply(grant().body)


async def upsert_over_tls(url: str, token_url: str) -> Report:
    trust = ssl.create_default_context()
    AUTHORITY.configure_trust(trust)
    settings = config(base_url=url, token_url=token_url)
    async with TimebackSession(settings, ssl_context=trust) as session:
        return await session.upsert_many(private_students(100))


@pytest.mark.parametrize("of_tokens", [True, False], ids=["for-tokens", "for-records"])
@pytest.mark.parametrize("name", REFUSED)
async def test_a_certificate_that_does_not_hold_stops_the_run(name: str, of_tokens: bool) -> None:
    async with RawServer(GRANT, tls=GOOD) as good, RawServer(GRANT, tls=REFUSED[name]) as bad:
        with pytest.raises(ConnectError) as caught:
            await upsert_over_tls(bad.url, (bad if of_tokens else good).url + "/token")

    report = caught.value.report
    assert report is not None
    assert report.not_sent == report.submitted > 0
    assert not caught.value.retryable
    assert bad.requests == []
    assert CANARY not in "".join(map(repr, (caught.value, report, *report.failures)))
    figure(f"certificate {name}: requests that reached the server", len(bad.requests))


async def test_a_certificate_that_holds_lets_every_record_through() -> None:
    async with RawServer(GRANT, reply(b""), tls=GOOD) as server:
        report = await upsert_over_tls(server.url, server.url + "/token")

    assert report.saved == 100
    assert len(server.requests) == 101
