"""`upsert`: the options; the work is in `_upsert_run`."""

from pathlib import Path
from typing import Annotated

import typer

from ._exit import exit_with_async
from ._options import (
    Accept,
    AsJson,
    DateFormat,
    DefaultOrg,
    Encoding,
    FindingsPath,
    Grades,
    Layout,
    LogFormatName,
    MaxInFlight,
    MaxRate,
    Mode,
    OrgMap,
    OutcomesPath,
    Relationship,
    Strict,
    Today,
    accepted,
    check_files,
    given,
)

__all__ = ["upsert"]


def upsert(
    files: Annotated[
        list[Path],
        typer.Argument(
            help=".jsonl files with records in wire form; .csv or .parquet files; OneRoster "
            "packages (zip or folder)."
        ),
    ],
    layout: Layout = None,
    org_map: OrgMap = None,
    default_org: DefaultOrg = None,
    primary_org: Annotated[
        str | None,
        typer.Option(help="TimeBack's id of the org for everybody in a table, whatever it says."),
    ] = None,
    grades: Grades = "ceds-to-timeback",
    relationship: Relationship = None,
    date_format: DateFormat = None,
    encoding: Encoding = None,
    mode: Mode = None,
    today: Today = None,
    strict: Strict = False,
    accept: Accept = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, send nothing.")
    ] = False,
    failures: Annotated[
        Path | None,
        typer.Option(
            help="Write the records that were not saved to this .jsonl file, which can be sent "
            "again. It includes records that were never read because the run ended early."
        ),
    ] = None,
    outcomes: OutcomesPath = None,
    findings: FindingsPath = None,
    log_format: LogFormatName = None,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    json: AsJson = False,
) -> None:
    """Create or update all records in files, without a state.

    Every record gets one result.
    """
    written = {"--failures": failures, "--outcomes": outcomes, "--findings": findings}
    check_files(files, written)
    if primary_org is not None and (org_map is not None or default_org is not None):
        raise typer.BadParameter("--primary-org leaves nothing for --org-map and --default-org")
    from ..sync import ReadOptions
    from ._upsert_run import Outputs, run_upsert

    options = ReadOptions(
        strict=strict,
        encoding=encoding,
        layout=layout,
        # No org of the files is in an empty map, so the default stands in for each.
        org_map={} if primary_org is not None else org_map,
        default_org=primary_org or default_org,
        grades=grades,
        relationship=relationship,
        date_format=date_format,
        mode=mode,
        accept=accepted(accept),
        today=today.date() if today else None,
    )
    settings = given(max_in_flight=max_in_flight, max_rate=max_rate)
    outputs = Outputs(failures, outcomes, findings, json, log_format, dry_run)
    exit_with_async(run_upsert(files, options, settings, outputs))
