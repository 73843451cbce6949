"""Choose the transport of a session."""

import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._config import Config
from ..errors import ConfigError
from .aiohttp import AiohttpTransport
from .base import Transport

if TYPE_CHECKING:
    from aiohttp import TraceConfig

__all__ = ["transport_for"]


def transport_for(
    config: Config, ssl_context: ssl.SSLContext | None, trace_configs: "Sequence[TraceConfig]" = ()
) -> Transport:
    """Return the transport that a configuration asks for, on the running event loop.

    Raises:
        ConfigError: It cannot do what is asked of it, or its libraries are not installed.
    """
    if config.transport == "aiohttp":
        return AiohttpTransport(config, ssl_context, trace_configs)
    try:
        from .direct import DirectTransport
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f'transport: "direct" needs {missing.name}: pip install "timeback-async[fast]"'
        ) from None
    return DirectTransport(config, ssl_context)
