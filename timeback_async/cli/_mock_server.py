"""`mock-server`: run a TimeBack server in memory until Ctrl-C."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
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
    while_stdin: Annotated[
        bool, typer.Option("--while-stdin", help="End when standard input does.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Run a TimeBack server in memory, for trying things out.

    It listens on loopback and prints the settings for its clients. It runs until Ctrl-C, so use
    another terminal.

    Example: timeback-async mock-server --port 8080 --faults some
    """
    changes = given(latency=latency, token_lifetime=token_lifetime)
    exit_with_async(_mock_server(port, faults, seed, changes, while_stdin, json))


async def _mock_server(
    port: int, faults: str, seed: int, changes: dict[str, float], while_stdin: bool, json: bool
) -> int:
    from ..testing import Faults, MockServer
    from ._signals import on_signals

    stopped = asyncio.Event()
    on_signals(lambda number: stopped.set())
    if while_stdin:
        _at_end_of_stdin(stopped.set)
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


def _at_end_of_stdin(act: Callable[[], None]) -> None:
    """Call `act` on this loop when standard input ends: whoever held its other end is gone."""
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def wait() -> None:
        # Not `sys.stdin`: its lock would hold up the end of Python.
        all(iter(lambda: os.read(stdin, 1024), b""))
        with suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(act)

    threading.Thread(target=wait, daemon=True).start()


def _print_settings(settings: dict[str, str], faults: str, json: bool) -> None:
    from ._screen import err, print_json

    if json:
        print_json(settings)
    else:
        for name, value in settings.items():
            print(f"export TIMEBACK_{name.upper()}={value}")
        err.print(f"Listening with faults {faults!r}; stop it with Ctrl-C.")
    sys.stdout.flush()
