"""The commands and their options."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from .._config import Config
from .._session import TimebackSession
from .._version import __version__
from ..errors import ConfigError, NotFoundError, TimebackError
from ..testing import Faults, MockServer
from ._check import check as check_all
from ._demo import demo as run_demo
from ._input import read_files
from ._run import EXIT, Run, on_signals, run_async
from ._screen import err, out, print_failures, print_json, print_report

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would show records.
    pretty_exceptions_enable=False,
    help="Put students, users and their links into TimeBack.\n\n"
    "Settings come from TIMEBACK_CLIENT_ID, TIMEBACK_CLIENT_SECRET, and TIMEBACK_BASE_URL or "
    "TIMEBACK_ENVIRONMENT. Exit codes: 0 all is well, 1 some records are not, 2 nothing was "
    "sent, 75 interrupted.",
)

FaultsName = Annotated[
    Literal["none", "some", "storm"], typer.Option("--faults", help="What goes wrong.")
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine.")]


def _exit(main: Coroutine[Any, Any, int]) -> None:
    """Run a command, and exit with its code; an error of ours is one line, no traceback."""
    try:
        code = run_async(main)
    except ConfigError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        code = EXIT.NOTHING_SENT
    except TimebackError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        code = EXIT.PARTIAL if isinstance(error, NotFoundError) else EXIT.NOTHING_SENT
    except KeyboardInterrupt:
        code = EXIT.INTERRUPTED
    raise typer.Exit(code)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def demo(
    records: Annotated[int, typer.Option(min=1, help="About how many records.")] = 5000,
    seed: Seed = 0,
    faults: FaultsName = "some",
) -> None:
    """Send a made-up school to a mock server through faults, and prove that it arrived."""
    _exit(run_demo(records, seed, faults))


@app.command()
def upsert(
    files: Annotated[
        list[Path],
        typer.Argument(help=".jsonl records in wire form, or a OneRoster 1.1 users.csv."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, send nothing.")
    ] = False,
    failures: Annotated[
        Path | None,
        typer.Option(
            help="Write every record that did not make it here, or was never read because the "
            "run ended before: .jsonl, to send again."
        ),
    ] = None,
    primary_org: Annotated[
        str | None, typer.Option(help="TimeBack's id of the org of everybody in a .csv.")
    ] = None,
    relationship: Annotated[
        str | None,
        typer.Option(help="Type of a .csv's links to who is no parent, guardian or relative."),
    ] = None,
    max_in_flight: Annotated[int | None, typer.Option(help="The most requests at once.")] = None,
    max_rate: Annotated[float | None, typer.Option(help="The most requests a second.")] = None,
    json: AsJson = False,
) -> None:
    """Create or update the records in files. Every record gets one result."""
    if failures is not None and any(failures.resolve() == file.resolve() for file in files):
        raise typer.BadParameter("--failures must not be one of the files read")
    given = {"max_in_flight": max_in_flight, "max_rate": max_rate}
    settings = {name: value for name, value in given.items() if value is not None}
    _exit(_upsert(files, settings, primary_org, relationship, dry_run, failures, json))


async def _upsert(
    files: list[Path],
    settings: dict[str, Any],
    primary_org: str | None,
    relationship: str | None,
    dry_run: bool,
    failures: Path | None,
    json: bool,
) -> int:
    entries, total = read_files(files, primary_org, relationship)
    if dry_run:  # which needs no credentials
        settings = {"client_id": "dry-run", "client_secret": "dry-run", **settings}
    async with TimebackSession(Config.from_env(**settings)) as session:
        run = Run(session, entries)
        code = await run(total=total, visible=not json, dry_run=dry_run, failures=failures)
    assert run.report is not None
    if json:
        reasons = [
            {"where": where, "kind": r.kind, "id": r.sourced_id, "outcome": r.outcome,
             "reason": str(r.error)}
            for where, r in run.failures
        ]  # fmt: skip
        ended = str(run.error) if run.error else ""
        facts = {"unread": run.unread, "failures": reasons, "error": ended, "exit": code}
        print_json(run.report.as_dict() | facts | {"ok": code == EXIT.OK})
        return code
    print_report(run.report, run.unread)
    if run.failures:
        print_failures(run.failures, run.failed - len(run.failures))
    if run.failed + run.unread > len(run.failures):
        kept = f"{failures} holds them all." if failures else "--failures OUT.jsonl keeps them all."
        out.print(kept)
    if run.error is not None:
        err.print(f"[red]error:[/] {escape(str(run.error))}", soft_wrap=True)
    return code


@app.command()
def agents(
    user_id: Annotated[str, typer.Argument(help="sourcedId of a student.")], json: AsJson = False
) -> None:
    """List the people linked to a student, by their ids."""
    _exit(_agents(user_id, json))


async def _agents(user_id: str, json: bool) -> int:
    async with TimebackSession(Config.from_env()) as session:
        found = await session.get_user_agents(user_id)
    rows = [
        (agent.user.sourced_id if agent.user else "", agent.relationship_type or "",
         agent.agent_id or "")
        for agent in found
    ]  # fmt: skip
    if json:
        names = ("userId", "relationshipType", "agentId")
        print_json({"agents": [dict(zip(names, row, strict=True)) for row in rows]})
        return EXIT.OK
    table = Table("user", "relationship", "agent id", title=f"Agents of {escape(user_id)}")
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)
    return EXIT.OK


@app.command()
def check() -> None:
    """Ask for a token per scope and try a harmless read: what works, what not, what to do."""
    _exit(_check())


async def _check() -> int:
    config = Config.from_env()
    out.print(f"TimeBack at {config.base_url}")
    ok = True
    async for finding in check_all(config):
        ok = ok and finding.ok
        mark = "[green]ok[/]  " if finding.ok else "[red]fail[/]"
        out.print(f"{mark} {finding.what}: {escape(finding.words)}", soft_wrap=True)
    return EXIT.OK if ok else EXIT.NOTHING_SENT


@app.command("mock-server")
def mock_server(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8080,
    faults: FaultsName = "none",
    seed: Seed = 0,
    latency: Annotated[
        float | None, typer.Option(min=0, help="Seconds before each answer.")
    ] = None,
    token_lifetime: Annotated[
        float | None, typer.Option(min=0, help="Seconds that a token lives.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Run a TimeBack server in memory, on loopback, to try things on."""
    given = {"latency": latency, "token_lifetime": token_lifetime}
    changes = {name: value for name, value in given.items() if value is not None}
    _exit(_mock_server(port, faults, seed, changes, json))


async def _mock_server(
    port: int, faults: str, seed: int, changes: dict[str, float], json: bool
) -> int:
    wanted = msgspec.structs.replace(Faults.preset(faults, seed), **changes)
    stopped = asyncio.Event()
    on_signals(stopped.set)
    try:
        async with MockServer(port=port, faults=wanted) as server:
            settings = {
                "base_url": server.base_url,
                "client_id": server.client_id,
                "client_secret": server.client_secret,
            }
            if json:
                print_json(settings)
            else:
                for name, value in settings.items():
                    print(f"export TIMEBACK_{name.upper()}={value}")
                err.print(f"Listening with faults {faults!r}; Ctrl-C ends it.")
            sys.stdout.flush()
            await stopped.wait()
    except OSError as error:
        raise ConfigError(
            f"--port: cannot listen on {port}: {os.strerror(error.errno or 0)}"
        ) from None
    return EXIT.OK
