"""Runs the fault matrix over each transport."""

import os

import pytest

from tests.support import lanes

# Tracing for coverage takes its time, and the tests of transports cover both.
LANES = ["direct"] if "COVERAGE_PROCESS_START" in os.environ else ["aiohttp", "direct"]


@pytest.fixture(params=LANES, autouse=True)
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    lanes.use(monkeypatch, name)
    return name
