import pytest
import trustme

from timeback_async._transport import aiohttp as _transport


@pytest.fixture(params=["our request", "aiohttp's request"])
def _both_ways_to_send(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with aiohttp's own request as well: other versions of it get that one."""
    assert _transport.IS_KNOWN
    monkeypatch.setattr(_transport, "IS_KNOWN", request.param == "our request")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()
