"""The README's own examples, run as they stand there."""

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import anyio
import pytest

from timeback_async import Demographics, Student
from timeback_async.sync import ReadOptions, read_roster
from timeback_async.testing import MockServer

README = (Path(__file__).parent.parent / "README.md").read_text()
EXAMPLES: list[str] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


async def run_example(containing: str, server: MockServer) -> str:
    (code,) = [code for code in EXAMPLES if containing in code]
    environ = os.environ | {
        "TIMEBACK_BASE_URL": server.base_url,
        "TIMEBACK_CLIENT_ID": server.client_id,
        "TIMEBACK_CLIENT_SECRET": server.client_secret,
    }
    command = [sys.executable, "-W", "error", "-c", code]
    done = await anyio.run_process(command, env=environ, stderr=subprocess.STDOUT)
    return done.stdout.decode()


async def test_the_first_example_saves_a_student(timeback_server: MockServer) -> None:
    printed = await run_example("print(record)", timeback_server)

    assert timeback_server.students["s-1"]["givenName"] == "Ada"
    assert printed == "StudentRecord(sourced_id='s-1', …)\n"


async def test_the_bulk_example_saves_a_school_twice(timeback_server: MockServer) -> None:
    printed = await run_example("def school", timeback_server)

    assert printed.startswith("3,000 records: 3,000 saved; 3,000 requests")
    assert printed.count("\n") == 1
    assert len(timeback_server.agents) == 1000
    assert timeback_server.requests == 6000


async def test_the_nightly_example_brings_a_roster_up_to_date(
    timeback_server: MockServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = [code for code in EXAMPLES if "read_roster" in code]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own README
    users = tmp_path / "users.csv"
    users.write_text(
        "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,grades\n"
        "s-1,true,org-1,student,ada,Ada,Byron,05\n"
    )

    for _ in range(2):
        await names["nightly"](users, timeback_server.config(), tmp_path / "state.db")

    assert timeback_server.students["s-1"]["grades"] == ["5"]
    assert capsys.readouterr().out.splitlines() == [
        "create student s-1",
        "1 changes: 1 saved; 0 unchanged",
        "0 changes: nothing sent; 1 unchanged",
    ]


def test_the_example_of_a_map_can_be_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "map.toml").write_text(example)
    (tmp_path / "students.csv").write_text(
        "Student ID,School,First,Last,Login,Born,Status\n1,o,Ada,Byron,ada,12/10/2015,Enrolled\n"
    )

    options = ReadOptions(layout=tmp_path / "map.toml")
    with read_roster(tmp_path / "students.csv", options) as roster:
        (record,) = roster.records()

    assert isinstance(record, Student)
    assert record.demographics == Demographics(date(2015, 12, 10))


def test_every_example_compiles() -> None:
    for code in EXAMPLES:
        compile(code, "README.md", "exec")


def test_every_test_that_is_said_to_hold_a_promise_exists() -> None:
    promises = README.partition("### What happens when…")[2].partition("\n## ")[0]
    named = re.findall(r"`(test_\w+)`", promises)
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))

    assert len(named) == 8
    assert [name for name in named if f"def {name}(" not in tests] == []
