"""How commands end where something outside ends them, or was closed before they began."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme

from tests.support.command import family, lines, run, sync, words
from tests.support.records import wire_student, wire_user
from tests.support.rosters import child
from tests.support.tls import certified
from tests.support.verifying import RECORDS
from timeback_async.testing import Faults, MockServer

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
PYTHON = [sys.executable, "-m", "timeback_async"]


def write(name: str, records: Sequence[Any]) -> Path:
    Path(name).write_text("".join(json.dumps(each) + "\n" for each in records))
    return Path(name)


def ended_by(
    number: signal.Signals, condition: Callable[[], bool], *arguments: str, ignored: bool = False
) -> "subprocess.CompletedProcess[str]":
    """Run a command, and send it a signal as soon as something holds."""
    process = subprocess.Popen(
        [*PYTHON, *arguments],
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # as good as a terminal that has gone
        text=True,
        preexec_fn=(lambda: signal.signal(number, signal.SIG_IGN)) if ignored else None,
    )
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, stdout)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_do_not_end_it(server: MockServer, closed: str) -> None:
    path = write("school.jsonl", [{"student": wire_student("s-1")}])
    command = ["/bin/sh", "-c", " ".join([*PYTHON, "upsert", str(path), closed])]

    done = subprocess.run(command, env=os.environ | ENVIRONMENT, check=False)

    assert done.returncode == 0
    assert server.students.keys() == {"s-1"}


def test_a_list_that_sigterm_ends_is_one_object(server: MockServer) -> None:
    server.users.update({f"u-{n}": wire_user(f"u-{n}") for n in range(1_500)})
    server.faults = Faults(latency=0.05)

    done = ended_by(
        signal.SIGTERM, lambda: server.requests > 3, "users", "--json", "--fields", "status"
    )

    told = json.loads(done.stdout)
    assert done.returncode == told["exit"] == 75
    assert (told["ok"], told["error"]) == (False, "interrupted")
    assert 0 < len(told["users"]) < 1_500


@pytest.mark.parametrize("command", [["check"], ["user", "s-1"]], ids=["check", "user"])
def test_a_look_that_sigterm_ends_is_one_object(server: MockServer, command: list[str]) -> None:
    server.faults = Faults(latency=30.0)

    done = ended_by(signal.SIGTERM, lambda: server.in_flight > 0, *command, "--json")

    told = json.loads(done.stdout)
    assert done.returncode == told["exit"] == 75
    assert told["error"] == "interrupted"


def test_an_upsert_whose_terminal_goes_writes_down_what_is_left(server: MockServer) -> None:
    records = [{"student": wire_student(f"s-{n}")} for n in range(200)]
    path = str(write("school.jsonl", records))
    server.faults = Faults(latency=0.02)

    def begun() -> bool:
        return len(server.students) >= 8

    more = ["--max-in-flight", "4"]

    done = ended_by(signal.SIGHUP, begun, "upsert", path, "--failures", "left.jsonl", *more)
    sent = len(server.students)
    kept = ended_by(signal.SIGHUP, begun, "upsert", path, *more, ignored=True)

    assert done.returncode == 75
    assert 8 <= sent < 200
    assert sent + len(lines(Path("left.jsonl"))) == 200
    assert kept.returncode == 0
    assert len(server.students) == 200


@pytest.mark.parametrize(
    "command",
    [
        ["upsert", "school.jsonl"],
        ["sync", "school.jsonl"],
        ["verify", "school.jsonl"],
        ["unlink", "school.jsonl"],
        ["export", "--out", "out.jsonl"],
    ],
    ids=["upsert", "sync", "verify", "unlink", "export"],
)
def test_quiet_is_not_silent_about_what_is_wrong(server: MockServer, command: list[str]) -> None:
    server.students["s-0"] = wire_student("s-0")
    del server.students["s-0"]["givenName"]
    server.users["u-1"] = wire_user("u-1")
    server.faults = Faults(statuses={422: 1.0} if command[0] == "unlink" else {})
    write("school.jsonl", [{"agent": {"studentId": "nobody", "userId": "u-1",
                                      "relationshipType": "parent"}}])  # fmt: skip

    done = run(*command, "-q")
    as_json = run(*command, "-q", "--json")

    assert done.exit_code == as_json.exit_code == 1
    assert done.stdout == as_json.stderr == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["upsert", "sync", "verify", "unlink"])
def test_an_interrupted_run_has_that_as_its_error(server: MockServer, command: str) -> None:
    people = [{"student": wire_student(f"s-{n}")} for n in range(300)]
    links = [
        {"agent": {"studentId": f"s-{n}", "userId": "u-1", "relationshipType": "parent"}}
        for n in range(300)
    ]
    write("school.jsonl", links if command == "unlink" else people)
    server.faults = Faults(latency=0.02)

    done = ended_by(
        signal.SIGTERM, lambda: server.requests > 8, command, "school.jsonl", "--json",
        "--max-in-flight", "4",
    )  # fmt: skip

    told = json.loads(done.stdout)
    assert done.returncode == told["exit"] == 75
    assert told["error"] == "interrupted"


def test_a_dry_run_refuses_the_settings_that_a_run_refuses(server: MockServer) -> None:
    path = write("school.jsonl", RECORDS)

    for command in ("sync", "verify", "upsert"):
        done = run(command, path, "--dry-run", "--max-in-flight", 0)
        assert done.exit_code == 2
        assert "--max-in-flight" in done.stderr


def test_people_that_timeback_has_lost_are_told_with_what_helps(server: MockServer) -> None:
    sync(family(child("s-1"), child("u-1", role="parent")))
    server.students.clear()

    done = sync(family(child("s-1", "u-1"), child("u-1", role="parent")))
    again = sync("family", "--resend")

    assert done.exit_code == 1
    assert "--resend sends everybody again" in words(done.stdout)
    assert again.exit_code == 0
    assert len(server.agents) == 1


@pytest.mark.parametrize("option", ["failures", "outcomes", "plan", "report"])
def test_a_file_whose_name_promises_another_form_is_refused(
    server: MockServer, option: str
) -> None:
    done = run("sync", family(), f"--{option}", "out.csv")

    assert done.exit_code == 2
    assert "out.csv: must end in ." in words(done.stderr)
    assert not Path("out.csv").exists()


def test_a_refused_plan_says_once_that_nothing_was_sent(server: MockServer) -> None:
    sync(family(*(child(f"s-{n}") for n in range(40))))

    done = sync(family(child("s-1")), "--deactivate-absent")

    assert done.exit_code == 2
    assert words(done.stderr).count("Nothing was sent.") == 1
    assert words(done.stderr).endswith("Is the export complete?")


@pytest.mark.parametrize("variable", ["TIMEBACK_BASE_URL", "TIMEBACK_TOKEN_URL"])
def test_an_address_that_is_no_token_endpoint_is_told_as_that(
    server: MockServer, variable: str
) -> None:
    done = run("check", **{variable: f"{server.base_url}/nowhere"})

    assert done.exit_code == 2
    assert "check TIMEBACK_BASE_URL and TIMEBACK_TOKEN_URL" in words(done.output)


def test_an_authority_of_ones_own_is_set_by_a_variable(server: MockServer) -> None:
    context = certified(trustme.CA())

    def shake(listening: socket.socket) -> None:
        with suppress(OSError), listening.accept()[0] as taken:
            context.wrap_socket(taken, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        shaking = Thread(target=shake, args=[listening])
        shaking.start()
        done = run("check", TIMEBACK_BASE_URL=f"https://localhost:{listening.getsockname()[1]}")
        shaking.join()

    assert done.exit_code == 2
    assert "set SSL_CERT_FILE to a file with its certificate" in words(done.output)


def test_a_file_of_certificates_that_is_not_there_is_named(server: MockServer) -> None:
    done = run("check", SSL_CERT_FILE="/nowhere/ca.pem")

    assert done.exit_code == 2
    assert "SSL_CERT_FILE: /nowhere/ca.pem" in words(done.stderr)
    assert server.token_requests == 0


def test_a_transport_without_proxies_is_named_by_its_variable(server: MockServer) -> None:
    done = run(
        "check", TIMEBACK_TRANSPORT="direct", HTTP_PROXY="http://127.0.0.1:1", NO_PROXY=""
    )  # fmt: skip

    assert done.exit_code == 2
    assert words(done.stderr).startswith("error: TIMEBACK_TRANSPORT: ")
