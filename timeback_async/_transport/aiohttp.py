"""Send one request over HTTP and read its answer, once: one call here is one request on the wire.

No other folder uses aiohttp to send. Its exceptions do not leave this one, since their texts can
contain tokens and URLs. The request pool decides what to repeat.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import aiohttp
from yarl import URL

from .._config import Config
from .._wire.http import Response
from ..errors import ConnectError, ProtocolError
from .aiohttp_failures import refused_by_proxy, translated
from .base import origin_of
from .coding import MAX_ERROR_BYTES
from .connector import CONNECT_TIMEOUT, Connector
from .proxy import proxy_for
from .timeouts import Timeouts

__all__ = ["AiohttpTransport"]

# aiohttp warns of longer bodies, unless they come from a file.
LARGE = 1024 * 1024
# What aiohttp decompresses, or fails to. A body of another form it hands out as it is.
KNOWN_CODINGS = ("", "identity", "gzip", "deflate", "br", "zstd")


class AiohttpTransport:
    """The default transport, over one `aiohttp.ClientSession`.

    Args:
        config: URLs, keep-alive, proxies and limits.
        ssl_context: Whom to trust for https; None for the system's CAs.
        trace_configs: Passed to aiohttp, for its instrumentation.

    Raises:
        ConfigError: The environment names a proxy that is not supported.
    """

    def __init__(
        self,
        config: Config,
        ssl_context: ssl.SSLContext | None,
        trace_configs: Sequence[aiohttp.TraceConfig],
    ) -> None:
        self._max_bytes = config.max_response_bytes
        self._timeouts = Timeouts()
        self._base, self._token_base = origin_of(config.base_url), origin_of(config.token_endpoint)
        # aiohttp's own `trust_env` would read passwords from netrc as well.
        self._base_proxy = proxy_for(self._base) if config.trust_env else None
        self._token_proxy = proxy_for(self._token_base) if config.trust_env else None
        self._session = aiohttp.ClientSession(
            # No limit here: we admit requests, and aiohttp's own pool can lose wake-ups.
            connector=Connector(
                limit=0, keepalive_timeout=config.keepalive, ssl=ssl_context or True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": config.user_agent, "Accept": "application/json"},
            # Our own timer limits the whole attempt exactly; aiohttp rounds its timers up.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            trace_configs=list(trace_configs),
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
                answer = await self._session.request(
                    method,
                    URL(url, encoded=True),
                    data=BytesIO(body) if body and len(body) > LARGE else body,
                    headers=headers,
                    allow_redirects=False,
                    proxy=proxy,
                )
                try:
                    content = await self._read(answer, proxy)
                except BaseException:
                    answer.close()
                    raise
            return Response(answer.status, answer.headers, content, _closer(answer))
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            failure = translated(error, timeout, proxy)
        try:
            raise failure  # out here, it does not get aiohttp's exception as its context
        finally:
            del failure  # it refers to this frame, whose headers contain the token

    async def _read(self, answer: aiohttp.ClientResponse, proxy: URL | None) -> bytes:
        if answer.status == 407 and proxy is not None and answer.url.scheme == "http":
            raise refused_by_proxy(proxy, 407)
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
        coding = answer.headers.get(aiohttp.hdrs.CONTENT_ENCODING, "")
        if size and not is_error and coding.lower() not in KNOWN_CODINGS:
            raise ProtocolError("the answer has an unknown Content-Encoding", retryable=False)
        return b"".join(chunks)[:limit]

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()
        self._timeouts.close()


def _closer(answer: aiohttp.ClientResponse) -> Callable[[], None]:
    # The connection is back in aiohttp's pool; closing its protocol removes it from there.
    protocol: Any = getattr(answer, "_protocol", None)
    return protocol.close if protocol is not None else lambda: None
