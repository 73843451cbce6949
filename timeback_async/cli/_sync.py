"""`sync`: the options of a synchronisation, which is in `_sync_run`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ._exit import exit_with_async
from ._options import DEFAULT_STATE, AsJson, MaxInFlight, MaxRate, Relationship, given

__all__ = ["sync"]


def sync(
    path: Annotated[
        Path,
        typer.Argument(help="A OneRoster package (zip or folder), or a .csv, .jsonl, .parquet."),
    ],
    state: Annotated[
        Path, typer.Option(help="What earlier runs did; one for each roster.")
    ] = DEFAULT_STATE,
    state_ids: Annotated[
        Literal["hashed", "plain"] | None,
        typer.Option(help="How a new state keeps ids; hashed where nothing is said."),
    ] = None,
    layout: Annotated[
        Path | None, typer.Option("--map", help="TOML: which column is which field.")
    ] = None,
    org_map: Annotated[
        Path | None, typer.Option(help='TOML: lines of "org in the file" = "org at TimeBack".')
    ] = None,
    default_org: Annotated[
        str | None, typer.Option(help="TimeBack's id of the org of whoever has none.")
    ] = None,
    grades: Annotated[
        str, typer.Option(help='"ceds-to-timeback", "none", or a TOML file of "from" = "to".')
    ] = "ceds-to-timeback",
    relationship: Relationship = None,
    date_format: Annotated[
        str | None, typer.Option(help="How dates are written, such as %d/%m/%Y.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of files that are not UTF-8, such as cp1252.")
    ] = None,
    mode: Annotated[
        Literal["bulk", "delta"] | None,
        typer.Option(help="What files without a manifest are: a full set, or changes."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Take nothing that is not by the letter of OneRoster.")
    ] = False,
    deactivate_absent: Annotated[
        bool,
        typer.Option(
            "--deactivate-absent", help="Deactivate people whom a full file no longer has."
        ),
    ] = False,
    unlink_absent: Annotated[
        bool, typer.Option("--unlink-absent", help="Delete links that a full file no longer has.")
    ] = False,
    max_removals: Annotated[
        str, typer.Option(help="The most people, and the most links, to remove: N or P%.")
    ] = "5%",
    resend: Annotated[
        bool,
        typer.Option("--resend", help="Send everything in the files, whatever the state knows."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, send nothing.")
    ] = False,
    failures: Annotated[
        Path | None, typer.Option(help="Write records that did not make it here: .jsonl.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report here: one .html.")] = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(help="Log to stderr, line by line, in place of the progress bars."),
    ] = None,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    json: AsJson = False,
) -> None:
    """Bring TimeBack up to date with a school's roster; again every night, or after a crash."""
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
    """Refuse to write over what is read, or twice to one file."""
    taken = {path.resolve(): "the roster"}
    if path.is_dir():
        read = (file for file in path.iterdir() if file.suffix.lower() in (".csv", ".parquet"))
        taken |= {file.resolve(): "part of the roster" for file in read}
    for option, file in written.items():
        if file is not None:
            if file.resolve() in taken:
                raise typer.BadParameter(f"{option} must not be {taken[file.resolve()]}")
            taken[file.resolve()] = f"the file of {option}"
