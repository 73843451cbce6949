"""`upsert`: the options; the work is in `_upsert_run`."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from ._exit import exit_with_async
from ._options import (
    Accept,
    AsJson,
    DateFormat,
    DefaultOrg,
    DryRun,
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
    Panel,
    Relationship,
    ReportPath,
    Strict,
    Today,
    accepted,
    check_files,
    given,
)

__all__ = ["upsert"]

STDIN = Path("-")


def upsert(
    files: Annotated[
        list[Path],
        typer.Argument(
            help=".jsonl files with records in wire form; .csv or .parquet files; OneRoster "
            "packages (zip or folder). A single file may be a .gz; - reads .jsonl from standard "
            "input."
        ),
    ],
    layout: Layout = None,
    org_map: OrgMap = None,
    default_org: DefaultOrg = None,
    primary_org: Annotated[
        str | None,
        typer.Option(
            help="TimeBack's id of the org for everybody in a table, whatever it says.",
            rich_help_panel=Panel.READING,
        ),
    ] = None,
    grades: Grades = "ceds-to-timeback",
    relationship: Relationship = None,
    date_format: DateFormat = None,
    encoding: Encoding = None,
    mode: Mode = None,
    today: Today = None,
    strict: Strict = False,
    accept: Accept = None,
    dry_run: DryRun = False,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    failures: Annotated[
        Path | None,
        typer.Option(
            help="Write the records that were not saved to this .jsonl file, which can be sent "
            "again. It includes records that were never read because the run ended early.",
            rich_help_panel=Panel.OUTPUT,
        ),
    ] = None,
    outcomes: OutcomesPath = None,
    findings: FindingsPath = None,
    report: ReportPath = None,
    log_format: LogFormatName = None,
    json: AsJson = False,
) -> None:
    """Create or update all records in files, without a state.

    Every record gets one result.

    Example: timeback-async upsert students.jsonl --failures failures.jsonl
    """
    written = {
        "--failures": failures, "--outcomes": outcomes, "--findings": findings, "--report": report
    }  # fmt: skip
    check_files(files, written)
    if primary_org is not None and (org_map is not None or default_org is not None):
        raise typer.BadParameter("--primary-org leaves nothing for --org-map and --default-org")
    from ..sync import ReadOptions
    from ._job import Outputs
    from ._upsert_run import Upsert

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
    outputs = Outputs(
        failures=failures, outcomes=outcomes, findings=findings, report=report, json=json,
        log_format=log_format, dry_run=dry_run,
    )  # fmt: skip
    with _with_stdin(files) as paths:
        exit_with_async(Upsert(paths, options, settings, outputs)())


@contextmanager
def _with_stdin(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Put a file in place of "-", with what standard input holds, while the block runs.

    It is read before there is an event loop, so that Ctrl-C ends it.
    """
    if STDIN not in files:
        yield list(files)
        return
    with TemporaryDirectory(prefix="timeback-async-") as folder:  # its owner's alone
        path = Path(folder) / "stdin.jsonl"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield [path if each == STDIN else each for each in files]
