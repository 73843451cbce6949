"""The interface between the client and the network: it sends one request."""

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from .._wire.http import Response

__all__ = ["Transport", "origin_of"]


class Transport(Protocol):
    """Send one request, once. Any object with these two methods can be passed to a session.

    The session decides when to send, repeats what failed, and closes the transport when it is
    closed. It calls `send` from many tasks at once, on the event loop on which it was opened.
    """

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        """Return the complete answer to one request, with any status.

        Each call sends one request on the wire: it repeats nothing and follows no redirect. When
        its task is cancelled, the request ends too.

        Args:
            method: HTTP method, in capitals.
            url: Absolute URL, percent-encoded; send it unchanged.
            headers: Header fields of this request. They contain the access token.
            body: The bytes to send, or None for no body.
            timeout: Seconds for the whole attempt, from this call to the last byte of the answer.

        Raises:
            ConnectError: There was no connection, for whatever reason, so nothing was sent.
            TimedOutError: It was sent, and there was no complete answer within `timeout` seconds.
            ProtocolError: The connection broke, or the answer is not complete HTTP, or too large.
        """

    async def aclose(self) -> None:
        """Close every connection. `send` is not called after it."""


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, with upper and lower case as written, and "/"."""
    parts = urlsplit(url)
    return f"{url[: len(parts.scheme)]}://{parts.netloc}/"
