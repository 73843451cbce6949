"""What holds for every test: the same jitter in each run, and figures at the end."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.figures import FIGURES

# Where Python is to write no bytecode beside the source, it is kept here: tests start many
# processes, and each of them would compile the whole package.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    os.environ.setdefault(
        "PYTHONPYCACHEPREFIX", str(Path(__file__).parents[1] / ".pytest_cache/bytecode")
    )

# The jitter of each test; another number shows what holds by chance.
SEED = int(os.environ.get("TEST_SEED", "0"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def draw_the_same_in_each_run() -> None:
    random.seed(SEED)


@pytest.fixture(autouse=True)
def report_its_figures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Add the figures of a test to its report, which reaches the process that prints them."""
    yield
    request.node.user_properties.extend(FIGURES)
    FIGURES.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended = (each for some in terminalreporter.stats.values() for each in some)
    told = [each.user_properties for each in ended if getattr(each, "when", None) == "teardown"]
    if any(told):
        terminalreporter.section("figures")
    for what, value in (figure for figures in told for figure in figures):
        terminalreporter.write_line(f"{what}: {value}")
