"""Prints the figures of the fault matrix at the end of a test run."""

import pytest

from tests.support.case import FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("fault matrix")
        for what, value in FIGURES:
            terminalreporter.write_line(f"{what}: {value}")
