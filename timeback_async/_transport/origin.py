"""Open connections to one server, and keep them while they are clean, young and in use."""

import asyncio
import random
import socket
import ssl
from collections.abc import Sequence
from time import monotonic
from typing import Any

import aiohappyeyeballs
from yarl import URL

from .._config import Config
from ..errors import ConnectError
from .connection import Connection
from .connector import CONNECT_TIMEOUT, MAX_AGE, YOUNGEST
from .failures import unconnected
from .timeouts import Timeouts

__all__ = ["Origin"]

# Seconds before the next address of the server is tried as well. Source: RFC 8305 section 8.
HAPPY_EYEBALLS_DELAY = 0.25
# Seconds for which the addresses of a name are used: a burst of connections asks for them once.
ADDRESSES_LAST = 10.0
# Seconds for the other side to take part in the end of its connections.
CLOSE_TIMEOUT = 1.0

Address = tuple[int, int, int, str, Any]  # as getaddrinfo gives them


class Origin:
    """The connections to one server.

    Args:
        url: Scheme, host and port, ending with "/".
        config: Keep-alive and limits.
        ssl_context: Whom to trust for https.
        timeouts: The timer of the transport.

    Attributes:
        url: The URL.
        host: The value of the Host header.
    """

    def __init__(
        self, url: str, config: Config, ssl_context: ssl.SSLContext | None, timeouts: Timeouts
    ) -> None:
        self.url, parsed = url, URL(url)
        self.host = parsed.host_port_subcomponent or ""
        self._name, self._port = parsed.raw_host or "", parsed.port or 0
        self._ssl = ssl_context if parsed.scheme == "https" else None
        self._keepalive, self._max_bytes = config.keepalive, config.max_response_bytes
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()
        # Connections at rest, the one used last at the end; and until when each may rest.
        self._resting: dict[Connection, float] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._addresses: Sequence[Address] = ()
        self._addresses_end = 0.0
        self._unknown: Exception | None = None  # how the last look-up failed
        self._look_up = asyncio.Lock()
        self._look_ups_ended = 0
        self._is_closed = False
        self._all_closed = asyncio.Event()

    def kept(self) -> Connection | None:
        """Return a connection that is open, clean and young, or None."""
        now = monotonic()
        while self._resting:
            connection, rests_until = self._resting.popitem()
            if now < rests_until and now < connection.young_until and connection.is_usable:
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if it may not be used again."""
        if not connection.is_usable:
            connection.close()
            return
        self._resting[connection] = monotonic() + self._keepalive
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._keepalive, self._close_rested)

    def _close_rested(self) -> None:
        """Close the connections that have rested too long; look again when the next one will have.

        They rest in the order of their last use.
        """
        self._sweep, now = None, monotonic()
        for connection, rests_until in list(self._resting.items()):
            if rests_until > now:
                self._sweep = self._loop.call_later(rests_until - now, self._close_rested)
                return
            del self._resting[connection]
            connection.close()

    async def connect(self, seconds: float) -> Connection:
        """Open a connection, within so many seconds.

        Raises:
            ConnectError: There is none.
        """
        limit = min(seconds, CONNECT_TIMEOUT)
        try:
            with self._timeouts.within(limit):
                return await self._connected()
        except (OSError, RuntimeError, UnicodeError) as error:  # uvloop raises RuntimeError, too
            self._addresses_end = 0.0  # the name may point elsewhere by now
            failure = unconnected(error, self._name, self._port, limit)
        try:
            raise failure  # out here, it has no context
        finally:
            del failure

    async def _connected(self) -> Connection:
        addresses, cancelled_before = await self._resolved(), _cancelled()
        sock = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY, loop=self._loop
        )
        _raise_lost_cancellation(cancelled_before, sock)
        _, connection = await self._loop.create_connection(
            lambda: Connection(self._timeouts, self._max_bytes, self._forget),
            sock=sock,
            ssl=self._ssl,
            server_hostname=self._name.rstrip(".") if self._ssl else None,
        )
        if self._is_closed:
            connection.abort()
            raise ConnectError("the session is closed", retryable=False)
        if not connection.is_usable:
            connection.abort()
            raise ConnectError(f"{self._name}:{self._port} closed the connection at once")
        self._open.add(connection)
        connection.young_until = monotonic() + MAX_AGE * random.uniform(YOUNGEST, 1.0)
        return connection

    async def _resolved(self) -> Sequence[Address]:
        """Return the addresses of the server. Those who wait for a look-up share how it ends."""
        ended_before = self._look_ups_ended
        async with self._look_up:
            if self._look_ups_ended == ended_before and monotonic() >= self._addresses_end:
                self._unknown = None
                try:
                    self._addresses = await self._loop.getaddrinfo(
                        self._name, self._port, type=socket.SOCK_STREAM
                    )
                    self._addresses_end = monotonic() + ADDRESSES_LAST
                except (OSError, UnicodeError) as error:
                    self._unknown = error
                self._look_ups_ended += 1
            if self._unknown is not None:
                raise self._unknown.with_traceback(None)
            return self._addresses

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._resting.pop(connection, None)
        if not self._open:
            self._all_closed.set()

    async def aclose(self) -> None:
        """Close every connection; one that the other side does not let end is cut off."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._open):
            connection.close()
        while self._open:
            self._all_closed.clear()
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._all_closed.wait()
            except TimeoutError:
                for connection in list(self._open):
                    connection.abort()


def _cancelled() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


def _raise_lost_cancellation(cancelled_before: int, sock: socket.socket) -> None:
    # aiohappyeyeballs drops one that comes while it gives up the slower addresses.
    if _cancelled() > cancelled_before:
        sock.close()
        raise asyncio.CancelledError
