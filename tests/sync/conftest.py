from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.districts import District
from timeback_async.testing import MockServer


@pytest.fixture
async def server() -> AsyncIterator[MockServer]:
    async with MockServer() as running:
        yield running


@pytest.fixture
def district(server: MockServer, tmp_path: Path) -> District:
    return District(server, tmp_path)
