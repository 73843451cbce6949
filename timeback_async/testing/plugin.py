"""pytest fixtures: a mock server, and a session that is open on it.

They work under anyio's plugin, and under pytest-asyncio in either mode: its strict mode wants
async fixtures marked as its own, which anyio does not mind.
"""

from collections.abc import AsyncIterator

from .._session import TimebackSession
from ._server import MockServer

try:
    from pytest_asyncio import fixture
except ImportError:
    from pytest import fixture  # type: ignore[no-redef, assignment, unused-ignore]  # noqa: PT013

__all__ = ["timeback_server", "timeback_session"]


@fixture
async def timeback_server() -> AsyncIterator[MockServer]:
    """Yield a running `MockServer`; set its `faults` to make things go wrong."""
    async with MockServer() as server:
        yield server


@fixture
async def timeback_session(timeback_server: MockServer) -> AsyncIterator[TimebackSession]:
    """Yield a `TimebackSession` that is open on `timeback_server`."""
    async with TimebackSession(timeback_server.config()) as session:
        yield session
