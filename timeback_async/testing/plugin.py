"""pytest fixtures: a mock server, and a session that is open on it.

They work under pytest-asyncio in either mode and under anyio's plugin: each fixture exists once
for whoever runs the test, since an open session belongs to the event loop of the test.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from .._session import TimebackSession
from ._server import MockServer

try:
    from pytest_asyncio import fixture as asyncio_fixture
except ImportError:
    asyncio_fixture = None  # type: ignore[assignment,unused-ignore]

__all__ = ["timeback_server", "timeback_session"]


async def _server() -> AsyncIterator[MockServer]:
    async with MockServer() as server:
        yield server


async def _session(timeback_server: MockServer) -> AsyncIterator[TimebackSession]:
    async with TimebackSession(timeback_server.config()) as session:
        yield session


_anyio_server = pytest.fixture(name="_timeback_anyio_server")(_server)
_anyio_session = pytest.fixture(name="_timeback_anyio_session")(_session)
if asyncio_fixture is not None:
    _asyncio_server = asyncio_fixture(name="_timeback_asyncio_server")(_server)
    _asyncio_session = asyncio_fixture(name="_timeback_asyncio_session")(_session)


def _from_runner(request: pytest.FixtureRequest, what: str) -> Any:
    runner = "anyio" if "anyio_backend" in request.fixturenames else "asyncio"
    return request.getfixturevalue(f"_timeback_{runner}_{what}")


@pytest.fixture
def timeback_server(request: pytest.FixtureRequest) -> Any:
    """Return a running `MockServer`; set its `faults` to make things go wrong."""
    return _from_runner(request, "server")


@pytest.fixture
def timeback_session(request: pytest.FixtureRequest) -> Any:
    """Return a `TimebackSession` that is open on `timeback_server`."""
    return _from_runner(request, "session")
