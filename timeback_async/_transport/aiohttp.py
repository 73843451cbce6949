"""Send one request over HTTP and read its answer, once: one call here is one request on the wire.

The only module that imports aiohttp for sending. Its exceptions end here, since their texts can
hold tokens and URLs. What to repeat is decided above.
"""

import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.http import StreamWriter
from multidict import CIMultiDict
from yarl import URL

from .._config import Config
from .._wire.http import Response
from ..errors import ConnectError, ProtocolError, TimedOutError, TransportError
from .timeouts import Timeouts

__all__ = ["AiohttpTransport"]

CONNECT_TIMEOUT = 10.0
MAX_ERROR_BYTES = 64 * 1024
# Our requests override what aiohttp does not document: another version sends in its own way.
IS_KNOWN = aiohttp.__version__.startswith("3.14.")
# Failures of TLS that a busy peer causes by hanging up; every other one will not go away.
_TRANSIENT_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


class _Spoiled(Exception):
    """A kept connection holds bytes that nobody asked for; nothing was sent over it."""


class CheckedRequest(aiohttp.ClientRequest):
    """A request that goes out only over a connection on which nothing is left from before.

    Bytes that wait there would be read as the answer to it.
    """

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        if conn.protocol.should_close:
            raise _Spoiled
        return await super().send(conn)


class LeanRequest(aiohttp.ClientRequest):
    """A request that goes out as it is: its head and its bytes in one write, without a task.

    aiohttp's own is made for bodies that come in pieces, and starts a task to send them; that is
    a tenth of the client's CPU. This one knows neither proxies nor traces.
    """

    def update_headers(self, headers: Any) -> None:
        self.headers = CIMultiDict({aiohttp.hdrs.HOST: self.url.host_port_subcomponent or ""})
        self.headers.extend(headers)

    def update_body_from_data(self, body: bytes | None, _stacklevel: int = 0) -> None:
        self._content = body or b""
        if self._content or self.method not in self.GET_METHODS:
            self.headers[aiohttp.hdrs.CONTENT_LENGTH] = str(len(self._content))

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        if conn.protocol.should_close:
            raise _Spoiled
        writer = StreamWriter(conn.protocol, self.loop)
        line = f"{self.method} {self.url.raw_path_qs} HTTP/1.1"
        await writer.write_headers(line, self.headers)
        await writer.write(self._content, drain=False)
        if conn.protocol.writing_paused:  # an answer may come before all of it is gone
            conn.protocol.force_close()
        return self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=[],
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )


class AiohttpTransport:
    """The default transport, over one `aiohttp.ClientSession`.

    Args:
        config: Addresses, keep-alive, proxies and bounds.
        ssl_context: Trust for https; None for the system's.
        trace_configs: Handed to aiohttp, for its own instrumentation.
    """

    def __init__(
        self,
        config: Config,
        ssl_context: ssl.SSLContext | None,
        trace_configs: Sequence[aiohttp.TraceConfig],
    ) -> None:
        self._max_bytes = config.max_response_bytes
        self._timeouts = Timeouts()
        self._base, self._token_base = _origin(config.base_url), _origin(config.token_endpoint)
        # aiohttp's own `trust_env` would read passwords from netrc as well.
        self._base_proxy = _proxy(self._base) if config.trust_env else None
        self._token_proxy = _proxy(self._token_base) if config.trust_env else None
        is_plain = not (trace_configs or self._base_proxy or self._token_proxy)
        self._session = aiohttp.ClientSession(
            # Admission is ours: aiohttp's own pool can lose wake-ups under contention.
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=config.keepalive, ssl=ssl_context or True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": config.user_agent, "Accept": "application/json"},
            # One exact timer of ours bounds the whole attempt; aiohttp rounds its own up.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            trace_configs=list(trace_configs),
            request_class=_request_class(is_plain),
        )
        # aiohttp repeats a PUT by itself when the connection drops, and has no public switch.
        if hasattr(self._session, "_retry_connection"):
            self._session._retry_connection = False  # noqa: SLF001

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        """Return the answer to one request. See `Transport.send`."""
        if url.startswith(self._base):
            proxy = self._base_proxy
        elif url.startswith(self._token_base):
            proxy = self._token_proxy
        else:
            raise ConnectError("the request would leave the configured origin", retryable=False)
        if self._session.closed:
            raise ConnectError("the session is closed", retryable=False)
        try:
            with self._timeouts.within(timeout):
                answer = await self._answer(
                    method,
                    URL(url, encoded=True),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    proxy=proxy,
                )
                try:
                    content = await self._read(answer)
                except BaseException:
                    answer.close()
                    raise
        except aiohttp.ClientResponseError:  # its repr holds the bearer token
            raise ProtocolError("the answer is not HTTP") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error, timeout) from error
        return Response(answer.status, answer.headers, content, _closer(answer))

    async def _answer(self, *request: Any, **more: Any) -> aiohttp.ClientResponse:
        while True:  # a spoiled connection is closed, so there is a clean one in the end
            with suppress(_Spoiled):
                return await self._session.request(*request, **more)

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        is_error = answer.status >= 300
        limit = min(self._max_bytes, MAX_ERROR_BYTES) if is_error else self._max_bytes
        content = answer.content
        chunks = [content.read_nowait() if content.is_eof() else await content.readany()]
        size = len(chunks[0])
        while size <= limit and not content.at_eof():
            chunks.append(await content.readany())
            size += len(chunks[-1])
        if size > limit:
            if not is_error:
                raise ProtocolError(f"the answer is longer than {limit} bytes", retryable=False)
            answer.close()
        return b"".join(chunks)[:limit]

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()
        self._timeouts.close()


def _request_class(is_plain: bool) -> type[aiohttp.ClientRequest]:
    if not IS_KNOWN:
        return aiohttp.ClientRequest
    return LeanRequest if is_plain else CheckedRequest


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{url[: len(parts.scheme)]}://{parts.netloc}/"  # in the case it was written in


def _proxy(origin: str) -> str | None:
    """Return the environment's proxy for an origin."""
    parts = urlsplit(origin)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _closer(answer: aiohttp.ClientResponse) -> Callable[[], None]:
    # The connection is back in aiohttp's pool by now; closing its protocol takes it out again.
    protocol: Any = getattr(answer, "_protocol", None)
    return protocol.close if protocol is not None else lambda: None


def _translated(error: Exception, timeout: float) -> TransportError:
    """Return our error for one of aiohttp's. The order matters: they derive from each other."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ConnectError(f"unknown host {error.host}", unknown_host=True)
    if isinstance(error, aiohttp.ClientSSLError):
        transient = isinstance(error.os_error, _TRANSIENT_TLS)
        reason = getattr(error.os_error, "reason", None) or type(error.os_error).__name__
        return ConnectError(f"TLS with {error.host} failed: {reason}", retryable=transient)
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno  # aiohttp's words for it name addresses as Python tuples
        why = os.strerror(number) if number else type(error.os_error).__name__
        return ConnectError(f"cannot connect to {error.host}:{error.port}: {why}")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ConnectError(f"no connection within {CONNECT_TIMEOUT:g} s")
    if isinstance(error, TimeoutError):
        return TimedOutError(f"no answer within {timeout:g} s")
    if isinstance(error, aiohttp.ServerDisconnectedError | OSError):
        return ProtocolError("the connection closed before the answer", disconnected=True)
    if isinstance(error, aiohttp.ClientPayloadError):
        return ProtocolError("the answer was cut off")
    return ProtocolError(f"no usable answer ({type(error).__name__})")
