"""All settings, checked when they are built."""

import os
import platform
from collections.abc import Mapping
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
    """Where TimeBack is, who we are there, and how hard and how long we try. Secrets stay hidden.

    Attributes:
        client_id: OAuth 2.0 client id.
        client_secret: OAuth 2.0 client secret.
        base_url: Where `/rostering/1.0` begins; may carry a path prefix. https, but for loopback.
        token_url: Where tokens are asked for; None for `base_url` + `/auth/1.0/token`.
        token_auth: How the credentials go there: "basic" (a header) or "body" (the form).
        scopes: Scopes to ask for in one token used for everything; None for each operation's own.
        max_in_flight: The most requests in flight at once, 1 or more.
        max_rate: The most requests a second, or None for no bound.
        adaptive: Find how many of `max_in_flight` the server takes, and send no more; False to
            send as many as that, but for a server's own long Retry-After.
        attempt_timeout: Seconds for one attempt, from admission to the last byte.
        deadline: Seconds for one single call with all its retries, from its first admission.
        retry: How often and how patiently a failed attempt is repeated.
        keepalive: Seconds an idle connection is kept; keep it below the server's.
        max_response_bytes: The longest answer read, decompressed.
        allow_insecure_localhost: Accept plain http for a loopback address.
        trust_env: Take proxy settings from the environment.
        user_agent: The User-Agent header.

    Raises:
        ConfigError: One or more settings are wrong; the message names each.
    """

    client_id: str
    client_secret: str
    base_url: str = ENVIRONMENTS["production"]
    token_url: str | None = None
    token_auth: Literal["basic", "body"] = "basic"
    scopes: tuple[str, ...] | None = None
    max_in_flight: Count = 64
    max_rate: Positive | None = None
    adaptive: bool = True
    attempt_timeout: Positive = 30.0
    deadline: Positive = 120.0
    retry: RetryPolicy = RetryPolicy()
    keepalive: Positive = 4.0
    max_response_bytes: Count = 1024 * 1024
    allow_insecure_localhost: bool = True
    trust_env: bool = False
    user_agent: str = USER_AGENT

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
                    wrong.append("scopes: each must be one scope, without blanks")
            if self.scopes == ():
                wrong.append("scopes: name at least one, or None for each operation's own")
        if wrong:
            raise ConfigError("; ".join(wrong))
        force_setattr(self, "base_url", self.base_url.rstrip("/"))

    @property
    def token_endpoint(self) -> str:
        """The URL that tokens are asked for."""
        url = self.token_url or self.base_url + TOKEN_PATH
        return url if urlsplit(url).path else url + "/"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **settings: Any) -> Self:
        """Return the settings from TIMEBACK_… environment variables; arguments win over them.

        Reads TIMEBACK_CLIENT_ID, TIMEBACK_CLIENT_SECRET, TIMEBACK_BASE_URL (or
        TIMEBACK_ENVIRONMENT=production|staging|sandbox), TIMEBACK_TOKEN_URL,
        TIMEBACK_MAX_IN_FLIGHT and TIMEBACK_MAX_RATE. An empty variable counts as unset.

        Raises:
            ConfigError: Something is missing or wrong; the message names all of it.
        """
        wrong = []
        for name, convert in _VARIABLES.items():
            text = environ.get(f"TIMEBACK_{name.upper()}", "").strip()
            if name in settings or not text:
                continue
            try:
                settings[name] = convert(text)
            except ValueError:
                wrong.append(f"TIMEBACK_{name.upper()}: must be a number")
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
            wrong.append(str(error))
        if wrong:
            raise ConfigError("; ".join(wrong))
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
            return [f"{name}: must not hold credentials, a query or a fragment"]
        insecure = self.allow_insecure_localhost and parts.scheme == "http" and _is_loopback(host)
        if parts.scheme != "https" and not insecure:
            return [f"{name}: must begin with https:// (http:// is for loopback addresses only)"]
        return []

    def __repr__(self) -> str:
        return f"Config(base_url={self.base_url!r}, …)"

    def __rich_repr__(self) -> Any:
        yield "base_url", self.base_url


_VARIABLES = {
    "client_id": str,
    "client_secret": str,
    "base_url": str,
    "token_url": str,
    "max_in_flight": int,
    "max_rate": float,
}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
