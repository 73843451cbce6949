"""Send requests over connections of our own: no task, and hardly an object, for each of them.

It speaks HTTP/1.1 to the origins of the configuration, and to nobody else.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache

from .._config import Config
from .._wire.http import Response
from ..errors import ConfigError, ConnectError
from .base import origin_of
from .origin import Origin
from .proxy import proxy_for
from .timeouts import Timeouts

__all__ = ["DirectTransport"]

# Methods whose requests say nothing of a body where there is none. Source: RFC 9110 section 8.6.
WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class DirectTransport:
    """A transport for the most requests at the least cost.

    Args:
        config: URLs, keep-alive and limits.
        ssl_context: Whom to trust for https; None for the system's CAs.

    Raises:
        ConfigError: The environment names a proxy for one of the origins.
    """

    def __init__(self, config: Config, ssl_context: ssl.SSLContext | None) -> None:
        self._timeouts = Timeouts()
        self._loop = asyncio.get_running_loop()
        urls = dict.fromkeys((origin_of(config.base_url), origin_of(config.token_endpoint)))
        if config.trust_env and any(map(proxy_for, urls)):
            raise ConfigError(
                'transport: "direct" uses no proxy, and the environment names one; use "aiohttp"'
            )
        if ssl_context is None and any(url.lower().startswith("https:") for url in urls):
            ssl_context = _system_trust()
        self._origins = [Origin(url, config, ssl_context, self._timeouts) for url in urls]
        self._common = f"User-Agent: {config.user_agent}\r\nAccept: application/json\r\n"
        self._is_closed = False

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        """Return the answer to one request. See `Transport.send`."""
        for origin in self._origins:
            if url.startswith(origin.url):
                break
        else:
            raise ConnectError("the URL is outside of the configured origin", retryable=False)
        if self._is_closed:
            raise ConnectError("the session is closed", retryable=False)
        ends_at = self._loop.time() + timeout
        request = self._head(origin, method, url, headers, body)
        if body:
            request += body
        connection = origin.kept() or await origin.connect(timeout)
        response = await connection.exchange(method, request, ends_at, timeout)
        origin.keep(connection)
        return response

    def _head(
        self, origin: Origin, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        head = f"{method} {url[len(origin.url) - 1 :]} HTTP/1.1\r\nHost: {origin.host}\r\n"
        head += self._common
        for name, value in headers.items():
            head += f"{name}: {value}\r\n"
        if body or method not in WITHOUT_BODY:
            head += f"Content-Length: {len(body or b'')}\r\n"
        return (head + "\r\n").encode()

    async def aclose(self) -> None:
        """Close every connection."""
        self._is_closed = True
        await asyncio.gather(*(origin.aclose() for origin in self._origins))
        self._timeouts.close()


@cache
def _system_trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
