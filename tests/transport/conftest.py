import pytest
import trustme

from tests.support import lanes


@pytest.fixture(params=["aiohttp", "direct"])
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test on each lane."""
    name: str = request.param
    lanes.use(monkeypatch, name)
    return name


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()
