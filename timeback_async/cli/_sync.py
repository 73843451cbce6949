"""`sync`: the options; the work is in `_sync_run`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ._exit import exit_with_async
from ._options import (
    DEFAULT_STATE,
    Accept,
    AllowNewIds,
    AsJson,
    DateFormat,
    DeactivateAbsent,
    DefaultOrg,
    DryRun,
    Encoding,
    FindingsPath,
    Grades,
    Layout,
    LogFormatName,
    MaxInFlight,
    MaxRate,
    MaxRemovals,
    Mode,
    OrgMap,
    OutcomesPath,
    Panel,
    Relationship,
    ReportPath,
    Resend,
    Strict,
    Today,
    UnlinkAbsent,
    accepted,
    check_files,
    given,
)

__all__ = ["sync"]


def sync(
    path: Annotated[
        Path,
        typer.Argument(help="OneRoster package (zip or folder), .csv, .jsonl or .parquet."),
    ],
    state: Annotated[
        Path,
        typer.Option(
            help="File that remembers earlier runs. Use one per roster.",
            rich_help_panel=Panel.STATE,
        ),
    ] = DEFAULT_STATE,
    state_ids: Annotated[
        Literal["hashed", "plain"] | None,
        typer.Option(
            help="How a new state stores ids.  [default: hashed]", rich_help_panel=Panel.STATE
        ),
    ] = None,
    resend: Resend = False,
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
    dry_run: DryRun = False,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    failures: Annotated[
        Path | None,
        typer.Option(
            help="Write the records that were not saved to this .jsonl file.",
            rich_help_panel=Panel.OUTPUT,
        ),
    ] = None,
    outcomes: OutcomesPath = None,
    findings: FindingsPath = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            help="Write the whole plan, a change per line, to this .jsonl file, also if the plan "
            "is refused.",
            rich_help_panel=Panel.OUTPUT,
        ),
    ] = None,
    report: ReportPath = None,
    log_format: LogFormatName = None,
    json: AsJson = False,
) -> None:
    """Bring TimeBack up to date with a school's roster.

    Only new and changed records are sent. Run the same command every night, and again after a
    crash.

    Example: timeback-async sync export.zip --dry-run --plan plan.jsonl
    """
    written = {
        "--state": state, "--failures": failures, "--outcomes": outcomes, "--findings": findings,
        "--plan": plan, "--report": report,
    }  # fmt: skip
    check_files([path], written)
    from ..sync import ReadOptions
    from ._job import Outputs
    from ._sync_run import Comparing, Sync

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
    outputs = Outputs(
        failures=failures, outcomes=outcomes, findings=findings, plan=plan, report=report,
        json=json, log_format=log_format, dry_run=dry_run,
    )  # fmt: skip
    job = Sync(
        path,
        state,
        state_ids,
        given(max_in_flight=max_in_flight, max_rate=max_rate),
        options,
        Comparing(deactivate_absent, unlink_absent, max_removals, allow_new_ids, resend),
        outputs,
    )
    exit_with_async(job())
