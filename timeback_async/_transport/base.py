"""What sends a request: the one seam between the client and the network."""

from collections.abc import Mapping
from typing import Protocol

from .._wire.http import Response

__all__ = ["Transport"]


class Transport(Protocol):
    """Sends one request, once. Whatever has these two methods can be handed to a session.

    The session decides when to send, repeats what failed, and closes the transport at its end. It
    calls `send` from many tasks at once, on the event loop that it was opened on.
    """

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        """Return the complete answer to one request, whatever its status.

        A call is one request on the wire: nothing is repeated here, and no redirect is followed.
        When the task is cancelled, the request ends with it.

        Args:
            method: HTTP method, in capitals.
            url: Absolute URL, percent-encoded: not to be changed.
            headers: Header fields of this request; they hold the access token.
            body: The bytes to send, or None for no body.
            timeout: Seconds for the whole attempt, from here to the last byte of the answer.

        Raises:
            ConnectError: There was no connection, so nothing was sent.
            TimedOutError: There was no complete answer within `timeout` seconds.
            ProtocolError: The connection broke, or the answer is not complete HTTP.
        """

    async def aclose(self) -> None:
        """Close every connection. `send` is not called any more."""
