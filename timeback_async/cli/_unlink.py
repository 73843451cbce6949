"""`unlink`: the options; the work is in `_unlink_run`."""

from pathlib import Path
from typing import Annotated

import typer

from ._exit import exit_with_async
from ._options import AsJson, MaxInFlight, MaxRate, Panel, check_files, given

__all__ = ["unlink"]


def unlink(
    what: Annotated[
        str,
        typer.Argument(
            metavar="STUDENT|FILE",
            help="sourcedId of a student, with USER; or a .jsonl file of links.",
        ),
    ],
    user: Annotated[
        str | None, typer.Argument(metavar="[USER]", help="sourcedId of the person linked.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check everything, delete nothing.", rich_help_panel=Panel.SENDING
        ),
    ] = False,
    max_in_flight: MaxInFlight = None,
    max_rate: MaxRate = None,
    failures: Annotated[
        Path | None,
        typer.Option(
            help="Write the links that were not deleted to this .jsonl file; `unlink` reads it.",
            rich_help_panel=Panel.OUTPUT,
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Delete links: all of a student with one user, or those in a file. People stay.

    A file has a link on each line, as an export has them; its lines of people are passed over. A
    link that is not there any more counts as deleted.

    Example: timeback-async unlink s-1 parent-1
    """
    if user is None:
        check_files([Path(what)], {"--failures": failures})
    from ._unlink_run import run_unlink

    settings = given(max_in_flight=max_in_flight, max_rate=max_rate)
    exit_with_async(run_unlink(what, user, settings, failures, dry_run=dry_run, as_json=json))
