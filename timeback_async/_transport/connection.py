"""One connection that sends a request and reads its answer, one after the other.

A connection is used again only while nothing about it is in doubt: the answer was complete, nothing
followed it, the whole request had gone, and the server did not say that it closes.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import httptools

from .._wire.http import Response
from ..errors import ProtocolError, TimedOutError, TransportError
from .coding import bounded
from .failures import CUT_OFF, NO_STATUS_LINE, broken, disconnected
from .fields import Fields
from .timeouts import Timeouts

__all__ = ["Connection"]

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 128
MAX_LINE_BYTES = 8190  # as in aiohttp
# What says how long a body is. Without them it ends with the connection.
_FRAMING = (b"content-length", b"transfer-encoding")
# Of "Content-Encoding" and "Transfer-Encoding": few fields have a name as long, and need a look.
_LENGTHS_OF_CODINGS = (16, 17)


class Connection(asyncio.Protocol):
    """A connection to one server.

    Args:
        timeouts: The timer of the transport.
        max_bytes: The greatest body of an answer, decompressed.
        closed: Called with this connection once it is closed.

    Attributes:
        ends_at: When the answer that is waited for has to be complete, on the loop's clock.
        young_until: Until when it may be used again.
        is_usable: Whether a request can be sent: nothing is left of an earlier one.
    """

    # What has come of the present answer.
    _status = 0  # 0 until its head is complete
    _coding = ""
    _body_bytes = 0
    _bare_bytes = 0  # since the beginning or the last piece of the body, none of them of a body

    def __init__(self, timeouts: Timeouts, max_bytes: int, closed: Callable[[Any], None]) -> None:
        self._timeouts, self._max_bytes, self._closed = timeouts, max_bytes, closed
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpResponseParser(self)
        # Some servers write it out of habit. LF alone for CRLF would hide a chunk that lost a byte.
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
        self._transport: Any = None
        self._answer: asyncio.Future[Response | TransportError]
        self._is_waiting = False  # for an answer
        self.is_usable = True
        self._is_head_request = False
        self._seconds = self.ends_at = self.young_until = 0.0
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    async def exchange(
        self, method: str, request: bytes, ends_at: float, seconds: float
    ) -> Response:
        """Send a request, and return its answer.

        Args:
            method: The method of the request.
            request: All of it.
            ends_at: When the answer has to be complete, on the loop's clock.
            seconds: How long the whole attempt may take, for the message.

        Raises:
            TimedOutError: There was no complete answer in time.
            ProtocolError: The connection broke, or the answer is not complete HTTP, or too large.
        """
        self._answer = answer = self._loop.create_future()
        self._is_waiting, self._is_head_request = True, method == "HEAD"
        self.is_usable = False  # until the answer is complete
        self._seconds, self.ends_at = seconds, ends_at
        self._timeouts.begin(self)
        try:
            self._transport.write(request)
            outcome = await answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._timeouts.running.discard(self)
            self._is_waiting = False
        if isinstance(outcome, Response):
            return outcome
        try:
            raise outcome
        finally:
            del outcome  # it refers to this frame, whose request contains the token

    def expire(self) -> None:
        """End the exchange: its time is over."""
        self._fail(TimedOutError(f"no answer within {self._seconds:g} s"))

    def close(self) -> None:
        """Close it in order, or at once where an answer is to come or a request still to go."""
        self.is_usable = False
        if self._is_waiting or self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        self.is_usable = False
        self._transport.abort()

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._is_waiting:
            self.abort()  # nothing was asked: it would be read as the answer to the next request
            return
        left = MAX_HEAD_BYTES - self._bare_bytes
        if len(data) > left:  # the bound must not depend on how the answer was cut
            self.data_received(data[:left])
            self.data_received(data[left:])
            return
        self._bare_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(broken(str(error)))
        if self._body_bytes > self._max_bytes:
            self._finish()
            self.abort()
        elif self._bare_bytes >= MAX_HEAD_BYTES:
            what = f"the answer has more than {MAX_HEAD_BYTES} bytes before or after its body"
            self._fail(ProtocolError(what, retryable=False))

    def eof_received(self) -> None:
        self.is_usable = False
        if self._status and self._is_waiting and self._ends_with_connection():
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(ProtocolError(CUT_OFF) if self._status else disconnected())
        self.is_usable = False
        self._parser = None  # it refers to this connection
        self._closed(self)

    # -- what the parser calls

    def on_message_begin(self) -> None:
        if not self._is_waiting:
            self.is_usable = False  # a second answer

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(value) > MAX_LINE_BYTES:
            what = f"the answer has a line of more than {MAX_LINE_BYTES} bytes"
            self._fail(ProtocolError(what, retryable=False))
        if self._status:
            return  # after the body, where nothing may change what the head has said
        self._fields.append((name, value))
        if len(name) in _LENGTHS_OF_CODINGS:
            self._note_coding(name.lower(), value.decode("latin-1"))

    def _note_coding(self, name: bytes, coding: str) -> None:
        if name == b"content-encoding":
            self._coding = f"{self._coding}, {coding}" if self._coding else coding
        elif name == b"transfer-encoding" and coding.strip().lower() != "chunked":
            what = "the answer has an unknown Transfer-Encoding"
            self._fail(ProtocolError(what, retryable=False))

    def on_headers_complete(self) -> None:
        if len(self._fields) > MAX_FIELDS:
            self._fail(ProtocolError("the answer has too many header fields", retryable=False))
        self._status = status = self._parser.get_status_code()
        if status >= 200:
            self._bare_bytes = 0
            if self._is_head_request:
                self._finish()  # its Content-Length is that of another answer: no body comes
        elif status < 100:
            self._fail(ProtocolError(NO_STATUS_LINE))
        elif status == 101:
            self._fail(ProtocolError("the server changes to another protocol", retryable=False))

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._body_bytes += len(data)
        self._bare_bytes = 0

    def on_message_complete(self) -> None:
        if not self._is_waiting:
            return
        if self._status < 200:  # one of 1xx: the answer is still to come
            self._status, self._fields, self._coding = 0, [], ""
            return
        # The rest of a request that was answered early would be read as the next one.
        has_gone = not self._transport.get_write_buffer_size()
        self.is_usable = has_gone and self._parser.should_keep_alive()
        self._finish()

    # -- the end of an exchange

    def _ends_with_connection(self) -> bool:
        """Return whether the end of the connection is the end of the body.

        Anybody on the way can end a TCP connection; over TLS the server itself has to say so.

        Source: RFC 9112 section 9.8.
        """
        if any(name.lower() in _FRAMING for name, _ in self._fields):
            return False
        tls = self._transport.get_extra_info("ssl_object")
        try:
            return tls is None or tls.read(1) == b""
        except ssl.SSLError:  # there could be more
            return False

    def _finish(self) -> None:
        """Give the answer to the one who waits for it."""
        status, fields, body, limit = self._status, self._fields, self._body, self._max_bytes
        content = body[0] if len(body) == 1 else b"".join(body)
        try:
            if self._coding or status >= 300 or len(content) > limit:
                content = bounded(content, self._coding, status, limit)
        except ProtocolError as error:
            self._fail(error)
            return
        self._status = self._bare_bytes = self._body_bytes = 0
        self._fields, self._body, self._coding = [], [], ""
        self._end(Response(status, Fields(fields), content, self.abort))

    def _fail(self, error: TransportError) -> None:
        self._end(error)
        self.abort()

    def _end(self, outcome: Response | TransportError) -> None:
        if self._is_waiting:
            self._is_waiting = False
            if not self._answer.done():  # cancelled, and its task has not run since
                # An error is a result, too: a future that nobody waits for any more would log it.
                self._answer.set_result(outcome)
