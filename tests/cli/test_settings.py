import pytest

from timeback_async.cli._settings import config_from_env


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMEBACK_CLIENT_ID", "me")
    monkeypatch.setenv("TIMEBACK_CLIENT_SECRET", "mine")


@pytest.mark.parametrize("variable", [None, "", " "])
def test_a_command_sends_directly(variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable is not None:
        monkeypatch.setenv("TIMEBACK_TRANSPORT", variable)

    assert config_from_env(max_in_flight=3).transport == "direct"


def test_the_environment_chooses_the_transport_of_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIMEBACK_TRANSPORT", "aiohttp")

    assert config_from_env().transport == "aiohttp"
