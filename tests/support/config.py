"""The settings of a client whose server is not on any network."""

from typing import Any

from timeback_async import Config

BASE = "https://timeback.test"
SECRET = "secret-canary"


def config(**settings: Any) -> Config:
    return Config(**{"client_id": "me", "client_secret": SECRET, "base_url": BASE, **settings})
