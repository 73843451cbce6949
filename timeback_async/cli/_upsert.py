"""`upsert`: send all records in files, without a state."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .._config import Config
from .._session import TimebackSession
from ._exit import EXIT, exit_with_async
from ._options import AsJson, MaxInFlight, MaxRate, Relationship, given

__all__ = ["upsert"]


def upsert(
    files: Annotated[
        list[Path],
        typer.Argument(help=".jsonl files with records in wire form, or OneRoster 1.1 users.csv."),
    ],
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
    primary_org: Annotated[
        str | None, typer.Option(help="TimeBack's id of the org for everybody in a .csv.")
    ] = None,
    relationship: Relationship = None,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    json: AsJson = False,
) -> None:
    """Create or update the records in files.

    Every record gets one result.
    """
    if failures is not None and any(failures.resolve() == file.resolve() for file in files):
        raise typer.BadParameter("--failures must not be one of the files read")
    settings = given(max_in_flight=max_in_flight, max_rate=max_rate)
    exit_with_async(_upsert(files, settings, primary_org, relationship, dry_run, failures, json))


async def _upsert(
    files: list[Path],
    settings: dict[str, Any],
    primary_org: str | None,
    relationship: str | None,
    dry_run: bool,
    failures: Path | None,
    json: bool,
) -> int:
    from ._input import read_files
    from ._run import Run
    from ._screen import out, print_error, print_failures, print_json, print_report

    entries, total = read_files(files, primary_org, relationship)
    if dry_run:  # a dry run needs no credentials
        settings = {"client_id": "dry-run", "client_secret": "dry-run", **settings}
    async with TimebackSession(Config.from_env(**settings)) as session:
        run = Run(session, entries)
        code = await run(total=total, visible=not json, dry_run=dry_run, failures=failures)
    assert run.report is not None
    if json:
        failed = [row.as_dict() for row in run.failures.values()]
        ended = str(run.error) if run.error else ""
        facts = {"unread": run.unread, "failures": failed, "error": ended, "exit": code}
        print_json(run.report.as_dict() | facts | {"ok": code == EXIT.OK})
        return code
    print_report(run.report, run.unread)
    if run.failures:
        print_failures(run.failures.values(), run.failed - len(run.failures))
    if run.failed + run.unread > len(run.failures):
        kept = (
            f"{failures} holds all of them."
            if failures
            else "--failures OUT.jsonl writes all of them to a file."
        )
        out.print(kept)
    if run.error is not None:
        print_error(run.error)
    return code
