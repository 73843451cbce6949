"""Run what a test does over one transport or the other."""

import msgspec
import pytest

from timeback_async import Config
from timeback_async._transport import lanes
from timeback_async._transport.base import Transport

transport_for = lanes.transport_for
# For a test of what only aiohttp does, among tests that run on each lane.
ON_AIOHTTP = pytest.mark.parametrize("lane", ["aiohttp"], indirect=True)


def use(monkeypatch: pytest.MonkeyPatch, lane: str) -> None:
    """Let every session and every helper of the tests send over one lane."""

    def chosen(config: Config, *options: object) -> Transport:
        config = msgspec.structs.replace(config, transport=lane)
        return transport_for(config, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(lanes, "transport_for", chosen)
    monkeypatch.setattr("timeback_async._session.transport_for", chosen)
