"""Each command that looks, compares or exports, in the places where commands are run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.records import wire_agent, wire_student, wire_user
from tests.support.verifying import RECORDS
from timeback_async import RetryPolicy
from timeback_async._flow import token
from timeback_async.testing import MockServer

COMMANDS = [
    ["user", "s-1"],
    ["users"],
    ["orgs"],
    ["agents", "s-1"],
    ["request", "GET", "/users"],
    ["verify", "school.jsonl", "--mode", "bulk"],
    ["export", "--out", "out.jsonl"],
    ["unlink", "s-1", "u-1", "--dry-run"],
]
NAMES = [command[0] for command in COMMANDS]
LISTED_AS_JSON = [command for command in COMMANDS if command[0] != "request"]
# Nothing listens there, and nothing may: it is reserved.
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def roster() -> None:
    Path("school.jsonl").write_text("".join(json.dumps(each) + "\n" for each in RECORDS))


@pytest.fixture
def school(server: MockServer) -> MockServer:
    server.students["s-1"] = wire_student("s-1", givenName="Canary")
    server.users["u-1"] = wire_user("u-1", givenName="Canary")
    server.agents["s-1", "a-1"] = wire_agent("u-1")
    return server


def executed(command: list[str], **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as a process of its own, with its output going to a pipe."""
    whole = [sys.executable, "-m", "timeback_async", *command]
    return subprocess.run(
        whole, env=os.environ | environ, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_in_a_pipe_there_is_no_colour_and_no_traceback(
    school: MockServer, command: list[str]
) -> None:
    done = executed(command)

    assert done.returncode in (0, 1), done.stderr
    assert "\x1b[" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_eighty_columns_are_enough(school: MockServer, command: list[str]) -> None:
    done = run(*command, COLUMNS="80", NO_COLOR="1")

    assert done.exit_code in (0, 1)
    is_raw = command[0] == "request"
    assert is_raw or max(map(len, done.stdout.splitlines()), default=0) <= 80
    assert "\x1b[" not in done.output


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_wrong_credentials_are_one_clear_line(school: MockServer, command: list[str]) -> None:
    done = run(*command, TIMEBACK_CLIENT_SECRET="wrong")

    last = done.stderr.splitlines()[-1]
    assert done.exit_code == 2
    assert "invalid_client" in last
    assert done.stdout == ""
    assert school.requests == 0


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_missing_settings_are_one_clear_line(school: MockServer, command: list[str]) -> None:
    done = run(*command, TIMEBACK_CLIENT_ID="")

    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "TIMEBACK_CLIENT_ID" in done.stderr
    assert school.token_requests == 0


@pytest.mark.parametrize("command", LISTED_AS_JSON, ids=[each[0] for each in LISTED_AS_JSON])
def test_a_program_is_told_of_missing_settings(school: MockServer, command: list[str]) -> None:
    done = run(*command, "--json", TIMEBACK_CLIENT_ID="")

    assert json.loads(done.stdout)["exit"] == done.exit_code == 2


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_a_refused_connection_is_one_clear_line(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(token, "FETCH_POLICY", RetryPolicy(attempts=1))  # so that none waits

    done = run(*command, TIMEBACK_BASE_URL=NOWHERE)

    assert done.exit_code == 2
    assert "Connection refused" in done.stderr.splitlines()[-1]
    assert done.stdout == ""
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", LISTED_AS_JSON, ids=[command[0] for command in LISTED_AS_JSON])
def test_a_program_is_told_of_an_error_in_json(school: MockServer, command: list[str]) -> None:
    done = run(*command, "--json", TIMEBACK_CLIENT_SECRET="wrong")

    told = json.loads(done.stdout)
    assert done.exit_code == told["exit"] == 2
    assert told["ok"] is False
    assert "invalid_client" in told["error"]
