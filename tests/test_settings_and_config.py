import copy
import math
import pickle
from typing import Any

import msgspec
import pytest

from timeback_async import Config, RetryPolicy, __version__
from timeback_async._config import ENVIRONMENTS
from timeback_async._settings import Count, Seconds, problems
from timeback_async.errors import ConfigError

SECRET = "canary-of-a-secret"


def config(**settings: Any) -> Config:
    return Config(**({"client_id": "app-1", "client_secret": SECRET} | settings))


def environ(**variables: str) -> dict[str, str]:
    return {"TIMEBACK_CLIENT_ID": "app-1", "TIMEBACK_CLIENT_SECRET": SECRET} | {
        f"TIMEBACK_{name}": value for name, value in variables.items()
    }


class Knobs(msgspec.Struct, frozen=True):
    size: Count = 1
    wait: Seconds = 0.0
    share: float = 0.5
    names: tuple[str, ...] = ()


# -- the check itself


def test_settings_that_fit_have_no_problems() -> None:
    assert problems(Knobs(2, 1.5, 0.1, ("a",))) == []


def test_every_setting_that_does_not_fit_has_a_line_with_its_name() -> None:
    knobs = Knobs(size=0, wait="1", names=("a", 5))  # type: ignore[arg-type]

    assert problems(knobs, "knobs.") == [
        "knobs.size: Expected `int` >= 1",
        "knobs.wait: Expected `float`, got `str`",
        "knobs.names: Expected `str`, got `int` - at `$[1]`",
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e10, 10**400])
def test_a_number_of_seconds_is_finite_and_not_negative(value: float) -> None:
    assert len(problems(Knobs(wait=value))) == 1


def test_a_number_is_a_number_even_where_no_bounds_are_set() -> None:
    assert problems(Knobs(share=math.nan)) == ["share: Expected a number"]


def test_a_list_becomes_the_tuple_that_is_asked_for() -> None:
    knobs = Knobs(names=["a", "b"])  # type: ignore[arg-type]

    assert problems(knobs) == []
    assert knobs.names == ("a", "b")


# -- Config


def test_two_settings_are_enough() -> None:
    settings = config()

    assert msgspec.structs.asdict(settings) == {
        "client_id": "app-1",
        "client_secret": SECRET,
        "base_url": "https://platform.timeback.com",
        "token_url": None,
        "token_auth": "basic",
        "scopes": None,
        "max_in_flight": 64,
        "max_rate": None,
        "processes": 1,
        "adaptive": True,
        "attempt_timeout": 30.0,
        "deadline": 120.0,
        "retry": RetryPolicy(),
        "keepalive": 4.0,
        "max_response_bytes": 1024 * 1024,
        "allow_insecure_localhost": True,
        "trust_env": False,
        "user_agent": settings.user_agent,
        "transport": "aiohttp",
    }
    assert settings.user_agent.startswith(f"timeback-async/{__version__} Python/3.")


def test_the_retry_policy_begins_as_documented() -> None:
    assert msgspec.structs.asdict(RetryPolicy()) == {
        "attempts": 8,
        "initial": 0.25,
        "throttle_initial": 1.0,
        "ceiling": 20.0,
        "patience": 300.0,
    }


def test_neither_repr_nor_str_nor_a_pretty_printer_shows_a_secret() -> None:
    settings = config()

    shown = [repr(settings), str(settings), f"{settings}", repr([settings])]
    pretty = repr(list(settings.__rich_repr__()))

    assert shown[0] == "Config(base_url='https://platform.timeback.com', …)"
    assert SECRET not in "".join(shown)
    assert SECRET not in pretty


def test_settings_survive_pickling_and_copying() -> None:
    settings = config(scopes=("a", "b"), retry=RetryPolicy(attempts=3), base_url="https://h/api/")

    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301
    assert copy.deepcopy(settings) == settings


def test_settings_cannot_be_changed() -> None:
    settings: Any = config()

    with pytest.raises(AttributeError):
        settings.max_in_flight = 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_id", ""),
        ("client_id", None),
        ("client_id", "app\n1"),
        ("client_secret", ""),
        ("client_secret", SECRET.encode()),
        ("client_secret", SECRET + "\r\n"),
        ("base_url", 5),
        ("token_url", b"https://h"),
        ("token_auth", "header"),
        ("scopes", "roster.readonly"),
        ("scopes", ()),
        ("scopes", ("",)),
        ("scopes", ("a b",)),
        ("scopes", ("a\n",)),
        ("scopes", (5,)),
        ("max_in_flight", 0),
        ("max_in_flight", 1.5),
        ("max_in_flight", True),
        ("max_in_flight", "64"),
        ("max_rate", 0),
        ("max_rate", -1.0),
        ("max_rate", math.inf),
        ("max_rate", math.nan),
        ("adaptive", 1),
        ("attempt_timeout", 0),
        ("attempt_timeout", None),
        ("deadline", math.nan),
        ("deadline", 10**400),
        ("retry", None),
        ("retry", 3),
        ("keepalive", 0.0),
        ("max_response_bytes", 0),
        ("allow_insecure_localhost", "no"),
        ("trust_env", None),
        ("user_agent", ""),
        ("user_agent", "a\r\nX-Header: b"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is(name: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**{name: value})

    assert str(caught.value).startswith(f"{name}: ")
    assert ";" not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"^max_in_flight: .*; max_rate: .*; deadline: "):
        config(max_in_flight=0, max_rate=0, deadline=0)


def test_texts_and_urls_that_are_wrong_are_named_together() -> None:
    with pytest.raises(ConfigError, match=r"^client_id: .*; base_url: .*; token_url: .*; scopes: "):
        config(client_id="", base_url="nowhere", token_url="nowhere", scopes=[""])


@pytest.mark.parametrize(
    "url",
    [
        "https://platform.timeback.com",
        "https://gateway.example.com:8443/api",
        "HTTPS://Example.com",
        "https://[2001:db8::1]/api",
        "http://localhost:8080",
        "http://LOCALHOST",
        "http://127.0.0.1:1",
        "http://127.8.8.8",
        "http://[::1]:8080",
    ],
)
def test_https_is_taken_anywhere_and_http_on_loopback(url: str) -> None:
    settings = config(base_url=url, token_url=url)

    assert (settings.base_url, settings.token_url) == (url, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nowhere",
        "platform.timeback.com",
        "//platform.timeback.com",
        "https://",
        "https:///rostering",
        "https://:443",
        "https://host:port",
        "https://host:99999",
        "https://[::1",
        "https://hôst.example",
        "https://host/a b",
        "https://host/a\n",
        "https://ada:pw@host",
        "https://ada@host",
        "https://@host",
        "https://host?x=1",
        "https://host#f",
        "https://host?",
        "https://host#",
        "ftp://host",
        "file:///etc/passwd",
        "http://platform.timeback.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
    ],
)
@pytest.mark.parametrize("name", ["base_url", "token_url"])
def test_a_url_that_is_wrong_or_unsafe_is_refused(name: str, url: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}: "):
        config(**{name: url})


def test_the_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        config(base_url=f"https://ada:{SECRET}@host")

    assert SECRET not in str(caught.value)


def test_plain_http_on_loopback_can_be_forbidden() -> None:
    with pytest.raises(ConfigError, match="must begin with https://"):
        config(base_url="http://localhost", allow_insecure_localhost=False)


@pytest.mark.parametrize(
    ("base_url", "token_url", "endpoint"),
    [
        ("https://host", None, "https://host/auth/1.0/token"),
        ("https://host/", None, "https://host/auth/1.0/token"),
        ("https://host/api//", None, "https://host/api/auth/1.0/token"),
        ("https://host/api", "https://id.example/token/", "https://id.example/token/"),
    ],
)
def test_tokens_come_from_the_base_url_unless_told_otherwise(
    base_url: str, token_url: str | None, endpoint: str
) -> None:
    assert config(base_url=base_url, token_url=token_url).token_endpoint == endpoint


def test_scopes_may_be_a_list_and_numbers_may_be_whole() -> None:
    settings = config(scopes=["a", "b"], deadline=60, max_rate=5)

    assert settings.scopes == ("a", "b")
    assert isinstance(settings.deadline, float)
    assert isinstance(settings.max_rate, float)


# -- Config.from_env


def test_the_environment_gives_every_setting_it_may() -> None:
    settings = Config.from_env(
        environ(
            BASE_URL="https://host/api",
            TOKEN_URL="https://id.example/token",
            MAX_IN_FLIGHT=" 8 ",
            MAX_RATE="2.5",
        )
    )

    assert settings == config(
        base_url="https://host/api",
        token_url="https://id.example/token",
        max_in_flight=8,
        max_rate=2.5,
    )


def test_the_environment_of_the_process_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(MAX_IN_FLIGHT="8").items():
        monkeypatch.setenv(name, value)

    assert Config.from_env().max_in_flight == 8


@pytest.mark.parametrize(
    ("environment", "base_url"),
    [
        ("production", "https://platform.timeback.com"),
        ("staging", "https://platform.dev.timeback.com"),
        ("sandbox", "https://sandbox.platform.timeback.com"),
        ("", "https://platform.timeback.com"),
    ],
)
def test_an_environment_has_its_base_url(environment: str, base_url: str) -> None:
    assert Config.from_env(environ(ENVIRONMENT=environment)).base_url == base_url


def test_a_base_url_wins_over_an_environment() -> None:
    settings = Config.from_env(environ(ENVIRONMENT="staging", BASE_URL="https://host"))

    assert settings.base_url == "https://host"


def test_an_argument_wins_over_the_environment() -> None:
    wrong = environ(MAX_IN_FLIGHT="many", BASE_URL="nowhere")

    settings = Config.from_env(wrong, max_in_flight=3, base_url="https://host", deadline=9.0)

    assert settings == config(max_in_flight=3, base_url="https://host", deadline=9.0)


def test_an_empty_variable_counts_as_unset() -> None:
    settings = Config.from_env(environ(MAX_RATE="", TOKEN_URL=" ", BASE_URL=""))

    assert settings == config()


def test_all_that_is_missing_or_wrong_is_named_in_one_error() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env(
            {
                "TIMEBACK_CLIENT_SECRET": " ",
                "TIMEBACK_ENVIRONMENT": "moon",
                "TIMEBACK_MAX_IN_FLIGHT": "many",
                "TIMEBACK_MAX_RATE": "nan",
                "TIMEBACK_TOKEN_URL": "http://example.com",
            }
        )

    text = str(caught.value)
    assert "TIMEBACK_CLIENT_ID: is not set" in text
    assert "TIMEBACK_CLIENT_SECRET: is not set" in text
    assert f"TIMEBACK_ENVIRONMENT: must be one of {', '.join(ENVIRONMENTS)}" in text
    assert "TIMEBACK_MAX_IN_FLIGHT: must be a number" in text
    assert "TIMEBACK_MAX_RATE: Expected" in text


def test_a_wrong_url_in_the_environment_is_named_even_when_the_credentials_are_missing() -> None:
    with pytest.raises(ConfigError, match=r"TIMEBACK_CLIENT_ID: is not set; .*TIMEBACK_BASE_URL: "):
        Config.from_env({"TIMEBACK_BASE_URL": "nowhere"})


@pytest.mark.parametrize("number", ["many", "1.5", "", "0x10", "9" * 5000])
def test_a_number_that_is_none_is_named_by_its_variable(number: str) -> None:
    given = environ(MAX_IN_FLIGHT=number or "-")

    with pytest.raises(ConfigError, match=r"^TIMEBACK_MAX_IN_FLIGHT: must be a number$"):
        Config.from_env(given)


def test_a_secret_that_is_wrong_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env(environ(CLIENT_SECRET=f"{SECRET}\x00", MAX_RATE="0"))

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({}, "https://platform.timeback.com/auth/1.0/token"),
        ({"base_url": "https://a.example/api/"}, "https://a.example/api/auth/1.0/token"),
        ({"token_url": "https://b.example"}, "https://b.example/"),
        ({"token_url": "https://b.example/oauth"}, "https://b.example/oauth"),
    ],
)
def test_the_token_endpoint_is_under_the_base_unless_it_is_given(
    settings: dict[str, str], endpoint: str
) -> None:
    assert config(**settings).token_endpoint == endpoint


# -- several processes


def test_shares_add_up_to_the_whole() -> None:
    whole = config(max_in_flight=64, max_rate=300.0, attempt_timeout=7)

    share = whole.share(3)

    assert (share.max_in_flight, share.max_rate) == (21, 100.0)
    assert whole.share(1) == whole
    assert config(max_in_flight=64).share(64).max_in_flight == 1
    assert config().share(4).max_rate is None
    assert share.processes == 3
    assert share.share(2).processes == 6
    assert msgspec.structs.replace(share, max_in_flight=64, max_rate=300.0, processes=1) == whole


@pytest.mark.parametrize("parts", [0, -1, 2.0, True, 65, "2"])
def test_a_share_of_less_than_one_request_is_refused(parts: Any) -> None:
    with pytest.raises(ConfigError, match=r"share: must be|max_in_flight: 64 cannot be divided"):
        config(max_in_flight=64).share(parts)


def test_where_the_credentials_go_may_come_from_the_environment() -> None:
    keys = {"TIMEBACK_CLIENT_ID": "a", "TIMEBACK_CLIENT_SECRET": "b"}

    assert Config.from_env(keys | {"TIMEBACK_TOKEN_AUTH": "body"}).token_auth == "body"
    with pytest.raises(ConfigError, match="TIMEBACK_TOKEN_AUTH"):
        Config.from_env(keys | {"TIMEBACK_TOKEN_AUTH": "header"})
