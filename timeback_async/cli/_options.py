"""Options that several commands share, and how options become settings."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = [
    "DEFAULT_STATE",
    "AsJson",
    "FaultsName",
    "MaxInFlight",
    "MaxRate",
    "Relationship",
    "Seed",
    "StatePath",
    "given",
]

DEFAULT_STATE = Path("timeback-state.db")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
FaultsName = Annotated[
    Literal["none", "some", "storm"], typer.Option("--faults", help="How often the server fails.")
]
MaxInFlight = Annotated[int | None, typer.Option(help="The most requests at once.")]
MaxRate = Annotated[float | None, typer.Option(help="The most requests per second.")]
Relationship = Annotated[
    str | None,
    typer.Option(help="Relationship type for agents who are not parent, guardian or relative."),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same run.")]
StatePath = Annotated[Path, typer.Option("--state", help="The state file of `sync`.")]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that have a value: the others keep the library's defaults."""
    return {name: value for name, value in options.items() if value is not None}
