"""The settings of all workers together."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
from distributed import Client

from .._config import Config
from ..errors import ConfigError

__all__ = ["Fleet", "config_of"]

ENCRYPTED = ("tls://", "inproc://")  # a scheduler in this process needs no wire


class Fleet:
    """The settings of all workers together.

    Args:
        settings: None: each worker reads its own environment, as `Config.from_env` does. A mapping
            of fields of `Config` is used before the environment. A `Config`, or a mapping with
            `client_secret`, holds a secret, and needs a cluster with TLS.
        lanes: How many workers send at the same time, each with its share of `max_in_flight` and
            `max_rate`; None for one lane for each worker, 8 at most. There may be more workers than
            lanes. With fewer workers a part of the limits stays unused.

    Raises:
        ConfigError: `lanes` is not a whole number, 1 or more; or there are too many.
    """

    def __init__(
        self, settings: Config | Mapping[str, Any] | None = None, *, lanes: int | None = None
    ) -> None:
        if lanes is not None and (type(lanes) is not int or lanes < 1):
            raise ConfigError("lanes: must be a whole number, 1 or more")
        if isinstance(settings, Config):
            settings.share(lanes or 1)
        elif unknown := sorted(set(settings or ()) - set(Config.__struct_fields__)):
            raise ConfigError(f"settings: Config has no {', '.join(unknown)}")
        self.settings = settings if isinstance(settings, Config) else dict(settings or {})
        self.lanes = lanes

    def check(self, client: Client) -> None:
        """Refuse a client that cannot be used, or over which a secret would travel in the open.

        Raises:
            ConfigError: It is one.
        """
        if client.asynchronous:
            raise ConfigError("client: must not be asynchronous; call this in a thread")
        has_secret = isinstance(self.settings, Config) or "client_secret" in self.settings
        address = client.scheduler.address
        if has_secret and not address.startswith(ENCRYPTED):
            raise ConfigError(
                f"settings: hold a secret, and {address} is not encrypted; set the TIMEBACK_… "
                "variables on each worker instead, or start the cluster with a Security that has "
                "TLS"
            )

    @property
    def name(self) -> str:
        """A name for these settings: a digest, the same each time."""
        facts = msgspec.json.encode((self.lanes, self.settings), enc_hook=str, order="sorted")
        return f"timeback-async-{blake2b(facts, digest_size=8).hexdigest()}"

    def __repr__(self) -> str:
        return f"Fleet(lanes={self.lanes})"


def config_of(settings: Config | Mapping[str, Any]) -> Config:
    """Return the settings of a worker, in its own environment.

    Raises:
        ConfigError: Settings are missing or wrong.
    """
    return settings if isinstance(settings, Config) else Config.from_env(**settings)
