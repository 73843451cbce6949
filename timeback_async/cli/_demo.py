"""`demo`: the options; the work is in `_demo_run`."""

from typing import Annotated

import typer

from ._exit import exit_with_async
from ._options import AsJson, FaultsName, Seed

__all__ = ["demo"]


def demo(
    records: Annotated[int, typer.Option(min=1, help="About how many records to send.")] = 5000,
    seed: Seed = 0,
    faults: FaultsName = "some",
    json: AsJson = False,
) -> None:
    """Send a made-up school to a mock server.

    The server fails now and then. At the end its records are compared with those sent.

    Example: timeback-async demo --records 20000 --faults storm
    """
    from ._demo_run import demonstrate

    exit_with_async(demonstrate(records, seed, faults, json))
