"""How `sync` ends early, and how the next run goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import family, figures, interrupt, sync, when
from tests.support.rosters import child
from timeback_async.cli import _reading
from timeback_async.errors import ConfigError
from timeback_async.sync import State, StateError
from timeback_async.sync._planning.compare import _Planner
from timeback_async.testing import Faults, MockServer


def test_after_ctrl_c_the_next_run_sends_the_rest(server: MockServer) -> None:
    server.faults = Faults(latency=0.01)
    when(lambda: len(server.students) >= 10, interrupt)

    stopped = sync(family(*(child(f"s-{n}") for n in range(300))), "--max-in-flight", 4)
    sent = len(server.students)
    server.faults = Faults()
    rest = figures("family")

    assert stopped.exit_code == 75
    assert "Stopped before the end: interrupted. Run the same command" in stopped.stdout
    assert 10 <= sent < 300
    assert rest["exit"] == 0
    assert (rest["unchanged"], rest["requests"]) == (sent, 300 - sent)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_a_process_told_to_end_exits_with_75_and_a_state_to_go_on_from(
    server: MockServer, number: signal.Signals, times: int
) -> None:
    family(*(child(f"s-{n}") for n in range(200)))
    server.faults = Faults(latency=0.02)
    command = [sys.executable, "-m", "timeback_async", "sync", "family", "--json"]
    process = subprocess.Popen(
        [*command, "--max-in-flight", "4"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while len(server.students) < 8:
        time.sleep(0.001)
    assert process.stderr is not None
    if times == 2:
        server.faults = Faults(latency=30.0)
        stuck = -1
        while server.in_flight < 4 or stuck < server.requests:
            stuck = server.requests
            time.sleep(0.1)
        process.send_signal(number)
        process.stderr.readline()  # it has seen the first one
    process.send_signal(number)
    stdout, stderr = process.communicate()
    server.faults = Faults()
    stopped, rest = json.loads(stdout), figures("family")

    people = stopped["phases"]["people"]
    assert process.returncode == stopped["exit"] == 75
    assert stopped["stopped"] == "interrupted"
    assert people.get("unknown", 0) == (4 if times == 2 else 0)
    assert "Traceback" not in stderr
    assert rest["exit"] == 0
    assert 8 <= rest["unchanged"] == people["saved"] < 200
    assert len(server.students) == 200


def test_ctrl_c_while_reading_is_exit_code_75(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        interrupt()
        time.sleep(0.2)
        raise ConfigError("too late")

    monkeypatch.setattr(_reading, "read_roster", read)

    done = sync("family")

    assert done.exit_code == 75
    assert not Path("timeback-state.db").exists()


def test_ctrl_c_while_comparing_is_exit_code_75_and_closes_no_file_under_the_comparison(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []

    def compare(self: Any) -> None:
        interrupt()
        time.sleep(0.2)
        counted.extend(
            self._roster.database.connection.execute("SELECT count(*) FROM people").fetchone()
        )

    monkeypatch.setattr(_Planner, "compare", compare)

    done = sync(family())

    assert done.exit_code == 75
    assert counted == [3]
    assert server.requests == 0


def test_a_state_that_cannot_be_written_ends_the_run_with_75_and_what_to_do(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StateError("timeback-state.db: could not be written; free disk space, then run again")

    with monkeypatch.context() as patched:
        patched.setattr(State, "write", full)
        stopped = sync(family())
    again = figures("family")

    assert stopped.exit_code == 75
    assert "free disk space, then run again" in stopped.stderr
    assert again["exit"] == 0
