"""Runs the fault matrix over each transport, and prints its figures at the end."""

import os

import pytest

from tests.support import lanes
from tests.support.case import FIGURES

# Tracing for coverage takes its time, and the tests of transports cover both.
LANES = ["direct"] if "COVERAGE_PROCESS_START" in os.environ else ["aiohttp", "direct"]


@pytest.fixture(params=LANES, autouse=True)
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    lanes.use(monkeypatch, name)
    return name


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("fault matrix")
        for what, value in FIGURES:
            terminalreporter.write_line(f"{what}: {value}")
