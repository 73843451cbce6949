"""`mock-server`: run a TimeBack server in memory until Ctrl-C."""

import asyncio
import os
import sys
from typing import Annotated

import msgspec
import typer

from ..errors import ConfigError
from ._exit import EXIT, exit_with_async
from ._options import AsJson, FaultsName, Seed, given

__all__ = ["mock_server"]


def mock_server(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port; 0 for any free one.")
    ] = 8080,
    faults: FaultsName = "none",
    seed: Seed = 0,
    latency: Annotated[
        float | None, typer.Option(min=0, help="Seconds before each answer.")
    ] = None,
    token_lifetime: Annotated[
        float | None, typer.Option(min=0, help="Seconds for which a token is valid.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Run a TimeBack server in memory, for trying things out.

    It listens on loopback and prints the settings for its clients.
    """
    changes = given(latency=latency, token_lifetime=token_lifetime)
    exit_with_async(_mock_server(port, faults, seed, changes, json))


async def _mock_server(
    port: int, faults: str, seed: int, changes: dict[str, float], json: bool
) -> int:
    from ..testing import Faults, MockServer
    from ._signals import on_signals

    stopped = asyncio.Event()
    on_signals(stopped.set)
    wanted = msgspec.structs.replace(Faults.preset(faults, seed), **changes)
    try:
        async with MockServer(port=port, faults=wanted) as server:
            settings = {
                "base_url": server.base_url,
                "client_id": server.client_id,
                "client_secret": server.client_secret,
            }
            _print_settings(settings, faults, json)
            await stopped.wait()
    except OSError as error:
        raise ConfigError(
            f"--port: cannot listen on {port}: {os.strerror(error.errno or 0)}"
        ) from None
    return EXIT.OK


def _print_settings(settings: dict[str, str], faults: str, json: bool) -> None:
    from ._screen import err, print_json

    if json:
        print_json(settings)
    else:
        for name, value in settings.items():
            print(f"export TIMEBACK_{name.upper()}={value}")
        err.print(f"Listening with faults {faults!r}; stop it with Ctrl-C.")
    sys.stdout.flush()
