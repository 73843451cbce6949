"""Open connections, keep them, and say of each failure whether a connection was there.

aiohttp keeps connections as long as they are busy, whatever is in them and wherever the name of
the server points to by now. Here a kept connection is used again only while it is clean and young.
"""

import random
from time import monotonic
from typing import Any

import aiohttp

__all__ = ["CONNECT_TIMEOUT", "Connector", "is_unsent"]

# Seconds for each address of the server: TCP and TLS.
CONNECT_TIMEOUT = 10.0
# Seconds after which a connection is replaced, so that a change of DNS is followed. Names that are
# switched between data centres commonly live for 60 s. A TLS handshake a minute is not noticed.
MAX_AGE = 60.0
# Connections opened together end at ages from this share of it to the whole, not all at once.
YOUNGEST = 0.75


class Connector(aiohttp.TCPConnector):
    """A pool of connections.

    Nothing has been sent when its `connect` raises: `is_unsent` finds that out later.
    """

    async def connect(self, *request: Any, **more: Any) -> Any:
        """Return a connection: a kept one that is clean and young, or else a new one."""
        try:
            while True:
                connection = await super().connect(*request, **more)
                protocol: Any = connection.protocol
                if not hasattr(protocol, "ends_at"):
                    protocol.ends_at = monotonic() + MAX_AGE * random.uniform(YOUNGEST, 1.0)
                    return connection
                # aiohttp would read bytes that are there already as the answer to this request.
                if not protocol.should_close and monotonic() < protocol.ends_at:
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
