"""Options that several commands share, and how options become settings."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = [
    "DEFAULT_STATE",
    "FINDINGS_COLUMNS",
    "Accept",
    "AllowNewIds",
    "AsJson",
    "DateFormat",
    "DeactivateAbsent",
    "DefaultOrg",
    "DryRun",
    "Encoding",
    "FaultsName",
    "FindingsPath",
    "Grades",
    "Layout",
    "LogFormatName",
    "MaxInFlight",
    "MaxRate",
    "MaxRemovals",
    "Mode",
    "OrgMap",
    "OutcomesPath",
    "Panel",
    "Relationship",
    "ReportPath",
    "Resend",
    "Seed",
    "StatePath",
    "Strict",
    "Today",
    "UnlinkAbsent",
    "accepted",
    "check_files",
    "given",
]

DEFAULT_STATE = Path("timeback-state.db")
DATA_SUFFIXES = (".csv", ".parquet")  # what is read of a folder
# Of a file of findings as CSV.
FINDINGS_COLUMNS = (
    "severity", "accepted", "code", "file", "line", "field", "detail", "says", "advice"
)  # fmt: skip


class Panel:
    """The sections of a long `--help`."""

    STATE = "State"
    READING = "How files are read"
    REMOVALS = "Who is no longer in the files"
    SENDING = "Sending"
    OUTPUT = "Output"


AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON for a program to read.", rich_help_panel=Panel.OUTPUT),
]
FaultsName = Annotated[
    Literal["none", "some", "storm"], typer.Option("--faults", help="How often the server fails.")
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same run.")]
StatePath = Annotated[Path, typer.Option("--state", help="The state file of `sync`.")]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that have a value: the others keep the library's defaults."""
    return {name: value for name, value in options.items() if value is not None}


# -- sending

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check everything, and print what would be sent. Needs no credentials.",
        rich_help_panel=Panel.SENDING,
    ),
]
MaxInFlight = Annotated[
    int | None, typer.Option(help="The most requests at once.", rich_help_panel=Panel.SENDING)
]
MaxRate = Annotated[
    float | None,
    typer.Option(help="The most requests per second.", rich_help_panel=Panel.SENDING),
]

# -- output

LogFormatName = Annotated[
    Literal["text", "json"] | None,
    typer.Option(
        "--log-format",
        help="Log lines on stderr instead of progress bars.",
        rich_help_panel=Panel.OUTPUT,
    ),
]
ReportPath = Annotated[
    Path | None,
    typer.Option(
        "--report", help="Write a report to this .html file.", rich_help_panel=Panel.OUTPUT
    ),
]
FindingsPath = Annotated[
    Path | None,
    typer.Option(
        "--findings",
        help="Write every finding, one a line, to this .csv or .jsonl file: what was left out, "
        "what to check, and notes.",
        rich_help_panel=Panel.OUTPUT,
    ),
]

OutcomesPath = Annotated[
    Path | None,
    typer.Option(
        "--outcomes",
        help="Write what became of every record, a row each, to this .parquet file.",
        rich_help_panel=Panel.OUTPUT,
    ),
]

# -- how files are read

Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="CODE",
        help="Findings of this code are known: they do not make the exit code 1. Can be repeated.",
        rich_help_panel=Panel.READING,
    ),
]
Layout = Annotated[
    Path | None,
    typer.Option(
        "--map", help="TOML file that maps columns to fields.", rich_help_panel=Panel.READING
    ),
]
OrgMap = Annotated[
    Path | None,
    typer.Option(
        help='TOML file with lines "org in the file" = "org at TimeBack".',
        rich_help_panel=Panel.READING,
    ),
]
DefaultOrg = Annotated[
    str | None,
    typer.Option(
        help="TimeBack's id of the org for people without one.", rich_help_panel=Panel.READING
    ),
]
Grades = Annotated[
    str,
    typer.Option(
        help='"ceds-to-timeback", "none", or a TOML file with lines "from" = "to".',
        rich_help_panel=Panel.READING,
    ),
]
Relationship = Annotated[
    str | None,
    typer.Option(
        help="Relationship type for agents who are not parent, guardian or relative.",
        rich_help_panel=Panel.READING,
    ),
]
DateFormat = Annotated[
    str | None,
    typer.Option(
        help="Format of dates in the files, such as %d/%m/%Y.", rich_help_panel=Panel.READING
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="Encoding of files that are not UTF-8, such as cp1252.",
        rich_help_panel=Panel.READING,
    ),
]
Mode = Annotated[
    Literal["bulk", "delta"] | None,
    typer.Option(
        help="Whether files without a manifest are a full set (bulk) or changes (delta).",
        rich_help_panel=Panel.READING,
    ),
]
Today = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        help="The day that roles begin and end by.  [default: today]",
        rich_help_panel=Panel.READING,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Reject files that do not follow OneRoster exactly.",
        rich_help_panel=Panel.READING,
    ),
]

Resend = Annotated[
    bool,
    typer.Option(
        "--resend",
        help="Send all records, including those that have not changed.",
        rich_help_panel=Panel.STATE,
    ),
]
DeactivateAbsent = Annotated[
    bool,
    typer.Option(
        "--deactivate-absent",
        help="Deactivate people who are missing from a full file.",
        rich_help_panel=Panel.REMOVALS,
    ),
]
UnlinkAbsent = Annotated[
    bool,
    typer.Option(
        "--unlink-absent",
        help="Delete links that are missing from a full file.",
        rich_help_panel=Panel.REMOVALS,
    ),
]
MaxRemovals = Annotated[
    str,
    typer.Option(
        help="Limit for removed people, and for removed links: N or P%.",
        rich_help_panel=Panel.REMOVALS,
    ),
]
AllowNewIds = Annotated[
    bool,
    typer.Option(
        "--allow-new-ids",
        help="Send a full file though most known people are absent and most of its people are "
        "new, as when ids have changed their form.",
        rich_help_panel=Panel.REMOVALS,
    ),
]


def accepted(codes: Iterable[str] | None) -> tuple[str, ...]:
    """Return the codes of `--accept`, which may hold several with commas between them."""
    parts = (part.strip() for text in codes or () for part in text.split(","))
    return tuple(part for part in parts if part)


def _is_findings(path: Path) -> bool:
    """Whether a file is the findings of an earlier run, and not a part of the roster."""
    header = ",".join(FINDINGS_COLUMNS).encode()
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(header)) == header
    return False


def check_files(read: Iterable[Path], written: Mapping[str, Path | None]) -> None:
    """Refuse an output file that is part of the input, or the file of another option.

    Args:
        read: The files and folders of the input.
        written: The file of each option that names one.
    """
    outputs = {_identity(file) for file in written.values() if file is not None}

    def is_data(path: Path) -> bool:
        is_table = path.suffix.lower() in DATA_SUFFIXES and path.is_file()
        return is_table and not (_identity(path) in outputs and _is_findings(path))

    taken: dict[object, str] = {}
    for path in read:
        taken[_identity(path)] = "one of the files read"
        if path.is_dir():
            inside = (each for each in path.iterdir() if is_data(each))
            taken |= {_identity(each): f"part of {path}" for each in inside}
    for option, file in written.items():
        if file is not None:
            if _identity(file) in taken:
                raise typer.BadParameter(f"{option} must not be {taken[_identity(file)]}")
            taken[_identity(file)] = f"the file of {option}"


def _identity(path: Path) -> object:
    """Return what is the same for all names of a file: links, hard ones too, are names."""
    try:
        found = path.stat()
    except OSError:  # it is to be made
        return path.resolve()
    return found.st_dev, found.st_ino
