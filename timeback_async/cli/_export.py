"""`export`: the options; the work is in `_export_run`."""

from pathlib import Path
from typing import Annotated

import typer

from ._exit import exit_with_async
from ._options import AsJson, MaxInFlight, MaxRate, Panel, given

__all__ = ["export"]


def export(
    out: Annotated[
        Path | None,
        typer.Option(
            help="The .jsonl or .parquet file to write; readable by you alone. Without it, JSON "
            "Lines go to the standard output, unless that is a screen.",
            rich_help_panel=Panel.OUTPUT,
        ),
    ] = None,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    json: AsJson = False,
) -> None:
    """Write every user and every link at TimeBack to a file, which `upsert` sends back.

    A backup before a risky run. What answers do not show is not in it: passwords, and mostly
    birth dates and pronouns.

    Example: timeback-async export --out backup.jsonl
    """
    if out is None and json:
        raise typer.BadParameter("--json needs --out: both would go to the standard output")
    from ._export_run import run_export

    settings = given(max_in_flight=max_in_flight, max_rate=max_rate)
    exit_with_async(run_export(out, settings, as_json=json))
