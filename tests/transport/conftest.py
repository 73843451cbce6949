import pytest
import trustme

from tests.support import lanes
from timeback_async._transport import aiohttp as _transport


@pytest.fixture(params=["our request", "aiohttp's request", "direct"])
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test on each lane, and with aiohttp's own request: other versions of it get that."""
    name: str = request.param
    assert _transport.IS_KNOWN
    monkeypatch.setattr(_transport, "IS_KNOWN", name == "our request")
    lanes.use(monkeypatch, "direct" if name == "direct" else "aiohttp")
    return name


@pytest.fixture
def aiohttp_lane(lane: str) -> None:
    """Leave a test out of the direct lane: it is about aiohttp, or what only that can do."""
    if lane == "direct":
        pytest.skip("it is about what only aiohttp does")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()
