"""`sync`: the options; the work is in `_sync_run`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ._exit import exit_with_async
from ._options import DEFAULT_STATE, AsJson, MaxInFlight, MaxRate, Relationship, given

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
    layout: Annotated[
        Path | None, typer.Option("--map", help="TOML file that maps columns to fields.")
    ] = None,
    org_map: Annotated[
        Path | None,
        typer.Option(help='TOML file with lines "org in the file" = "org at TimeBack".'),
    ] = None,
    default_org: Annotated[
        str | None, typer.Option(help="TimeBack's id of the org for people without one.")
    ] = None,
    grades: Annotated[
        str,
        typer.Option(help='"ceds-to-timeback", "none", or a TOML file with lines "from" = "to".'),
    ] = "ceds-to-timeback",
    relationship: Relationship = None,
    date_format: Annotated[
        str | None, typer.Option(help="Format of dates in the files, such as %d/%m/%Y.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of files that are not UTF-8, such as cp1252.")
    ] = None,
    mode: Annotated[
        Literal["bulk", "delta"] | None,
        typer.Option(
            help="Whether files without a manifest are a full set (bulk) or changes (delta)."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Reject files that do not follow OneRoster exactly.")
    ] = False,
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
    report: Annotated[Path | None, typer.Option(help="Write a report to this .html file.")] = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(help="Log lines on stderr instead of progress bars."),
    ] = None,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    json: AsJson = False,
) -> None:
    """Bring TimeBack up to date with a school's roster.

    Only new and changed records are sent. Run the same command every night, and again after a
    crash.
    """
    _check_files(path, {"--state": state, "--failures": failures, "--report": report})
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
    )
    exit_with_async(
        run_sync(
            path,
            state,
            state_ids,
            given(max_in_flight=max_in_flight, max_rate=max_rate),
            options,
            Comparing(deactivate_absent, unlink_absent, max_removals, resend),
            Outputs(failures, report, json, log_format, dry_run),
        )
    )


def _check_files(path: Path, written: dict[str, Path | None]) -> None:
    """Raise an error if an output file is part of the input, or the file of another option."""
    taken = {path.resolve(): "the roster"}
    if path.is_dir():
        read = (file for file in path.iterdir() if file.suffix.lower() in (".csv", ".parquet"))
        taken |= {file.resolve(): "part of the roster" for file in read}
    for option, file in written.items():
        if file is not None:
            if file.resolve() in taken:
                raise typer.BadParameter(f"{option} must not be {taken[file.resolve()]}")
            taken[file.resolve()] = f"the file of {option}"
