"""The settings of a command: the library's, from the environment, over the faster transport."""

import os
from typing import Any

from .._config import Config

__all__ = ["config_from_env"]


def config_from_env(**settings: Any) -> Config:
    """Return what `Config.from_env` does; "direct" sends where TIMEBACK_TRANSPORT does not say.

    Args:
        **settings: Fields of `Config`.

    Raises:
        ConfigError: Variables are missing or wrong; the message names each.
    """
    if not os.environ.get("TIMEBACK_TRANSPORT", "").strip():
        settings.setdefault("transport", "direct")
    return Config.from_env(**settings)
