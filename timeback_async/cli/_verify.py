"""`verify`: the options; the work is in `_verify_run`."""

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
    Panel,
    Relationship,
    ReportPath,
    Strict,
    Today,
    accepted,
    check_files,
    given,
)

__all__ = ["verify"]


def verify(
    path: Annotated[
        Path,
        typer.Argument(help="OneRoster package (zip or folder), .csv, .jsonl or .parquet."),
    ],
    one_way: Annotated[
        bool,
        typer.Option(
            "--one-way", help="Leave alone what is only at TimeBack, such as other schools."
        ),
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Compare only N people, chosen at random."),
    ] = None,
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
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Count the requests, send nothing.", rich_help_panel=Panel.SENDING
        ),
    ] = False,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    failures: Annotated[
        Path | None,
        typer.Option(
            help="Write what is missing or different at TimeBack to this .jsonl file; `upsert` "
            "sends it.",
            rich_help_panel=Panel.OUTPUT,
        ),
    ] = None,
    findings: FindingsPath = None,
    report: ReportPath = None,
    log_format: LogFormatName = None,
    json: AsJson = False,
) -> None:
    """Compare what TimeBack has with a school's roster. Nothing is changed there.

    Prints ids and names of fields, never a value. Exit code 1 if anything is missing, different
    or only at TimeBack.

    Example: timeback-async verify export.zip --report verify.html
    """
    check_files([path], {"--failures": failures, "--findings": findings, "--report": report})
    from ..sync import ReadOptions
    from ._verify_run import Outputs, run_verify

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
    settings = given(max_in_flight=max_in_flight, max_rate=max_rate)
    outputs = Outputs(failures, findings, report, json, log_format, dry_run)
    exit_with_async(run_verify(path, options, settings, outputs, one_way=one_way, sample=sample))
