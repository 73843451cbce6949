"""All settings of a session, checked when a `Config` is built."""

import os
import platform
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import force_setattr

from ._retry import RetryPolicy
from ._settings import Count, Positive, problems
from ._version import __version__
from .errors import ConfigError

__all__ = ["ENVIRONMENTS", "Config"]

ENVIRONMENTS = {
    "production": "https://platform.timeback.com",
    "staging": "https://platform.dev.timeback.com",
    "sandbox": "https://sandbox.platform.timeback.com",
}
USER_AGENT = f"timeback-async/{__version__} Python/{platform.python_version()}"
TOKEN_PATH = "/auth/1.0/token"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the settings of a session: server, credentials, limits. The repr shows `base_url` alone.

    Attributes:
        client_id: OAuth 2.0 client id.
        client_secret: OAuth 2.0 client secret.
        base_url: URL that `/rostering/1.0` is appended to; it may have a path prefix. It begins
            with https, or with http for a loopback address.
        token_url: URL of the token endpoint; None for `base_url` + `/auth/1.0/token`.
        token_auth: Where the credentials go in a token request: "basic" (header) or "body" (form).
        scopes: Scopes of one token that serves every call; None for one token per scope, each
            with the scope of its operation.
        max_in_flight: The most requests in flight at once, 1 or more.
        max_rate: The most requests a second, or None for no limit. Token requests do not count.
        processes: Over how many processes the server's limits are divided; `share` sets it. With
            more than one, a throttled answer is always taken for a limit, never for chance.
        adaptive: Whether to find how many requests, up to `max_in_flight`, the server takes at
            once. False always allows `max_in_flight`, except during a long `Retry-After`, and every
            failure of a record of a bulk run counts against it, in outages too.
        attempt_timeout: Seconds for one attempt, from sending to the last byte of the answer.
        deadline: Seconds for a single call, from the moment it is made: waiting in line, for a
            token and for retries included. A record of a bulk run has `deadline` + `retry.patience`
            from its first turn.
        retry: How often, and after which waits, a failed attempt is repeated.
        keepalive: Seconds that an idle connection is kept. Choose less than the server does.
        max_response_bytes: The most bytes read of one answer, after decompression.
        allow_insecure_localhost: Whether plain http is accepted for a loopback address.
        trust_env: Whether to use the proxy that the environment names: HTTPS_PROXY or ALL_PROXY,
            unless NO_PROXY names the server. It is spoken to in HTTP, over http or https.
        user_agent: The User-Agent header.
        transport: What sends the requests: "aiohttp", or "direct", which takes less of the CPU. It
            needs the extra `fast`, and has neither proxies nor `trace_configs`.

    Raises:
        ConfigError: A setting is wrong. The message names every setting of the wrong type or
            range; if there is none, it names every setting with a wrong text.

    Source: TimeBack onboarding guide (base URL and token endpoint); RFC 6749 section 2.3.1
    (the two forms of `token_auth`).
    """

    client_id: str
    client_secret: str
    base_url: str = ENVIRONMENTS["production"]
    token_url: str | None = None
    token_auth: Literal["basic", "body"] = "basic"
    scopes: tuple[str, ...] | None = None
    max_in_flight: Count = 64
    max_rate: Positive | None = None
    processes: Count = 1
    adaptive: bool = True
    attempt_timeout: Positive = 30.0
    deadline: Positive = 120.0
    retry: RetryPolicy = RetryPolicy()
    keepalive: Positive = 4.0
    max_response_bytes: Count = 1024 * 1024
    allow_insecure_localhost: bool = True
    trust_env: bool = False
    user_agent: str = USER_AGENT
    transport: Literal["aiohttp", "direct"] = "aiohttp"

    def __post_init__(self) -> None:
        wrong = problems(self)
        if not wrong:
            for name in ("client_id", "client_secret", "user_agent"):
                if not getattr(self, name) or not getattr(self, name).isprintable():
                    wrong.append(f"{name}: must be one line of text, not empty")
            for name in ("base_url", "token_url"):
                if getattr(self, name) is not None:
                    wrong += self._check_url(name, getattr(self, name))
            for scope in self.scopes or ():
                if not scope or not scope.isprintable() or " " in scope:
                    wrong.append("scopes: each item must be one scope, without spaces")
            if self.scopes == ():
                wrong.append("scopes: name at least one, or None for the scope of each operation")
        if wrong:
            raise ConfigError(*wrong)
        force_setattr(self, "base_url", self.base_url.rstrip("/"))

    @property
    def token_endpoint(self) -> str:
        """The URL that token requests are sent to."""
        url = self.token_url or self.base_url + TOKEN_PATH
        return url if urlsplit(url).path else url + "/"

    def share(self, parts: int) -> Self:
        """Return the settings of one of several processes that together keep to these limits.

        `max_in_flight` and `max_rate` are divided: all processes together send what one may.

        Args:
            parts: The number of processes, 1 or more.

        Raises:
            ConfigError: `parts` is wrong, or less than one request would be left for a process.
        """
        if type(parts) is not int or parts < 1:
            raise ConfigError("share: must be a whole number of processes, 1 or more")
        if parts > self.max_in_flight:
            raise ConfigError(
                f"max_in_flight: {self.max_in_flight} cannot be divided among {parts} processes; "
                "each needs at least 1"
            )
        rate = None if self.max_rate is None else self.max_rate / parts
        in_flight = self.max_in_flight // parts
        return msgspec.structs.replace(
            self, max_in_flight=in_flight, max_rate=rate, processes=self.processes * parts
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **settings: Any) -> Self:
        """Return the settings from environment variables; keyword arguments override them.

        The variables are TIMEBACK_CLIENT_ID, TIMEBACK_CLIENT_SECRET, TIMEBACK_BASE_URL (or
        TIMEBACK_ENVIRONMENT=production|staging|sandbox), TIMEBACK_TOKEN_URL,
        TIMEBACK_TOKEN_AUTH=basic|body, TIMEBACK_MAX_IN_FLIGHT, TIMEBACK_MAX_RATE,
        TIMEBACK_TRUST_ENV (true or false) and TIMEBACK_TRANSPORT. An empty variable counts as not
        set.

        Args:
            environ: The environment variables.
            **settings: Fields of `Config`.

        Raises:
            ConfigError: Variables are missing or wrong; the message names each. See `Config`.
        """
        wrong: list[str] = []
        variables: dict[str, str] = {}
        for name, convert in _VARIABLES.items():
            variable = f"TIMEBACK_{name.upper()}"
            text = environ.get(variable, "").strip()
            if name in settings or not text:
                continue
            variables[name] = variable
            try:
                settings[name] = convert(text)
            except KeyError:
                wrong.append(f"{variable}: must be true or false")
            except ValueError:
                wrong.append(f"{variable}: must be a number")
        environment = environ.get("TIMEBACK_ENVIRONMENT", "").strip()
        if environment and "base_url" not in settings:
            if environment in ENVIRONMENTS:
                settings["base_url"] = ENVIRONMENTS[environment]
            else:
                wrong.append(f"TIMEBACK_ENVIRONMENT: must be one of {', '.join(ENVIRONMENTS)}")
        for name in ("client_id", "client_secret"):
            if name not in settings:
                wrong.append(f"TIMEBACK_{name.upper()}: is not set")
                settings[name] = "missing"
        try:
            config = cls(**settings)
        except ConfigError as error:
            for line in error.args:
                name, colon, rule = line.partition(":")
                wrong.append(variables.get(name, name) + colon + rule)
        if wrong:
            raise ConfigError(*wrong)
        return config

    def _check_url(self, name: str, url: str) -> list[str]:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            return [f"{name}: is not a URL"]
        if not host or not url.isascii() or not url.isprintable() or " " in url:
            return [f"{name}: must be an absolute URL in ASCII, such as https://example.com"]
        if parts.username is not None or "?" in url or "#" in url:
            return [f"{name}: must not contain credentials, a query or a fragment"]
        insecure = self.allow_insecure_localhost and parts.scheme == "http" and _is_loopback(host)
        if parts.scheme != "https" and not insecure:
            return [f"{name}: must begin with https:// (http:// is for loopback addresses only)"]
        return []

    def __repr__(self) -> str:
        return f"Config(base_url={self.base_url!r}, …)"

    def __rich_repr__(self) -> Any:
        yield "base_url", self.base_url


def _flag(text: str) -> bool:
    """Return what a text says, or raise a KeyError."""
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


_VARIABLES: dict[str, Callable[[str], Any]] = {
    "client_id": str,
    "client_secret": str,
    "base_url": str,
    "token_url": str,
    "token_auth": str,
    "max_in_flight": int,
    "max_rate": float,
    "trust_env": _flag,
    "transport": str,
}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
