"""The settings of a command: the library's, from the environment, over the faster transport."""

import os
from typing import Any

from .._config import Config
from ..errors import ConfigError

__all__ = ["config_from_env"]


def config_from_env(**options: Any) -> Config:
    """Return what `Config.from_env` does; "direct" sends where TIMEBACK_TRANSPORT does not say.

    Args:
        **options: Fields of `Config` that options of the command set.

    Raises:
        ConfigError: Variables or options are missing or wrong; the message names each, an option
            by its flag.
    """
    settings = dict(options)
    if not os.environ.get("TIMEBACK_TRANSPORT", "").strip():
        settings["transport"] = "direct"
    try:
        return Config.from_env(**settings)
    except ConfigError as error:
        error.args = tuple(_by_flag(line, options) for line in error.args)
        raise


def _by_flag(line: str, options: dict[str, Any]) -> str:
    name, colon, rule = line.partition(":")
    return f"--{name.replace('_', '-')}{colon}{rule}" if name in options else line
