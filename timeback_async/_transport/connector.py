"""Open connections, keep them, and say of each failure whether a connection was there.

aiohttp keeps connections whatever is in them. Here a kept one is used again only while it is clean.
"""

from typing import Any

import aiohttp

__all__ = ["CONNECT_TIMEOUT", "Connector", "is_unsent"]

# Seconds for each address of the server: TCP and TLS.
CONNECT_TIMEOUT = 10.0


class Connector(aiohttp.TCPConnector):
    """A pool of connections.

    Nothing has been sent when its `connect` raises: `is_unsent` finds that out later.
    """

    async def connect(self, *request: Any, **more: Any) -> Any:
        """Return a connection: a kept one that is clean, or else a new one."""
        try:
            while True:
                connection = await super().connect(*request, **more)
                protocol: Any = connection.protocol
                # aiohttp would read bytes that are there already as the answer to this request.
                if not protocol.should_close:
                    return connection
                connection.close()
        except BaseException as error:  # the CancelledError of a time limit, too
            error.is_unsent = True  # type: ignore[attr-defined]
            raise


def is_unsent(error: BaseException | None) -> bool:
    """Return whether an error arose before there was a connection to send the request over."""
    while error is not None:
        if hasattr(error, "is_unsent"):
            return True
        error = error.__cause__
    return False
