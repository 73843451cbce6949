"""Send a made-up school to a mock server with faults, and compare what arrived."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from .._config import Config
from .._session import TimebackSession
from ..models import AgentLink, Student, User, UserRef
from ._chart import print_chart
from ._exit import EXIT
from ._made_up_school import made_up_school
from ._run import Run
from ._screen import err, out, print_failures, print_report
from ._signals import interruptible

__all__ = ["demonstrate"]


async def demonstrate(records: int, seed: int, faults: str) -> int:
    """Run the demonstration and return the exit code: 0 when everything arrived."""
    out.print(
        f"Starting a mock TimeBack server in a separate process (faults: {faults}) and sending a "
        f"made-up school of about {records:,} records to it."
    )
    school = list(made_up_school(records, seed))
    out.print(f"Broken on purpose: {', '.join(why for _, why in school if why) or 'nothing'}.\n")
    async with _server(faults, seed) as settings:
        # At the end one answer holds the whole school.
        config = Config(**settings, transport="direct", max_response_bytes=1 << 30)
        async with TimebackSession(config) as session:
            run: Run[_Line] = Run(session)
            with interruptible(run.stop, err.print):
                code = await run(
                    lambda: (line for line, _ in _entries(school)),
                    _entries(school),
                    total=len(school),
                )
            assert run.report is not None
            print_report(run.report, run.unread)
            print_chart(run.trace)
            if code == EXIT.INTERRUPTED or run.error is not None:
                out.print(f"[red]The run ended early:[/] {run.error or 'interrupted'}")
                return code
            print_failures(row for _, row in sorted(run.failures.items()))
            response = await session.request("GET", "/_mock/state")
    return _prove(school, run, msgspec.json.decode(response.body))


class _Line(NamedTuple):
    """Where a record stands in the made-up school."""

    line: int
    file: str = "school"


def _entries(school: list[tuple[Any, str]]) -> Iterator[tuple[_Line, Any]]:
    for number, (record, _) in enumerate(school, 1):
        yield _Line(number), record


def _prove(school: list[tuple[Any, str]], run: Run[_Line], state: dict[str, Any]) -> int:
    """Compare the server's records with those sent, member by member; return the exit code."""
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
    assert run.report is not None
    same_requests = state["requests"] == run.report.attempts
    if proven and same_requests:
        out.print(
            f"\n[bold green]Proven:[/] the server holds {len(students):,} students, {len(users):,} "
            f"users and {len(agents):,} links, equal in every member to those sent, and nothing "
            f"else.\nIt counted {state['requests']:,} requests, as many as the report, and "
            f"{state['token_requests']} token requests (one of them to read these figures)."
        )
        return EXIT.OK
    difference = "count of requests differs" if proven else "records differ from those sent"
    out.print(f"\n[bold red]Not proven:[/] the server's {difference}.")
    return EXIT.PARTIAL


@asynccontextmanager
async def _server(faults: str, seed: int) -> AsyncIterator[dict[str, Any]]:
    """Run `mock-server` in a separate process and yield the settings for its clients."""
    arguments = ("mock-server", "--port", "0", "--faults", faults, "--seed", str(seed), "--json")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "timeback_async",
        *arguments,
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
