"""`fleet`: the options; the work is in `_fleet_run`."""

from pathlib import Path
from typing import Annotated

import typer

from ._exit import exit_with
from ._options import (
    Accept,
    AllowNewIds,
    AsJson,
    DateFormat,
    DeactivateAbsent,
    DefaultOrg,
    Encoding,
    Grades,
    Layout,
    MaxInFlight,
    MaxRate,
    MaxRemovals,
    Mode,
    OrgMap,
    Panel,
    Relationship,
    Resend,
    Strict,
    Today,
    UnlinkAbsent,
    accepted,
    given,
)

__all__ = ["fleet"]


def fleet(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…",
            help="Partitions (.parquet, .arrow; paths, or URLs of an object store), or districts "
            "(zip, folder, .csv, .jsonl), or a folder of either.",
        ),
    ],
    workers: Annotated[
        int,
        typer.Option(min=1, help="Processes on this machine.", rich_help_panel=Panel.SENDING),
    ] = 2,
    lanes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many of them send at once.  [default: all, 8 at most]",
            rich_help_panel=Panel.SENDING,
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            help="Folder, or URL of an object store, for outcomes and pages. Use one per run of "
            "partitions.",
            rich_help_panel=Panel.OUTPUT,
        ),
    ] = "fleet-out",
    states: Annotated[
        Path,
        typer.Option(help="Folder with the state of each district.", rich_help_panel=Panel.STATE),
    ] = Path("fleet-states"),
    layout: Layout = None,
    org_map: OrgMap = None,
    default_org: DefaultOrg = None,
    grades: Grades = "ceds-to-timeback",
    relationship: Relationship = None,
    date_format: DateFormat = None,
    encoding: Encoding = None,
    mode: Mode = None,
    today: Today = None,
    strict: Strict = False,
    accept: Accept = None,
    deactivate_absent: DeactivateAbsent = False,
    unlink_absent: UnlinkAbsent = False,
    max_removals: MaxRemovals = "5%",
    allow_new_ids: AllowNewIds = False,
    resend: Resend = False,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    json: AsJson = False,
) -> None:
    """Send many partitions of records, or sync many districts, from several processes.

    All of them together keep to one --max-in-flight and --max-rate. The same command again
    continues where it ended. The options of reading and of removals are for districts. A single
    roster needs no fleet: see `sync`.

    Example: timeback-async fleet partitions/ --workers 4 --max-rate 200
    """
    from ..sync import ReadOptions
    from ._fleet_run import run_fleet
    from ._sync_run import Comparing

    options = ReadOptions(
        strict=strict,
        encoding=encoding,
        layout=layout,
        org_map=org_map,
        default_org=default_org,
        grades=grades,
        relationship=relationship,
        date_format=date_format,
        mode=mode,
        accept=accepted(accept),
        today=today.date() if today else None,
    )
    comparing = Comparing(deactivate_absent, unlink_absent, max_removals, allow_new_ids, resend)
    settings = given(max_in_flight=max_in_flight, max_rate=max_rate)
    exit_with(
        lambda: run_fleet(
            paths,
            settings,
            options,
            comparing,
            workers=workers,
            lanes=lanes,
            folder=out,
            states=states,
            json=json,
        )
    )
