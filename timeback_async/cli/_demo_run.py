"""Send a made-up school to a mock server with faults, and compare what arrived."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from .._config import Config
from .._report import Report
from .._results import ItemResult
from .._session import TimebackSession
from ..models import AgentLink, Student, User, UserRef
from ._chart import print_chart
from ._exit import EXIT
from ._made_up_school import made_up_school
from ._progress import Show
from ._run import Run
from ._screen import (
    MAX_FAILURE_ROWS,
    FailureRow,
    err,
    out,
    print_error,
    print_failures,
    print_json,
    print_report,
)
from ._signals import interruptible

__all__ = ["demonstrate"]

NEXT = """
What to do next:
1. Try a file of yours. This sends nothing, and needs no credentials:
     timeback-async sync EXPORT.zip --dry-run     a school's roster, every night
     timeback-async upsert PEOPLE.csv --dry-run   records, once
2. Set the credentials of your app at TimeBack, and check them:
     export TIMEBACK_CLIENT_ID=… TIMEBACK_CLIENT_SECRET=…
     export TIMEBACK_ENVIRONMENT=staging
     timeback-async check
3. Send: the command of 1 without --dry-run. `--help` has the options."""


async def demonstrate(records: int, seed: int, faults: str, json: bool) -> int:
    """Run the demonstration and return the exit code: 0 when everything arrived."""
    out.print(
        f"Starting a mock TimeBack server in a separate process (faults: {faults}) and sending a "
        f"made-up school of about {records:,} records to it."
    )
    school = list(made_up_school(records, seed))
    out.print(f"Broken on purpose: {', '.join(why for _, why in school if why) or 'nothing'}.\n")
    failures: dict[int, FailureRow] = {}

    def take(line: int, result: ItemResult) -> None:
        if result.error is not None and len(failures) < MAX_FAILURE_ROWS:
            failures[line] = FailureRow(
                f"school:{line}", result.kind, result.sourced_id, result.outcome, str(result.error)
            )

    async with _server(faults, seed) as settings:
        # At the end one answer holds the whole school.
        config = Config(**settings, transport="direct", max_response_bytes=1 << 30)
        async with TimebackSession(config) as session:
            run = Run(session, take)
            with interruptible(run.stop, err.print):
                report = await run(
                    _entries(school), total=len(school), show=Show.of(json=json, log_format=None)
                )
            ended = "interrupted" if run.interrupted else str(run.error or "")
            print_report(report, len(school) - report.submitted if ended else 0)
            print_chart(run.trace)
            figures = report.as_dict() | {"error": ended}
            if ended:
                code = EXIT.INTERRUPTED if run.interrupted else EXIT.PARTIAL
                if json:
                    print_json(figures | {"ok": False, "exit": code})
                print_error(f"The run ended early: {ended}")
                return code
            print_failures(row for _, row in sorted(failures.items()))
            response = await session.request("GET", "/_mock/state")
    difference = _prove(school, report, msgspec.json.decode(response.body))
    code = EXIT.PARTIAL if difference else EXIT.OK
    if not difference:
        out.print(NEXT, markup=False, highlight=False)
    if json:  # what is broken on purpose is not saved, and that is right
        print_json(figures | {"ok": not difference, "error": difference, "exit": code})
    return code


def _entries(school: list[tuple[Any, str]]) -> Iterator[tuple[int, Any]]:
    """Yield each record with its line in the made-up school."""
    for number, (record, _) in enumerate(school, 1):
        yield number, record


def _prove(school: list[tuple[Any, str]], report: Report, state: dict[str, Any]) -> str:
    """Compare the server's records with those sent, member by member; return what differs."""
    students: dict[str, Any] = {}
    users: dict[str, Any] = {}
    agents: list[Any] = []
    for record in (record for record, why in school if not why):
        match record:
            case Student():
                students[record.sourced_id] = msgspec.to_builtins(record)
            case User():
                users[record.sourced_id] = msgspec.to_builtins(record)
            case AgentLink() if record.student_id in students and record.user_id in users:
                user = msgspec.to_builtins(UserRef(record.user_id))
                body = {"user": user, "relationshipType": record.relationship_type}
                agents.append([record.student_id, record.agent_id, body])
    proven = (
        state["students"] == students
        and state["users"] == users
        and sorted(state["agents"], key=str) == sorted(agents, key=str)
    )
    same_requests = state["requests"] == report.attempts
    if proven and same_requests:
        out.print(
            f"\n[bold green]Proven:[/] the server holds {len(students):,} students, {len(users):,} "
            f"users and {len(agents):,} links, equal in every member to those sent, and nothing "
            f"else.\nIt counted {state['requests']:,} requests, as many as the report, and "
            f"{state['token_requests']} token requests (one of them to read these figures)."
        )
        return ""
    difference = "count of requests differs" if proven else "records differ from those sent"
    out.print(f"\n[bold red]Not proven:[/] the server's {difference}.")
    return difference


@asynccontextmanager
async def _server(faults: str, seed: int) -> AsyncIterator[dict[str, Any]]:
    """Run `mock-server` in a separate process and yield the settings for its clients."""
    arguments = (
        "mock-server", "--port", "0", "--faults", faults, "--seed", str(seed), "--json",
        "--while-stdin",  # so it ends with this process, however that ends
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "timeback_async",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C must not end it: requests in flight need it
    )
    assert process.stdout is not None
    try:
        settings: dict[str, Any] = msgspec.json.decode(await process.stdout.readline())
        yield settings
    finally:
        process.terminate()
        await process.wait()
