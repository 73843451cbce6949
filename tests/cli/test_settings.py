from typing import Any

import pytest

from timeback_async import Config
from timeback_async.cli._settings import config_from_env, proxies_of
from timeback_async.errors import ConfigError


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMEBACK_CLIENT_ID", "me")
    monkeypatch.setenv("TIMEBACK_CLIENT_SECRET", "mine")
    for kind in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{kind}_proxy", raising=False)
        monkeypatch.delenv(f"{kind}_proxy".upper(), raising=False)


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


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_command_goes_through_the_proxy_of_the_environment(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://me:canary@proxy.example:3128")

    config = config_from_env()

    assert (config.transport, config.trust_env) == ("aiohttp", True)
    assert proxies_of(config) == {"proxy.example:3128": variable}


def test_a_proxy_for_the_token_endpoint_alone_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "platform.timeback.com")
    monkeypatch.setenv("TIMEBACK_TOKEN_URL", "https://sign.in.example/token")

    assert config_from_env().transport == "aiohttp"


@pytest.mark.parametrize(
    "variables",
    [
        {"HTTP_PROXY": "http://proxy.example:3128"},
        {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".timeback.com"},
        {"HTTPS_PROXY": "http://proxy.example:3128", "TIMEBACK_TRUST_ENV": "false"},
        {"HTTPS_PROXY": "http://proxy.example:3128", "TIMEBACK_TRUST_ENV": "0"},
    ],
)
def test_a_proxy_for_others_or_one_not_to_be_trusted_changes_nothing(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert config_from_env().transport == "direct"


def test_a_transport_that_is_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("TIMEBACK_TRANSPORT", "direct")

    assert config_from_env().transport == "direct"


def test_a_proxy_that_is_not_supported_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:canary@proxy.example:1080")

    with pytest.raises(ConfigError, match="HTTPS_PROXY: only proxies") as caught:
        config_from_env()

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "trusted"), [("1", True), ("True", True), ("0", False), ("", False)]
)
def test_the_environment_says_whether_to_trust_it(text: str, trusted: bool) -> None:
    environ: Any = {
        "TIMEBACK_CLIENT_ID": "me", "TIMEBACK_CLIENT_SECRET": "mine", "TIMEBACK_TRUST_ENV": text
    }  # fmt: skip

    assert Config.from_env(environ).trust_env is trusted


def test_anything_else_about_trust_is_refused_by_name() -> None:
    environ = {
        "TIMEBACK_CLIENT_ID": "me", "TIMEBACK_CLIENT_SECRET": "mine", "TIMEBACK_TRUST_ENV": "maybe"
    }  # fmt: skip

    with pytest.raises(ConfigError, match="TIMEBACK_TRUST_ENV: must be true or false"):
        Config.from_env(environ)


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
