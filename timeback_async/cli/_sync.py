"""`sync`: the options; the work is in `_sync_run`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ._exit import exit_with_async
from ._options import (
    DEFAULT_STATE,
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

__all__ = ["sync"]


def sync(
    path: Annotated[
        Path,
        typer.Argument(help="OneRoster package (zip or folder), .csv, .jsonl or .parquet."),
    ],
    state: Annotated[
        Path, typer.Option(help="File that remembers earlier runs. Use one per roster.")
    ] = DEFAULT_STATE,
    state_ids: Annotated[
        Literal["hashed", "plain"] | None,
        typer.Option(help="How a new state stores ids.  [default: hashed]"),
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
    deactivate_absent: Annotated[
        bool,
        typer.Option(
            "--deactivate-absent", help="Deactivate people who are missing from a full file."
        ),
    ] = False,
    unlink_absent: Annotated[
        bool,
        typer.Option("--unlink-absent", help="Delete links that are missing from a full file."),
    ] = False,
    max_removals: Annotated[
        str, typer.Option(help="Limit for removed people, and for removed links: N or P%.")
    ] = "5%",
    allow_new_ids: Annotated[
        bool,
        typer.Option(
            "--allow-new-ids",
            help="Send a full file though most known people are absent and most of its people are "
            "new, as when ids have changed their form.",
        ),
    ] = False,
    resend: Annotated[
        bool,
        typer.Option("--resend", help="Send all records, including those that have not changed."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, send nothing.")
    ] = False,
    failures: Annotated[
        Path | None, typer.Option(help="Write the records that were not saved to this .jsonl file.")
    ] = None,
    outcomes: OutcomesPath = None,
    findings: FindingsPath = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            help="Write the whole plan, a change per line, to this .jsonl file, also if the plan "
            "is refused."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report to this .html file.")] = None,
    log_format: LogFormatName = None,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    json: AsJson = False,
) -> None:
    """Bring TimeBack up to date with a school's roster.

    Only new and changed records are sent. Run the same command every night, and again after a
    crash.
    """
    written = {
        "--state": state, "--failures": failures, "--outcomes": outcomes, "--findings": findings,
        "--plan": plan, "--report": report,
    }  # fmt: skip
    check_files([path], written)
    from ..sync import ReadOptions
    from ._sync_run import Comparing, Outputs, run_sync

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
    exit_with_async(
        run_sync(
            path,
            state,
            state_ids,
            given(max_in_flight=max_in_flight, max_rate=max_rate),
            options,
            Comparing(deactivate_absent, unlink_absent, max_removals, allow_new_ids, resend),
            Outputs(failures, outcomes, findings, plan, report, json, log_format, dry_run),
        )
    )
