"""Each recipe runs against the library that it is for, where that is installed."""

from collections.abc import AsyncIterator

import pytest

from timeback_async.testing import MockServer


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MockServer]:
    """Run a mock server, and point the environment to it: recipes read their settings there."""
    async with MockServer() as server:
        monkeypatch.setenv("TIMEBACK_BASE_URL", server.base_url)
        monkeypatch.setenv("TIMEBACK_CLIENT_ID", server.client_id)
        monkeypatch.setenv("TIMEBACK_CLIENT_SECRET", server.client_secret)
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the warnings of other projects to them."""
    for item in items:
        if "stacks" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("default"))
