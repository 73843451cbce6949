"""The settings of a command: the library's, from the environment, as curl and pip read it.

A command goes through the proxy that the environment names; where there is none, it uses the
faster transport.
"""

import os
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from .._config import Config
from .._transport.base import origin_of
from .._transport.proxy import address_of, named_proxy
from ..errors import ConfigError

__all__ = ["config_from_env", "proxies_of"]


def config_from_env(**options: Any) -> Config:
    """Return what `Config.from_env` does, with the environment's proxy and the best transport.

    TIMEBACK_TRUST_ENV and TIMEBACK_TRANSPORT decide where they are set.

    Args:
        **options: Fields of `Config` that options of the command set.

    Raises:
        ConfigError: Variables or options are missing or wrong; the message names each, an option
            by its flag.
    """
    settings = dict(options)
    _check_certificates()
    if not _is_set("TIMEBACK_TRUST_ENV"):
        settings.setdefault("trust_env", True)
    try:
        config = Config.from_env(**settings)
    except ConfigError as error:
        error.args = tuple(_by_flag(line, options) for line in error.args)
        raise
    # "direct" knows no proxies. Whoever asks for it by name is told so, and not sent elsewhere.
    if _is_set("TIMEBACK_TRANSPORT") or "transport" in settings or proxies_of(config):
        return config
    return replace(config, transport="direct")


def proxies_of(config: Config) -> dict[str, str]:
    """Return the proxies that are used: host and port of each, and the variable that names it.

    Raises:
        ConfigError: A proxy is not of a form that is supported.
    """
    origins = (origin_of(config.base_url), origin_of(config.token_endpoint))
    found = map(named_proxy, origins) if config.trust_env else ()
    return {address_of(proxy): variable for proxy, variable in filter(None, found)}


def _check_certificates() -> None:
    """Refuse a file of certificates that is not there, of which OpenSSL says nothing."""
    name = os.environ.get("SSL_CERT_FILE", "")
    if name and not Path(name).is_file():
        raise ConfigError(f"SSL_CERT_FILE: {name}: there is no such file")


def _is_set(variable: str) -> bool:
    return bool(os.environ.get(variable, "").strip())


def _by_flag(line: str, options: dict[str, Any]) -> str:
    name, colon, rule = line.partition(":")
    return f"--{name.replace('_', '-')}{colon}{rule}" if name in options else line
