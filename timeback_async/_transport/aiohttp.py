"""Send one request over HTTP and read its answer, once: one call here is one request on the wire.

No other module uses aiohttp to send. Its exceptions do not leave this module, since their texts can
contain tokens and URLs. The request pool decides what to repeat.
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
# Our requests override undocumented methods of aiohttp; in other versions its own request is used.
IS_KNOWN = aiohttp.__version__.startswith("3.14.")
# TLS failures of a busy server that closes the connection; all others are final.
_TRANSIENT_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


class _Spoiled(Exception):
    """A kept connection has unread bytes; nothing was sent over it."""


class CheckedRequest(aiohttp.ClientRequest):
    """A request that is sent only over a connection without unread bytes.

    aiohttp would read those bytes as the answer to this request.
    """

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        if conn.protocol.should_close:
            raise _Spoiled
        return await super().send(conn)


class LeanRequest(aiohttp.ClientRequest):
    """A request whose head and body are sent in one write, without a task.

    aiohttp's own request is made for bodies that come in pieces, and starts a task to send them.
    That takes a tenth of the client's CPU. This one supports neither proxies nor traces.
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
        if conn.protocol.writing_paused:  # an answer may come before the whole request is sent
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
        config: URLs, keep-alive, proxies and limits.
        ssl_context: Whom to trust for https; None for the system's CAs.
        trace_configs: Passed to aiohttp, for its instrumentation.
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
            # No limit here: we admit requests, and aiohttp's own pool can lose wake-ups.
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=config.keepalive, ssl=ssl_context or True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": config.user_agent, "Accept": "application/json"},
            # Our own timer limits the whole attempt exactly; aiohttp rounds its timers up.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            trace_configs=list(trace_configs),
            request_class=_request_class(is_plain),
        )
        # aiohttp repeats a PUT by itself when the connection drops. There is no public switch.
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
            raise ConnectError("the URL is outside of the configured origin", retryable=False)
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
        while True:  # each spoiled connection is closed, so a clean one comes
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
    return f"{url[: len(parts.scheme)]}://{parts.netloc}/"  # with upper and lower case as written


def _proxy(origin: str) -> str | None:
    """Return the proxy for an origin from the environment, or None."""
    parts = urlsplit(origin)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _closer(answer: aiohttp.ClientResponse) -> Callable[[], None]:
    # The connection is back in aiohttp's pool; closing its protocol removes it from there.
    protocol: Any = getattr(answer, "_protocol", None)
    return protocol.close if protocol is not None else lambda: None


def _translated(error: Exception, timeout: float) -> TransportError:
    """Return our error for an exception of aiohttp. The order matters: some are subclasses."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ConnectError(f"unknown host {error.host}", unknown_host=True)
    if isinstance(error, aiohttp.ClientSSLError):
        transient = isinstance(error.os_error, _TRANSIENT_TLS)
        reason = getattr(error.os_error, "reason", None) or type(error.os_error).__name__
        return ConnectError(f"TLS with {error.host} failed: {reason}", retryable=transient)
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno  # aiohttp's own text shows addresses as Python tuples
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
