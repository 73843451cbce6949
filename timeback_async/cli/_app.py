"""The root of the command: its own options, and which commands there are."""

from typing import Annotated

import typer

from .._version import __version__
from ._agents import agents
from ._check import check
from ._command import Commands
from ._demo import demo
from ._export import export
from ._fleet import fleet
from ._mock_server import mock_server
from ._request import request
from ._state_commands import export as export_state
from ._state_commands import find, forget, show
from ._sync import sync
from ._unlink import unlink
from ._upsert import upsert
from ._users import orgs, user, users
from ._verify import verify

__all__ = ["app"]

app = Commands(
    help="Put students, users and their links into TimeBack.\n\n"
    "Settings come from TIMEBACK_CLIENT_ID, TIMEBACK_CLIENT_SECRET, and TIMEBACK_BASE_URL or "
    "TIMEBACK_ENVIRONMENT. Exit codes: 0 success, 1 some records not saved, 2 nothing was "
    "sent, 75 interrupted.\n\nExample: timeback-async demo",
)
state_app = Commands(help="Show, search or edit the state that `sync` keeps.")

app.command()(demo)
app.command()(upsert)
app.command()(sync)
app.command()(fleet)
app.command()(verify)
app.command()(export)
app.add_typer(state_app, name="state")
state_app.command()(show)
state_app.command()(find)
state_app.command()(forget)
state_app.command("export")(export_state)
app.command()(user)
app.command()(users)
app.command()(orgs)
app.command()(agents)
app.command()(unlink)
app.command()(request)
app.command()(check)
app.command("mock-server")(mock_server)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("-V", "--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
