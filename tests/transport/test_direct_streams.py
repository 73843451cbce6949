"""One connection, byte by byte and without a socket: one outcome, and never a wrong one."""

import asyncio
import gzip
import http.client
import io
import re
import ssl
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import amount
from tests.support.clock import now, run_simulated, simulated
from tests.support.tasks import steps
from timeback_async import Response
from timeback_async._transport.connection import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    Connection,
)
from timeback_async._transport.timeouts import Timeouts
from timeback_async.errors import ProtocolError, TimedOutError, TransportError

Ends = Literal["eof", "reset", "silence"]
ENDS: tuple[Ends, ...] = ("eof", "reset", "silence")
SECONDS = 30.0
LIMIT = 1 << 20


class Wire(asyncio.Transport):
    """What a connection writes to. It takes all but the last `unsent` bytes."""

    def __init__(self, protocol: asyncio.Protocol, unsent: int = 0, tls: Any = None) -> None:
        super().__init__({"ssl_object": tls})
        self._protocol, self._unsent = protocol, unsent
        self.sent = b""
        self.ended = ""
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        assert not self.ended
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return self._unsent

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.end("closed")

    def abort(self) -> None:
        self.end("aborted")

    def end(self, how: str, error: Exception | None = None) -> None:
        if not self.ended:
            self.ended = how
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def come_to(self, end: Ends) -> None:
        """Do what the loop does at the end of what the server sends."""
        if self.ended or end == "silence":
            return
        if end == "reset":
            self.end("lost", ConnectionResetError())
        elif not self._protocol.eof_received():
            self.close()


class Outcome(NamedTuple):
    """What an exchange brought: a response or an error, and whether the connection may be used."""

    status: int
    body: bytes
    headers: dict[str, str]
    error: str
    usable: bool


class Line:
    """A connection, and the other end of it."""

    def __init__(self, max_bytes: int = LIMIT, unsent: int = 0, tls: Any = None) -> None:
        self.lost: list[Connection] = []
        self.connection = Connection(Timeouts(), max_bytes, self.lost.append)
        self.wire = Wire(self.connection, unsent, tls)

    def exchange(self, method: str = "PUT") -> asyncio.Task[Response]:
        ends_at = now() + SECONDS
        return asyncio.create_task(self.connection.exchange(method, b"request", ends_at, SECONDS))

    async def feed(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            if not self.wire.ended:
                self.connection.data_received(piece)
                await steps(2)

    async def outcome(
        self, pieces: Iterable[bytes], end: Ends = "silence", method: str = "PUT"
    ) -> Outcome:
        exchange = self.exchange(method)
        await steps(1)
        await self.feed(pieces)
        self.wire.come_to(end)
        try:
            response = await exchange
        except TransportError as error:
            assert not self.connection.is_usable
            return Outcome(0, b"", {}, f"{type(error).__name__}: {error}", False)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Outcome(response.status, response.body, headers, "", self.connection.is_usable)


async def outcome(
    pieces: Iterable[bytes], end: Ends = "silence", method: str = "PUT", **line: Any
) -> Outcome:
    return await Line(**line).outcome(pieces, end, method)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({place for place in places if 0 < place < len(data)})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


# -- the same, said by somebody else


class _Answer(http.client.HTTPResponse):
    def _read_status(self) -> Any:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, 102 if status == 100 else status, reason  # it would skip 100 by itself


class _Whole(io.BytesIO):
    """The bytes of a connection, for several answers one after the other."""

    def makefile(self, *_: object) -> "_Whole":
        return self

    def close(self) -> None:
        pass


def told_by_http_client(data: bytes, end: Ends, method: str) -> list[tuple[int, bytes]]:
    """Return the first final answer in some bytes, or nothing where it is not complete.

    An error is known by its status, so its body may also stay packed: that is the second form.
    """
    stream: Any = _Whole(data)
    try:
        status = 100
        while 100 <= status < 200:
            # Empty lines before an answer, and blanks at the end of a line, do no harm.
            head, end_of_head, rest = stream.read().lstrip(b"\r\n").partition(b"\r\n\r\n")
            stream = _Whole(re.sub(rb"[ \t]+(?=\r\n|$)", b"", head) + end_of_head + rest)
            answer = _Answer(stream, method=method)
            answer.begin()
            status = answer.status
        if status in (204, 304) or method == "HEAD":
            return [(status, b"")]
        if answer.length is None and not answer.chunked and end != "eof":
            return []
        body = answer.read()
    except (http.client.HTTPException, ValueError):
        return []
    found = []
    with suppress(ValueError, OSError, EOFError, zlib.error):
        coding = ", ".join(answer.headers.get_all("Content-Encoding", []))
        found.append((status, unpacked(body, coding)))
    return [*found, (status, body)] if status >= 300 else found


def unpacked(body: bytes, coding: str) -> bytes:
    if not body or coding.lower() in ("", "identity"):
        return body
    if coding.lower() == "gzip":
        return gzip.decompress(body)
    if coding.lower() != "deflate":
        raise ValueError(coding)
    try:
        return zlib.decompress(body)
    except zlib.error:
        return zlib.decompress(body, -15)


# -- answers of every form


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw": raw_deflate,
}


class Answer(NamedTuple):
    """An answer, and what it says; `framed` where its end can be seen without the connection's."""

    data: bytes
    status: int
    body: bytes
    framed: bool
    method: str = "PUT"


def sized(body: bytes = b"{}", head: str = "HTTP/1.1 200 OK", *fields: str) -> bytes:
    lines = [head, *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(
    body: bytes = b"{}",
    sizes: Sequence[int] = (),
    *,
    extension: str = "",
    trailers: str = "",
    head: str = "HTTP/1.1 200 OK",
    fields: Sequence[str] = (),
) -> bytes:
    lines = [head, *fields, "Transfer-Encoding: chunked", "", ""]
    data, at = "\r\n".join(lines).encode(), 0
    for size in [*sizes, len(body)]:
        if piece := body[at : at + size]:
            data += f"{len(piece):x}{extension}\r\n".encode() + piece + b"\r\n"
        at += len(piece)
    return data + f"0{extension}\r\n{trailers}\r\n".encode()


def until_close(body: bytes = b"{}", head: str = "HTTP/1.1 200 OK", *fields: str) -> bytes:
    return "\r\n".join([head, *fields, "", ""]).encode() + body


EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Encoding: br\r\n\r\n"
GZIPPED = gzip.compress(b"{}", mtime=0)
FORMS = {
    "sized": Answer(sized(), 200, b"{}", True),
    "empty": Answer(sized(b""), 200, b"", True),
    "chunked": Answer(chunked(b'{"a": 1}', (1, 2)), 200, b'{"a": 1}', True),
    "chunked, with extensions": Answer(chunked(extension=";a=b;c"), 200, b"{}", True),
    "chunked, with spaces": Answer(chunked(extension="  "), 200, b"{}", True),
    "chunked, with trailers": Answer(chunked(trailers="A: b\r\nC: d\r\n"), 200, b"{}", True),
    "until the end": Answer(until_close(), 200, b"{}", False),
    "until the end, and empty": Answer(until_close(b""), 200, b"", False),
    "after 100": Answer(b"HTTP/1.1 100 Continue\r\n\r\n" + sized(), 200, b"{}", True),
    "after several of 1xx": Answer(EARLY + EARLY + chunked(), 200, b"{}", True),
    "204": Answer(b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", 204, b"", True),
    "304": Answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
    "to HEAD": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, b"", True, "HEAD"),
    "HTTP/1.0": Answer(sized(b"{}", "HTTP/1.0 200 OK"), 200, b"{}", True),
    "no reason": Answer(sized(b"{}", "HTTP/1.1 201"), 201, b"{}", True),
    "gzip": Answer(sized(GZIPPED, "HTTP/1.1 200 OK", "content-encoding: gzip"), 200, b"{}", True),
    "deflate": Answer(
        chunked(zlib.compress(b"{}"), (3, 3), fields=["Content-Encoding: deflate"]),
        200, b"{}", True,
    ),
    "deflate without its head": Answer(
        until_close(raw_deflate(b"{}"), "HTTP/1.1 200 OK", "CONTENT-ENCODING: deflate"),
        200, b"{}", False,
    ),
    "an error": Answer(sized(b"no", "HTTP/1.1 503 Busy", "Retry-After: 5"), 503, b"no", True),
    "fields of all forms": Answer(
        sized(b"{}", "HTTP/1.1 200 OK", "a:b", "C:   d\t ", "E:", "f: g", "F: h"), 200, b"{}", True
    ),
}  # fmt: skip


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Answer:
    return FORMS[request.param]


def test_an_answer_of_each_form_is_read_alike_wherever_it_is_cut(form: Answer) -> None:
    end: Ends = "silence" if form.framed else "eof"

    async def main() -> None:
        whole = await outcome([form.data], end, form.method)
        assert (whole.status, whole.body, whole.error) == (form.status, form.body, "")
        assert (form.status, form.body) == told_by_http_client(form.data, end, form.method)[0]
        for place in range(1, len(form.data)):
            assert await outcome(cut(form.data, [place]), end, form.method) == whole
        every = cut(form.data, range(len(form.data)))
        assert await outcome(every, end, form.method) == whole

    run_simulated(main())


@pytest.mark.parametrize("end", ENDS)
def test_a_part_of_an_answer_is_never_taken_for_the_whole(form: Answer, end: Ends) -> None:
    head = form.data.rfind(b"\r\n\r\n") if not form.framed else len(form.data)

    async def main() -> None:
        for length in range(head):
            got = await outcome([form.data[:length]], end, form.method)
            assert got.error, form.data[:length]
            assert got.error.startswith("TimedOutError") == (end == "silence")

    run_simulated(main())


def words(alphabet: str) -> st.SearchStrategy[str]:
    return st.text(alphabet, max_size=5)


FIELDS = st.lists(
    st.builds(
        "{}:{}{}{}".format,
        st.sampled_from(["Date", "x-a", "ETAG", "Retry-After", "Vary", "Set-Cookie"]),
        words(" \t"),
        words("aB0;=/\xfc").map(str.strip),
        words(" \t"),
    )
    | st.sampled_from(["Connection: keep-alive", "Connection: close", "Keep-Alive: timeout=5"]),
    max_size=4,
)
BODIES = st.binary(max_size=40) | st.just(b'{"user": {"sourcedId": "s-1"}}')


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Answers as servers may write them."""
    status = draw(
        st.sampled_from([200, 200, 201, 202, 204, 206, 302, 304, 400, 404, 429, 500, 599])
    )
    head = draw(st.sampled_from(["HTTP/1.1 {} OK", "HTTP/1.1 {}", "HTTP/1.0 {} x y"])).format(
        status
    )
    method = draw(st.sampled_from(["PUT", "PUT", "GET", "HEAD"]))
    plain, fields = draw(BODIES), draw(FIELDS)
    coding = draw(st.sampled_from(["", "", *PACKED]))
    if status in (204, 304) or method == "HEAD":
        plain, data, framed = b"", until_close(b"", head, *fields), True
    else:
        body = PACKED[coding](plain) if plain else b""
        if coding:
            fields += [f"Content-Encoding: {'deflate' if coding == 'raw' else coding}"]
        framing = draw(st.sampled_from(["sized", "chunked", "close"]))
        framed = framing != "close"
        if framing == "sized":
            data = sized(body, head, *fields)
        elif framing == "chunked":
            data = chunked(
                body,
                draw(st.lists(st.integers(1, 9), max_size=4)),
                extension=draw(st.sampled_from(["", ";a", ";a=b", " "])),
                trailers="".join(f"{field}\r\n" for field in draw(FIELDS)),
                head=head,
                fields=fields,
            )
        else:
            data = until_close(body, head, *fields)
    early = draw(st.lists(st.sampled_from([EARLY, b"HTTP/1.1 100 Continue\r\n\r\n"]), max_size=2))
    return Answer(b"".join(early) + data, status, plain, framed, method)


PLACES = st.lists(st.integers(0, 400), max_size=6)
many = settings(max_examples=amount(40, long=1500), deadline=None)


@many
@given(answer=answers(), places=PLACES)
def test_an_answer_is_read_as_http_client_reads_it(answer: Answer, places: list[int]) -> None:
    end: Ends = "silence" if answer.framed else "eof"

    async def main() -> None:
        whole = await outcome([answer.data], end, answer.method)
        parts = await outcome(cut(answer.data, places), end, answer.method)

        told, *_ = told_by_http_client(answer.data, end, answer.method)
        assert told == (answer.status, answer.body) == (whole.status, whole.body)
        assert parts == whole

    run_simulated(main())


@many
@given(first=answers(), second=answers(), places=PLACES)
def test_nothing_of_an_answer_is_left_for_the_next(
    first: Answer, second: Answer, places: list[int]
) -> None:
    end: Ends = "silence" if second.framed else "eof"

    async def main() -> None:
        line = Line()
        if (await line.outcome([first.data], "silence", first.method)).usable:
            after = await line.outcome(cut(second.data, places), end, second.method)
            assert after == await outcome([second.data], end, second.method)

    run_simulated(main())


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "insert", "delete", "repeat"]),
        st.integers(0, 300),
        st.integers(1, 12),
        st.sampled_from([b"\r\n", b"\n", b"\r", b"0", b"9", b":", b" ", b"f", b"\0", b"\xff", b";"])
        | st.binary(min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, changes: list[tuple[str, int, int, bytes]]) -> bytes:
    for how, place, length, new in changes:
        at = place % (len(data) + 1)
        old = data[at : at + length]
        if how == "insert":
            data = data[:at] + new + data[at:]
        elif how == "put":
            data = data[:at] + new + data[at + len(new) :]
        elif how == "delete":
            data = data[:at] + data[at + length :]
        else:
            data = data[:at] + old + old + data[at + length :]
    return data


def test_a_chunk_that_lost_a_byte_is_noticed() -> None:
    data = chunked(b'{"user": {"sourcedId": "s-12"}}')

    async def main() -> None:
        for place in range(data.index(b"{"), data.rindex(b"}") + 1):
            got = await outcome([data[:place] + data[place + 1 :]])
            assert got.error, place

    run_simulated(main())


@pytest.mark.parametrize("data", [sized(), chunked()])
@simulated
async def test_lines_that_end_with_lf_alone_are_an_error(data: bytes) -> None:
    assert (await outcome([data.replace(b"\r\n", b"\n")])).error


@simulated
async def test_the_body_of_an_error_that_cannot_be_unpacked_stays_as_it_came() -> None:
    body = b"[\x9cc\x00\x00\x00\x01\x00\x01"  # deflate, with more behind its end
    head = b"HTTP/1.1 302 Found\r\nContent-Encoding: deflate\r\n\r\n"

    got = await outcome([head + body], "eof")

    assert (got.status, got.body, got.error) == (302, body, "")


@many
@given(answer=answers(), changes=CHANGES, places=PLACES, end=st.sampled_from(ENDS))
def test_a_damaged_answer_is_an_error_or_what_http_client_reads_too(
    answer: Answer, changes: list[Any], places: list[int], end: Ends
) -> None:
    data = damaged(answer.data, changes)

    async def main() -> None:
        got = await outcome(cut(data, places), end, answer.method)
        assert got.error or (got.status, got.body) in told_by_http_client(data, end, answer.method)

    run_simulated(main())


@many
@given(data=st.binary(max_size=60), places=PLACES, end=st.sampled_from(ENDS))
def test_bytes_of_any_kind_are_an_error(data: bytes, places: list[int], end: Ends) -> None:
    async def main() -> None:
        line = Line()
        got = await line.outcome(cut(data, places), end)
        await steps(2)

        assert got.error
        assert line.lost == [line.connection]

    run_simulated(main())


# -- a connection in doubt is not used again


@pytest.mark.parametrize(
    "more",
    [b"H", b"x", b"\0", b"HTTP/1.1 200 OK\r\n", sized(), b"\r\n\r\n" + sized(), b"HTTP/1.1 408 "],
)
@pytest.mark.parametrize("form", [FORMS["sized"], FORMS["chunked"], FORMS["204"]], ids=str)
def test_bytes_after_an_answer_end_the_connection_and_leave_the_answer(
    form: Answer, more: bytes
) -> None:
    async def main() -> None:
        whole = await outcome([form.data + more])
        apart = await outcome([form.data, more])
        split = await outcome([form.data[:-1], form.data[-1:] + more[:1], more[1:]])

        usual = (await outcome([form.data]))._replace(usable=False)
        assert whole == apart == split == usual

    run_simulated(main())


@pytest.mark.parametrize(
    ("data", "usable"),
    [
        (sized(), True),
        (sized(b"{}", "HTTP/1.1 404 No"), True),
        (sized(b"{}", "HTTP/1.1 200 OK", "Connection: close"), False),
        (sized(b"{}", "HTTP/1.1 200 OK", "connection: Keep-Alive, CLOSE"), False),
        (sized(b"{}", "HTTP/1.0 200 OK"), False),
        (sized(b"{}", "HTTP/1.0 200 OK", "Connection: keep-alive"), True),
        (sized(b"{}", "HTTP/1.1 200 OK", "Upgrade: h2", "Connection: Upgrade"), True),
    ],
)
@simulated
async def test_the_server_says_whether_it_keeps_the_connection(data: bytes, usable: bool) -> None:
    assert (await outcome([data])).usable is usable


@simulated
async def test_an_answer_that_overtakes_its_request_is_the_last_on_its_connection() -> None:
    line = Line(unsent=1)
    got = await line.outcome([sized()])
    line.connection.close()

    assert (got.status, got.usable) == (200, False)
    assert line.wire.ended == "aborted"  # else the rest of the request would still be sent


@simulated
async def test_bytes_on_an_idle_connection_end_it() -> None:
    line = Line()
    await line.feed([b"\r\n"])
    await steps(2)

    assert line.wire.ended == "aborted"
    assert line.lost == [line.connection]


@simulated
async def test_an_idle_connection_that_the_server_ends_is_not_usable() -> None:
    line = Line()
    await line.outcome([sized()])
    assert line.connection.is_usable
    line.wire.come_to("eof")

    assert not line.connection.is_usable


# -- the end of the connection as the end of the body


@pytest.mark.parametrize("how", ["close", "abort"])
@simulated
async def test_our_own_end_of_a_connection_does_not_complete_an_answer(how: str) -> None:
    line = Line()
    exchange = line.exchange()
    await steps(1)
    await line.feed([until_close()])
    getattr(line.connection, how)()

    with pytest.raises(ProtocolError, match="cut off"):
        await exchange
    assert line.wire.ended == "aborted"


@simulated
async def test_a_reset_does_not_complete_an_answer() -> None:
    assert "cut off" in (await outcome([until_close()], "reset")).error


class Tls:
    """What the end of a TLS connection looks like: closed by the server, or cut off on the way."""

    def __init__(self, is_closed: bool) -> None:
        self._is_closed = is_closed

    def read(self, _: int) -> bytes:
        if self._is_closed:
            return b""
        raise ssl.SSLWantReadError


@simulated
async def test_over_tls_only_the_server_itself_completes_an_answer() -> None:
    closed = await outcome([until_close()], "eof", tls=Tls(is_closed=True))
    cut_off = await outcome([until_close()], "eof", tls=Tls(is_closed=False))

    assert (closed.status, closed.body) == (200, b"{}")
    assert cut_off.error == "ProtocolError: the answer was cut off"


@pytest.mark.parametrize(
    "codings", [["gzip, chunked"], ["gzip"], ["identity"], ["chunked, gzip"], ["x", "chunked"]]
)
@simulated
async def test_a_body_in_another_transfer_coding_is_an_error(codings: list[str]) -> None:
    fields = [f"Transfer-Encoding: {coding}" for coding in codings]
    data = until_close(b"2\r\n{}\r\n0\r\n\r\n", "HTTP/1.1 200 OK", *fields)

    got = await outcome([data], "eof")

    assert got.error == "ProtocolError: the answer has an unknown Transfer-Encoding"


# -- heads


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "another protocol"),
        (b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "another protocol"),
        (b"HTTP/1.1 000 X\r\nContent-Length: 2\r\n\r\n{}", "status line"),
        (b"HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\n{}", "status line"),
    ],
)
@simulated
async def test_a_status_that_cannot_be_an_answer_is_an_error(head: bytes, words: str) -> None:
    for pieces in ([head], [head + sized()], [head, sized()], cut(head, range(len(head)))):
        assert words in (await outcome(pieces)).error


@simulated
async def test_what_comes_before_or_after_an_answer_changes_nothing_of_it() -> None:
    early = b"HTTP/1.1 103 Hints\r\nContent-Encoding: gzip\r\nRetry-After: 1\r\n\r\n"
    late = "Content-Encoding: gzip\r\nRetry-After: 2\r\n"

    got = await outcome([early + chunked(trailers=late)])

    assert (got.status, got.body, got.usable) == (200, b"{}", True)
    assert got.headers == {"transfer-encoding": "chunked"}


@pytest.mark.parametrize("codings", [("gzip", "gzip"), ("gzip", "identity"), ("x", "gzip")])
@simulated
async def test_a_body_packed_twice_is_not_unpacked_once(codings: tuple[str, str]) -> None:
    fields = [f"Content-Encoding: {coding}" for coding in codings]

    got = await outcome([sized(GZIPPED, "HTTP/1.1 200 OK", *fields)])

    assert got.error == "ProtocolError: the answer has an unknown Content-Encoding"


# -- bounds


def cuts(data: bytes, *sizes: int) -> list[list[bytes]]:
    return [cut(data, range(0, len(data), size)) for size in (len(data), *sizes)]


def filled(size: int) -> bytes:
    """Return an answer whose head has so many bytes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    left = size - len(head) - 2
    while left > 0:
        length = min(left, 8000)
        length -= 8 * (0 < left - length < 8)
        head += b"X: ".ljust(length - 2, b"x") + b"\r\n"
        left -= length
    return head + b"\r\n{}"


def test_the_bound_of_a_head_is_exact_however_it_is_cut() -> None:
    async def main() -> None:
        for pieces in cuts(filled(MAX_HEAD_BYTES), 1000, 50_000):
            assert (await outcome(pieces)).status == 200
        for pieces in cuts(filled(MAX_HEAD_BYTES + 1), 1000, 50_000):
            got = await outcome(pieces)
            assert got.error.startswith(f"ProtocolError: the answer has more than {MAX_HEAD_BYTES}")

    assert filled(MAX_HEAD_BYTES).index(b"\r\n\r\n") == MAX_HEAD_BYTES - 4
    run_simulated(main())


@simulated
async def test_the_bounds_of_fields_and_lines_are_exact() -> None:
    def with_fields(*fields: str) -> bytes:
        return sized(b"{}", "HTTP/1.1 200 OK", *fields)

    longest, most = f"X: {'x' * MAX_LINE_BYTES}", ["X: 1"] * (MAX_FIELDS - 1)
    assert (await outcome([with_fields(longest)])).status == 200
    assert "a line of more" in (await outcome([with_fields(f"{longest}x")])).error
    assert (await outcome([with_fields(*most)])).status == 200
    assert "too many header fields" in (await outcome([with_fields(*most, "X: 1")])).error


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (b"", b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (chunked()[:-2], b"X: y\r\n"),
        (chunked()[:-2] + b"X: ", b"y" * 99),
        (chunked()[:-2], b"x" * 99),
        (chunked()[:-5] + b"1;x=", b"y" * 99),
    ],
    ids=["nothing", "fields", "1xx", "trailers", "a trailer", "its name", "an extension"],
)
@simulated
async def test_what_is_no_body_does_not_go_on_for_ever(begin: bytes, again: bytes) -> None:
    line = Line()
    exchange = line.exchange()
    await steps(1)
    line.connection.data_received(begin + again)
    fed = 0
    while not line.wire.ended:
        line.connection.data_received(again)
        fed += len(again)

    with pytest.raises(ProtocolError, match=r"than (65536|8190) bytes"):
        await exchange
    assert fed < MAX_HEAD_BYTES + len(again)


@pytest.mark.parametrize("size", [999, 1000, 1001, 5000])
@pytest.mark.parametrize("form", [sized, chunked, until_close])
@pytest.mark.parametrize("status", ["200 OK", "404 No"])
@simulated
async def test_the_bound_of_a_body_is_exact_however_it_is_cut(
    size: int, form: Any, status: str
) -> None:
    data = form(b"x" * size, head=f"HTTP/1.1 {status}")
    got = {(each.status, each.body, each.error) async for each in _all(data, 1000)}

    if size <= 1000 or status != "200 OK":
        assert got == {(int(status[:3]), b"x" * min(size, 1000), "")}
    else:
        assert got == {(0, b"", "ProtocolError: the answer is longer than 1000 bytes")}


async def _all(data: bytes, limit: int) -> Any:
    for pieces in cuts(data, 1, 700):
        yield await outcome(pieces, "eof", max_bytes=limit)


@pytest.mark.parametrize("size", [900, 990, 1000, 1001])
@pytest.mark.parametrize("status", ["200 OK", "404 No"])
@simulated
async def test_the_bound_of_a_packed_body_holds_for_both_forms_of_it(
    size: int, status: str
) -> None:
    noise = bytes(range(256)) * 4  # it does not get shorter by packing
    body = gzip.compress(noise[:size], 0, mtime=0)
    data = sized(body, f"HTTP/1.1 {status}", "Content-Encoding: gzip")
    got = [got async for got in _all(data, 1000)]

    assert len({(each.status, each.body, each.error) for each in got}) == 1
    assert (got[0].body == noise[:size]) == (len(body) <= 1000)
    assert (got[0].error == "") == (status == "404 No" or len(body) <= 1000)


# -- time, and cancellation


@simulated
async def test_an_exchange_ends_exactly_in_time() -> None:
    line, begun = Line(), now()
    exchange = line.exchange()
    await steps(1)
    await line.feed([b"HTTP/1.1 200 OK\r\n"])

    with pytest.raises(TimedOutError, match="no answer within 30 s"):
        await exchange
    assert now() == begun + SECONDS
    assert line.wire.ended == "aborted"


@pytest.mark.parametrize("pieces", [[], [b"HTTP/1.1 2"], [until_close()], [sized()]])
@simulated
async def test_a_cancelled_exchange_ends_its_connection(pieces: list[bytes]) -> None:
    line = Line()
    exchange = line.exchange()
    await steps(1)
    for piece in pieces:
        line.connection.data_received(piece)
    exchange.cancel()  # with the whole answer there, but not handed out yet, in the last case

    with pytest.raises(asyncio.CancelledError):
        await exchange
    assert line.wire.ended == "aborted"
    await steps(2)
    assert line.lost == [line.connection]


@simulated
async def test_what_comes_after_the_end_of_an_exchange_changes_nothing() -> None:
    line = Line()
    exchange = line.exchange()
    await steps(1)
    line.connection.data_received(sized() + sized(b"no", "HTTP/1.1 500 Oops"))
    line.connection.eof_received()
    line.connection.connection_lost(ConnectionResetError())

    assert (await exchange).status == 200
    assert not line.connection.is_usable
