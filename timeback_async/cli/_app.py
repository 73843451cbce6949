"""The commands and their options."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
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
from ..sync import ReadOptions
from ..testing import Faults, MockServer
from ._check import check as check_all
from ._demo import demo as run_demo
from ._input import read_files
from ._run import EXIT, Run, on_signals, run_async
from ._screen import err, out, print_failures, print_json, print_report
from ._state import state_export, state_forget, state_show
from ._sync import Comparing, Outputs
from ._sync import sync as run_sync

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


state_app = typer.Typer(no_args_is_help=True, help="Look after the state that `sync` keeps.")
app.add_typer(state_app, name="state")
StatePath = Annotated[Path, typer.Option("--state", help="The state's file.")]
STATE = Path("timeback-state.db")


def _exit(main: Coroutine[Any, Any, int]) -> None:
    """Run a command on an event loop, and exit with its code."""
    _now(lambda: run_async(main))


def _now(command: Callable[[], int]) -> None:
    """Run a command, and exit with its code; an error of ours is one line, no traceback."""
    try:
        code = command()
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


@app.command("sync")
def sync_(
    path: Annotated[
        Path,
        typer.Argument(help="A OneRoster package (zip or folder), or a .csv, .jsonl, .parquet."),
    ],
    state: Annotated[
        Path, typer.Option(help="What earlier runs did; one for each roster.")
    ] = STATE,
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
    relationship: Annotated[
        str | None,
        typer.Option(help="Type of links to who is no parent, guardian or relative."),
    ] = None,
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
    max_in_flight: Annotated[int | None, typer.Option(help="The most requests at once.")] = None,
    max_rate: Annotated[float | None, typer.Option(help="The most requests a second.")] = None,
    json: AsJson = False,
) -> None:
    """Bring TimeBack up to date with a school's roster; again every night, or after a crash."""
    _check_files(path, {"--state": state, "--failures": failures, "--report": report})
    given = {"max_in_flight": max_in_flight, "max_rate": max_rate}
    _exit(
        run_sync(
            path,
            state,
            state_ids,
            {name: value for name, value in given.items() if value is not None},
            ReadOptions(
                strict=strict,
                encoding=encoding,
                layout=layout,
                org_map=org_map,
                default_org=default_org,
                grades=grades,
                relationship=relationship,
                date_format=date_format,
                mode=mode,
            ),
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


@state_app.command()
def show(state: StatePath = STATE, json: AsJson = False) -> None:
    """Print how many records of each kind ended in what way, and when."""
    _now(lambda: state_show(state, json))


@state_app.command()
def forget(
    sourced_ids: Annotated[list[str], typer.Argument(help="sourcedIds of people.")],
    state: StatePath = STATE,
) -> None:
    """Delete all that is known of people and their links. At TimeBack nothing changes."""
    _now(lambda: state_forget(state, sourced_ids))


@state_app.command()
def export(state: StatePath = STATE) -> None:
    """Print what is known of every record, as JSON Lines."""
    _now(lambda: state_export(state))


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
