"""The README's own examples, run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import anyio

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
    printed = await run_example("raise_for_failures", timeback_server)

    assert printed.startswith("3,000 records: 3,000 saved; 3,000 requests")
    assert printed.count("\n") == 1
    assert len(timeback_server.agents) == 1000
    assert timeback_server.requests == 6000


def test_every_example_compiles() -> None:
    for code in EXAMPLES:
        compile(code, "README.md", "exec")


def test_every_test_that_is_said_to_hold_a_promise_exists() -> None:
    promises = README.partition("### What happens when…")[2].partition("\n## ")[0]
    named = re.findall(r"`(test_\w+)`", promises)
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))

    assert len(named) == 7
    assert [name for name in named if f"def {name}(" not in tests] == []
