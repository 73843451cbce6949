"""pytest fixtures: a mock server, and a session that is open on it.

They work under anyio's plugin and under both modes of pytest-asyncio. The strict mode of
pytest-asyncio requires its own decorator for async fixtures, and anyio accepts that decorator.
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
    """Yield a running `MockServer`, new for each test.

    It listens on a free port of 127.0.0.1, and holds three orgs and no people. It has no faults
    until a test assigns a `Faults` to `timeback_server.faults`. It stops when the test ends.
    """
    async with MockServer() as server:
        yield server


@fixture
async def timeback_session(timeback_server: MockServer) -> AsyncIterator[TimebackSession]:
    """Yield a `TimebackSession` that is open on `timeback_server`, with default settings.

    It is closed when the test ends. For other settings open a session of your own with
    `timeback_server.config(…)`.
    """
    async with TimebackSession(timeback_server.config()) as session:
        yield session
