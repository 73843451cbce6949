import pytest

from timeback_async.cli._settings import config_from_env
from timeback_async.errors import ConfigError


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


def test_what_is_wrong_is_named_by_its_variable_or_its_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIMEBACK_TRANSPORT", "pigeons")
    monkeypatch.setenv("TIMEBACK_BASE_URL", "nowhere")

    with pytest.raises(ConfigError) as caught:
        config_from_env(max_in_flight=0)

    # What has a wrong type or range comes first, and hides wrong texts.
    assert [line.partition(":")[0] for line in caught.value.args] == [
        "--max-in-flight", "TIMEBACK_TRANSPORT"
    ]  # fmt: skip
