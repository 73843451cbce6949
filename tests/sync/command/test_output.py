"""What `sync` prints, logs and draws."""

import io
import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support.command import family, interrupt, run, sync, when
from tests.support.records import wire_student
from tests.support.rosters import FAMILY, adult, child
from tests.support.trace import Clock, statistics
from timeback_async._trace import Trace
from timeback_async.cli import _chart, _progress, _report_screen
from timeback_async.sync._reading.people import PeopleMapper
from timeback_async.testing import Faults, MockServer


def test_a_report_is_written_as_a_page(server: MockServer) -> None:
    done = sync(family(), "--report", "report.html")

    html = Path("report.html").read_text("utf-8")
    assert done.exit_code == 0
    assert "all 5 changes are at TimeBack" in html
    assert stat.S_IMODE(Path("report.html").stat().st_mode) == 0o600


def test_a_report_that_cannot_be_written_is_exit_code_2_before_anything_is_sent(
    server: MockServer,
) -> None:
    done = sync(family(), "--report", "no/such.html")

    assert done.exit_code == 2
    assert "no/such.html: No such file or directory" in done.stderr
    assert server.requests == 0


def test_a_log_of_json_lines_has_nothing_else_on_stderr(server: MockServer) -> None:
    done = sync(family(child("s-1", familyName="")), "--log-format", "json")

    logged = [json.loads(line) for line in done.stderr.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(each) for each in logged)
    read, planned = logged[:2]
    assert read["message"].startswith("read OneRoster 1.1")
    assert read["level"] == "info"
    assert (read["students"], read["left_out"]) == (0, 1)
    assert (planned["planned"], planned["unchanged"]) == (0, 0)
    assert "━" not in done.stderr
    assert "left out" in done.stdout


def without_time(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in figures.items() if name not in ("elapsed", "sending", "rate")
    }


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_the_last_line_of_the_log_has_each_figure_once_as_json_has_it(
    server: MockServer, dry: tuple[str, ...]
) -> None:
    people = child("s-1", "u-1"), child("s-2", familyName=""), adult("u-1"), adult("u-1")
    by_command = {}

    for command in ("upsert", "sync"):
        done = run(command, family(*people), "--log-format", "json", "--json", *dry)
        last = json.loads(done.stderr.splitlines()[-1])
        told = json.loads(done.stdout)
        figures = {name: last[name] for name in last if name in told}
        assert set(last) - set(figures) == {"time", "level", "logger", "message"}
        assert figures == {name: told[name] for name in figures}
        assert (last["exit"], last["level"]) == (1, "info")
        by_command[command] = figures

    upsert, sync_ = by_command.values()
    assert set(upsert) == set(sync_)
    assert without_time(upsert) == without_time(sync_)
    assert sync_["read"] == {
        "rows": 4, "students": 1, "users": 1, "links": 1, "repeated": 1, "left_out": 1
    }  # fmt: skip
    assert sync_["severities"] == {"error": 1, "warning": 0, "note": 1}
    which = "valid" if dry else "saved"
    assert (sync_["planned"], sync_[which]) == (3, 3)
    assert sync_["valid"] + sync_["saved"] == 3


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_the_time_of_reading_is_part_of_the_whole(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    read = PeopleMapper.person

    def slowly(self: PeopleMapper, *arguments: Any, **more: Any) -> Any:
        time.sleep(0.3)
        return read(self, *arguments, **more)

    monkeypatch.setattr(PeopleMapper, "person", slowly)
    server.faults = Faults(latency=0.1)  # long, beside what rounding takes from it

    done = run(command, family(child("s-1")), "--json")
    report = json.loads(done.stdout)

    assert report["elapsed"] >= report["sending"] + 0.3
    assert report["rate"] == pytest.approx(1 / report["sending"], rel=0.1)


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_a_refusal_is_the_last_line_of_the_log_and_one_object(
    server: MockServer, command: str
) -> None:
    done = run(command, "gone.zip", "--log-format", "json", "--json")

    last, told = json.loads(done.stderr.splitlines()[-1]), json.loads(done.stdout)
    assert (done.exit_code, told["exit"], told["ok"]) == (2, 2, False)
    assert (last["level"], last["exit"]) == ("error", 2)
    assert last["message"] == told["error"] == told["stopped"]


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_what_the_server_ends_is_the_last_line_of_the_log_with_the_figures(
    server: MockServer, command: str
) -> None:
    server.faults = Faults(statuses={403: 1.0})

    done = run(command, family(), "--log-format", "json", "--json")

    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["level"], last["exit"], last["planned"]) == ("error", 1, 5)
    assert "403" in last["message"]


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["gone.zip"], {}, "gone.zip: No such file or directory"),
        (["family", "--report", "no/such.html"], {}, "no/such.html: No such file or directory"),
        (
            ["family"],
            {"TIMEBACK_CLIENT_SECRET": "wrong"},
            "credentials rejected: check TIMEBACK_CLIENT_ID, TIMEBACK_CLIENT_SECRET",
        ),
    ],
)
def test_what_goes_wrong_is_a_line_of_json_too(
    server: MockServer, arguments: list[str], environ: dict[str, str], said: str
) -> None:
    family()

    done = sync(*arguments, "--log-format", "json", **environ)

    last = [json.loads(line) for line in done.stderr.splitlines()][-1]
    assert done.exit_code == 2
    assert last["level"] == "error"
    assert last["message"].startswith(said)


def test_an_interruption_is_a_line_of_json_too(server: MockServer) -> None:
    server.faults = Faults(latency=0.01)
    when(lambda: len(server.students) >= 4, interrupt)

    done = sync(family(*(child(f"s-{n}") for n in range(300))), "--log-format", "json")

    logged = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.exit_code == 75
    assert [each["level"] for each in logged if "Ctrl-C" in each["message"]] == ["warning"]


def test_a_log_of_text_is_a_line_for_each_event(server: MockServer) -> None:
    done = sync(family(), "--log-format", "text")

    assert all(
        re.match(r"\d{4}-\d\d-\d\d .* INFO timeback_async\.sync ", line)
        for line in done.stderr.splitlines()
    )
    assert "5 changes: 5 saved; 0 unchanged" in done.stderr


def progress(*arguments: object, **environ: str) -> list[dict[str, Any]]:
    """Run `sync` and return the lines of its log that tell how far it has come."""
    done = sync(*arguments, "--log-format", "json", **environ)
    assert done.exit_code == 0
    return [line for text in done.stderr.splitlines() if "phase" in (line := json.loads(text))]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log a run's progress more often than anybody wants."""
    monkeypatch.setattr(_progress, "REDRAW", 0.005)
    monkeypatch.setattr(_progress, "LOG_EVERY", 0.02)


@pytest.mark.usefixtures("often")
def test_the_log_tells_now_and_then_how_far_a_run_has_come(server: MockServer) -> None:
    server.faults = Faults(latency=0.02)
    children = [child(f"s-{n}", "u-1") for n in range(50)]

    told = progress(family(adult("u-1"), *children), TIMEBACK_MAX_IN_FLIGHT="4")

    for phase, planned in (("people", 51), ("links", 50)):
        own = [line for line in told if line["phase"] == phase]
        reached = [line["done"] for line in own]
        assert {line["planned"] for line in own} == {planned}
        assert reached == sorted(reached)
        assert max(reached) < planned
    moved = next(line for line in told if line["per_second"] > 0)
    assert moved["message"].startswith(f"{moved['phase']}: {moved['done']} of ")
    left = (moved["planned"] - moved["done"]) / moved["per_second"]
    assert moved["seconds_left"] == pytest.approx(left, abs=1)
    assert (moved["retries"], moved["throttled"], moved["window"]) == (0, 0, 4)


@pytest.mark.usefixtures("often")
def test_the_log_tells_of_a_server_that_does_not_answer(server: MockServer) -> None:
    server.faults = Faults(latency=0.3)

    told = progress(family())

    first = told[0]
    assert (first["phase"], first["done"], first["planned"]) == ("people", 0, 3)
    assert (first["per_second"], first["seconds_left"]) == (0, None)
    assert {line["phase"] for line in told if not line["done"]} == {"people", "links"}


def test_a_short_run_logs_no_progress(server: MockServer) -> None:
    assert "· window" not in sync(family(), "--log-format", "text").stderr


def test_ids_that_would_move_the_cursor_or_change_colour_are_shown_as_text(
    server: MockServer,
) -> None:
    path = Path("people.jsonl")
    people = [wire_student(own) for own in ("s[red]x", "s\u202ex")]
    path.write_text("\n".join(json.dumps({"student": each}) for each in people))

    done = sync(path, "--dry-run")

    assert "create student s[red]x" in done.stdout
    assert r"create student 's\u202ex'" in done.stdout
    assert not {"\x1b", "\u202e"} & set(done.output)


def test_what_a_manifest_says_cannot_move_the_cursor(server: MockServer) -> None:
    done = sync(family(child("s-1"), version="1.2\x1b[2J"), "--dry-run")

    assert "\x1b" not in done.output


def test_a_run_is_drawn_over_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    trace = Trace(clock)
    for done in (100, 12_400):
        clock.now += 1
        trace.note(done, statistics(throttled=done // 100, window=0.25))
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    screen = Console(record=True, width=80, file=file)
    monkeypatch.setattr(_chart, "out", screen)

    _chart.print_chart(trace)
    _chart.print_chart(Trace(clock))

    drawn = screen.export_text().splitlines()
    assert drawn[0].strip() == "Over 2.0 s"
    assert re.fullmatch(r" records/s +.{24}█{24} +max 12,300 *", drawn[1])
    assert re.fullmatch(r" window +.{48} +max 0.25 *", drawn[2])
    assert re.fullmatch(r" throttled/s +.{48} +max 123 *", drawn[3])
    assert len(drawn) == 4


@pytest.mark.parametrize("shortest", [0.0, 60.0])
def test_a_run_that_took_its_time_ends_with_a_chart(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, shortest: float
) -> None:
    monkeypatch.setattr(_report_screen, "SHORTEST_CHART", shortest)

    done = sync(family())

    assert ("records/s" in done.stdout.partition("Over ")[2]) == (shortest == 0.0)


def test_a_chart_is_drawn_with_plain_characters_where_there_are_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(_chart, "out", Console(width=80, file=file))
    clock = Clock()
    trace = Trace(clock)
    clock.now += 1
    trace.note(100, statistics())

    _chart.print_chart(trace)

    file.flush()
    assert "@" * 48 in file.buffer.getvalue().decode("ascii")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_whatever_the_screen_can_show_a_run_ends_as_it_would(
    server: MockServer, tmp_path: Path, encoding: str
) -> None:
    command = [sys.executable, "-m", "timeback_async", "sync", str(family(*FAMILY)), "--dry-run"]

    done = subprocess.run(
        command, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False
    )

    assert done.returncode == 0
    assert b"nothing was sent" in done.stdout
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["--dry-run"], ["--dry-run", "--json"]])
def test_an_output_that_cannot_be_written_is_one_line(
    server: MockServer, arguments: list[str]
) -> None:
    command = [sys.executable, "-m", "timeback_async", "sync", str(family(*FAMILY)), *arguments]

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "error: cannot write the output: No space left on device\n"
