"""The commands as a user runs them, against a mock server that runs beside them."""

import asyncio
import io
import json
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import interrupt, run, when
from tests.support.records import student, wire_student
from timeback_async import TimebackSession, __version__
from timeback_async._flow import token as _token
from timeback_async._flow.grant import Token
from timeback_async._flow.token import TokenStore
from timeback_async.cli import _demo_run, _signals, _sync_run, _upsert_batch, _upsert_run, main
from timeback_async.cli._screen import printable
from timeback_async.testing import Faults, MockServer

PEOPLE = """\
sourcedId,status,enabledUser,orgSourcedIds,role,username,givenName,familyName,email,agentSourcedIds
s-1,,true,org-1,student,ada,Canary-Ada,Canary-Byron,canary@example.com,p-1
p-1,,true,org-1,parent,,Canary-Annabella,Canary-Byron,canary2@example.com,
s-2,,maybe,org-1,student,alan,Canary-Alan,Canary-Turing,,
"""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "users.csv"
    path.write_text(PEOPLE)
    return path


def student_file(path: Path, number: int) -> Path:
    lines = [json.dumps({"student": wire_student(f"s-{n}", username=None)}) for n in range(number)]
    path.write_text("\n".join(lines))
    return path


# -- upsert


def test_upsert_sends_what_is_valid_and_says_what_is_not(server: MockServer, people: Path) -> None:
    done = run("upsert", people)

    assert done.exit_code == 1
    assert server.students["s-1"]["givenName"] == "Canary-Ada"
    assert list(server.users) == ["p-1"]
    assert len(server.agents) == 1
    assert "users.csv:4" in done.stdout
    assert "enabledUser" in done.stdout


def test_nothing_personal_is_on_screen(server: MockServer, people: Path) -> None:
    server.faults = Faults(statuses={422: 1.0})

    shown = [run("upsert", people).output, run("upsert", people, "--json").output]

    assert not any("anary" in text for text in shown)


def test_all_saved_is_exit_code_0_and_json_for_a_machine(
    server: MockServer, tmp_path: Path
) -> None:
    done = run("upsert", student_file(tmp_path / "a.jsonl", 5), "--json", "--max-in-flight", 2)

    report = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (report["planned"], report["saved"], report["exit"]) == (5, 5, 0)
    assert server.peak_in_flight <= 2


def test_json_names_each_row_that_is_left_out(server: MockServer, people: Path) -> None:
    report = json.loads(run("upsert", people, "--json", "--max-rate", 1000).stdout)

    assert report["failures"] == []  # of a record; the row is a finding
    (finding,) = [each for each in report["findings"] if each["severity"] == "error"]
    assert finding["first"].startswith("users.csv:4: enabledUser: a value is not valid")


def test_a_dry_run_checks_everything_and_needs_no_credentials(
    server: MockServer, people: Path
) -> None:
    done = run("upsert", people, "--dry-run", TIMEBACK_CLIENT_ID="", TIMEBACK_CLIENT_SECRET="")

    assert done.exit_code == 1
    assert "nothing was sent" in done.stdout
    assert server.requests == server.token_requests == 0


def test_failures_go_to_a_private_file_that_can_be_sent_again(
    server: MockServer, tmp_path: Path
) -> None:
    server.faults = Faults(statuses={400: 0.5}, seed=1)
    out = tmp_path / "failures.jsonl"

    first = run("upsert", student_file(tmp_path / "a.jsonl", 20), "--failures", out)
    server.faults = Faults()
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    second = run("upsert", out)

    assert (first.exit_code, second.exit_code) == (1, 0)
    assert 0 < len(lines) < 20
    assert lines[0]["_failure"]["status"] == 400
    assert lines[0]["_failure"]["outcome"] == "failed"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert len(server.students) == 20


def test_a_broken_line_is_in_the_failures_with_file_line_and_text(
    server: MockServer, tmp_path: Path
) -> None:
    source, out = tmp_path / "a.jsonl", tmp_path / "failures.jsonl"
    source.write_text('{"student":\n')

    run("upsert", source, "--failures", out)

    failure = json.loads(out.read_text())["_failure"]
    assert (failure["file"], failure["line"], failure["outcome"]) == ("a.jsonl", 1, "invalid")
    assert failure["text"] == '{"student":'


def test_what_was_never_read_is_in_the_failures_too(server: MockServer, tmp_path: Path) -> None:
    out = tmp_path / "failures.jsonl"
    arguments = (student_file(tmp_path / "a.jsonl", 500), "--failures", out)

    refused = run("upsert", *arguments, TIMEBACK_CLIENT_SECRET="wrong")
    again = run("upsert", out)

    assert (refused.exit_code, again.exit_code) == (2, 0)
    assert f"{out} holds all that was not sent." in refused.stdout
    assert len(refused.output.splitlines()) == 2
    assert len(server.students) == 500


def test_more_failures_than_fit_on_a_screen_are_counted(server: MockServer, tmp_path: Path) -> None:
    server.faults = Faults(statuses={400: 1.0})

    done = run("upsert", student_file(tmp_path / "a.jsonl", 25))

    assert "… and 22 more." in done.stdout
    assert "--failures OUT.jsonl writes all of them to a file." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (["gone.jsonl"], {}, "gone.jsonl"),
        (["{file}"], {"TIMEBACK_CLIENT_ID": ""}, "TIMEBACK_CLIENT_ID"),
        (["{file}"], {"TIMEBACK_TRANSPORT": "x"}, "TIMEBACK_TRANSPORT: "),
        (["{file}"], {"TIMEBACK_MAX_IN_FLIGHT": "0"}, "TIMEBACK_MAX_IN_FLIGHT: "),
        (["{file}", "--max-rate", "0"], {}, "--max-rate: "),
        (["{file}", "--failures", "{file}"], {}, "must not be one of the files read"),
        (["{file}", "--failures", "{dir}/no/such"], {}, "No such file"),
    ],
)
def test_what_cannot_even_begin_is_exit_code_2_and_nothing_is_sent(
    server: MockServer,
    tmp_path: Path,
    arguments: list[str],
    environ: dict[str, str],
    words: str,
) -> None:
    file = student_file(tmp_path / "a.jsonl", 1)
    filled = [argument.format(file=file, dir=tmp_path) for argument in arguments]

    done = run("upsert", *filled, **environ)

    assert done.exit_code == 2
    assert words in done.stderr
    assert server.requests == 0


def test_refused_credentials_are_exit_code_2_with_the_reason(
    server: MockServer, tmp_path: Path
) -> None:
    file = student_file(tmp_path / "a.jsonl", 3)

    done = run("upsert", file, TIMEBACK_CLIENT_SECRET="wrong")

    assert done.exit_code == 2
    assert "invalid_client" in done.stderr
    assert server.token_requests == 1


def test_a_run_that_ends_early_after_some_records_is_exit_code_1(
    server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def records(batch: Any) -> Iterator[Any]:
        yield next(batch.changes()), student()
        raise ValueError("canary")

    monkeypatch.setattr(_upsert_batch.Batch, "as_read", records)

    done = run("upsert", student_file(tmp_path / "a.jsonl", 2))

    assert done.exit_code == 1
    assert "the source raised ValueError" in done.stderr
    assert "canary" not in done.output


# -- Ctrl-C


def test_the_first_ctrl_c_finishes_what_is_in_flight(server: MockServer, tmp_path: Path) -> None:
    server.faults = Faults(latency=0.02)
    when(lambda: len(server.students) >= 10, interrupt)

    done = run("upsert", student_file(tmp_path / "a.jsonl", 2000), "--json", "--max-in-flight", 4)

    report = json.loads(done.stdout)
    assert done.exit_code == 75
    assert report["saved"] == len(server.students) < report["planned"] == 2000
    assert report["not_reached"] == 2000 - report["saved"]
    assert not report["ok"]
    assert "Ctrl-C again" in done.stderr


def test_an_interrupted_run_says_how_much_it_never_read(server: MockServer, tmp_path: Path) -> None:
    server.faults = Faults(latency=0.02)
    when(lambda: len(server.students) >= 10, interrupt)

    done = run("upsert", student_file(tmp_path / "a.jsonl", 2000), "--max-in-flight", 4)

    assert done.exit_code == 75
    assert f"{2000 - len(server.students):,} not reached" in done.stdout


def test_the_second_ctrl_c_cancels_what_is_in_flight(server: MockServer, tmp_path: Path) -> None:
    server.faults = Faults(latency=1.5)
    out = tmp_path / "failures.jsonl"

    def twice() -> None:
        interrupt()
        time.sleep(0.05)
        interrupt()

    when(lambda: server.requests >= 4, twice)
    arguments = ("--json", "--max-in-flight", 4, "--failures", out)

    done = run("upsert", student_file(tmp_path / "a.jsonl", 2000), *arguments)

    report = json.loads(done.stdout)
    outcomes = [json.loads(line)["_failure"]["outcome"] for line in out.read_text().splitlines()]
    assert done.exit_code == 75
    assert (report["unknown"], report["not_reached"]) == (4, 1996)
    assert outcomes == ["unknown"] * 4 + ["not_sent"] * 1996


def test_waiting_for_what_is_in_flight_has_an_end(
    server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_signals, "DRAIN", 0.01)
    server.faults = Faults(latency=1.5)
    when(lambda: server.requests >= 1, interrupt)

    done = run("upsert", student_file(tmp_path / "a.jsonl", 1), "--json")

    assert done.exit_code == 75
    assert json.loads(done.stdout)["unknown"] == 1


@pytest.mark.parametrize("command", ["upsert", "sync"])
def test_ctrl_c_after_the_last_answer_costs_no_report(
    server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    class Closing(TimebackSession):
        async def aclose(self) -> None:
            try:
                for _ in range(2):
                    interrupt()
                    await asyncio.sleep(0.01)
            finally:
                await super().aclose()

    monkeypatch.setattr(_upsert_run, "TimebackSession", Closing)
    monkeypatch.setattr(_sync_run, "TimebackSession", Closing)

    done = run(command, student_file(tmp_path / "a.jsonl", 5), "--json")

    report = json.loads(done.stdout)
    assert (done.exit_code, report["exit"], len(server.students)) == (0, 0, 5)


def test_ctrl_c_elsewhere_is_exit_code_75_without_a_traceback(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = Faults(latency=5.0)
    when(lambda: server.token_requests >= 1, interrupt)

    done = run("agents", "s-1")

    assert done.exit_code == 75, (done.output, done.exception)


# -- the other commands


@pytest.mark.parametrize("faults", ["none", "some"])
def test_the_demonstration_proves_that_everything_arrived(faults: str) -> None:
    done = run("demo", "--records", 200, "--faults", faults)

    assert done.exit_code == 0, done.output
    assert "Proven" in done.stdout
    assert "school:21" in done.stdout
    assert "records/s" in done.stdout
    assert " window " in done.stdout
    assert "What to do next" in done.stdout


@pytest.fixture
def server_within(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a demonstration its server within this process, which takes no second to start."""

    @asynccontextmanager
    async def within(faults: str, seed: int) -> AsyncIterator[dict[str, str]]:
        async with MockServer(faults=Faults.preset(faults, seed)) as server:
            own = {"client_id": server.client_id, "client_secret": server.client_secret}
            yield {"base_url": server.base_url, **own}

    monkeypatch.setattr(_demo_run, "_server", within)


@pytest.mark.usefixtures("server_within")
def test_the_demonstration_notices_a_record_that_did_not_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = _demo_run._entries

    def all_but_one(school: Any) -> Iterator[Any]:
        entries = real(school)
        next(entries)
        yield from entries

    monkeypatch.setattr(_demo_run, "_entries", all_but_one)

    done = run("demo", "--records", 50, "--faults", "none")

    assert done.exit_code == 1
    assert "Not proven" in done.stdout


@pytest.mark.usefixtures("server_within")
def test_an_interrupted_demonstration_prints_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    real = _demo_run._entries

    def entries(school: Any) -> Iterator[Any]:
        for number, entry in enumerate(real(school)):
            if number == 100:
                interrupt()
                time.sleep(0.01)  # until the signal is there
            yield entry

    monkeypatch.setattr(_demo_run, "_entries", entries)

    done = run("demo", "--records", 5000)
    told = json.loads(run("demo", "--records", 5000, "--json").stdout)

    assert (told["error"], told["exit"], told["ok"]) == ("interrupted", 75, False)
    assert done.exit_code == 75
    assert "not reached" in done.stdout
    assert "The run ended early: interrupted" in done.stderr


@pytest.mark.usefixtures("server_within")
def test_the_demonstration_says_when_it_ended_early(monkeypatch: pytest.MonkeyPatch) -> None:
    def entries(school: Any) -> Iterator[Any]:
        yield 1, school[0][0]
        raise ValueError

    monkeypatch.setattr(_demo_run, "_entries", entries)

    done = run("demo", "--records", 50)

    assert done.exit_code == 1
    assert "The run ended early" in done.stderr


@pytest.mark.parametrize("command", ["demo", "mock-server"])
def test_unknown_faults_are_exit_code_2(command: str) -> None:
    done = run(command, "--faults", "earthquake")

    assert done.exit_code == 2
    assert "storm" in done.stderr


def test_agents_lists_the_people_linked_to_a_student(server: MockServer, people: Path) -> None:
    run("upsert", people)

    shown, found = run("agents", "s-1"), json.loads(run("agents", "s-1", "--json").stdout)

    assert "p-1" in shown.stdout
    assert [(a["userId"], a["relationshipType"]) for a in found["agents"]] == [("p-1", "parent")]


def test_agents_of_nobody_is_exit_code_1(server: MockServer) -> None:
    done = run("agents", "nobody")

    assert done.exit_code == 1
    assert "404" in done.stderr


def test_check_finds_that_all_is_well(server: MockServer) -> None:
    done = run("check")

    assert done.exit_code == 0
    assert done.stdout.count("\nok ") == 3
    assert server.students == {}


def test_check_notes_a_place_without_organisations(server: MockServer) -> None:
    server.orgs.clear()

    assert "is this the right app?" in run("check").stdout


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TIMEBACK_CLIENT_SECRET": "wrong"}, "credentials rejected: check TIMEBACK_CLIENT_ID"),
        ({"TIMEBACK_BASE_URL": "https://nowhere.invalid"}, "unknown host nowhere.invalid"),
        ({"TIMEBACK_BASE_URL": "http://127.0.0.1:1"}, "whether this machine may reach it"),
    ],
)
def test_check_says_in_plain_words_what_is_wrong(
    server: MockServer, environ: dict[str, str], words: str
) -> None:
    done = run("check", **environ)

    assert done.exit_code == 2
    assert words in done.stdout


def test_check_asks_once_with_credentials_that_are_refused(server: MockServer) -> None:
    run("check", TIMEBACK_CLIENT_SECRET="wrong")

    assert server.token_requests == 1


def test_check_knows_an_app_without_the_scope(server: MockServer) -> None:
    server.scopes = ()

    done = run("check")

    assert done.exit_code == 2
    assert "app in draft" in done.stdout


def test_check_knows_a_token_issued_without_the_scope(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(self: TokenStore, scope: str) -> Token:
        return Token("Bearer canary", "something.else", 0.0, inf, inf)

    monkeypatch.setattr(TokenStore, "get", get)

    done = run("check")

    assert done.exit_code == 2
    assert "issued without this scope" in done.stdout


@pytest.mark.parametrize(
    ("status", "words"), [(403, "not allowed"), (500, "HTTP 500"), (302, "HTTP 302")]
)
def test_check_says_what_the_read_came_to(server: MockServer, status: int, words: str) -> None:
    server.faults = Faults(statuses={status: 1.0})

    done = run("check")

    assert done.exit_code == 2
    assert words in done.stdout


def test_check_says_where_a_new_token_is_not_accepted(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_token, "TRIAL", 0.1)
    server.fail(401, method="GET")

    done = run("check")

    assert done.exit_code == 2
    assert "the new token is not accepted there" in done.stdout


def test_the_mock_server_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "timeback_async", "mock-server", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--latency", "0", "--token-lifetime", "60"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    environ = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)

    checked = run("check", **environ)
    process.send_signal(signal.SIGINT)
    process.communicate()

    assert checked.exit_code == 0
    assert process.returncode == 0


def test_a_port_that_is_taken_is_exit_code_2(server: MockServer) -> None:
    port = server.base_url.rpartition(":")[2]

    done = run("mock-server", "--port", port)

    assert done.exit_code == 2
    assert "cannot listen" in done.stderr


def test_version_is_printed() -> None:
    assert run("--version").stdout.strip() == __version__


def test_without_a_command_there_is_help() -> None:
    assert "upsert" in run().output


def test_help_imports_no_commands_work() -> None:
    code = """
import sys
before = set(sys.modules)  # a measurement of coverage brings some of its own
from timeback_async.cli import main
for command in [], ["sync"], ["upsert"], ["state"], ["mock-server"], ["verify"], ["users"]:
    sys.argv = ["timeback-async", *command, "--help"]
    try:
        main()
    except SystemExit as ended:
        print("exit:", ended.code, "imported:", *sorted(set(sys.modules) - before), end="all told")
"""
    work = {
        "aiohttp.web", "rich", "rich.console", "rich.progress", "sqlite3", "uvloop",
        "timeback_async.sync", "timeback_async.testing",
    }  # fmt: skip

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    helps = done.stdout.split("all told")[:-1]
    assert len(helps) == 7
    for number, each in enumerate(helps):
        shown, _, imported = each.partition("exit: 0 imported:")
        modules = set(imported.split())
        assert "Usage: timeback-async" in shown
        assert {"typer", "timeback_async.cli._sync"} <= modules
        assert not modules & work
        # For the options of a command, typer may need it.
        assert number > 0 or "zipfile" not in modules


def test_without_the_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "timeback_async.cli._app")
    monkeypatch.setitem(sys.modules, "typer", None)

    with pytest.raises(SystemExit) as left:
        main()

    assert left.value.code == 2
    assert "pip install 'timeback-async[cli]'" in capsys.readouterr().err


def test_another_missing_module_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "timeback_async.cli._app")
    monkeypatch.setitem(sys.modules, "timeback_async.cli._options", None)
    monkeypatch.delitem(sys.modules, "timeback_async.cli._agents")

    with pytest.raises(ModuleNotFoundError, match="_options"):
        main()


def test_without_uvloop_the_command_runs_on_asyncio(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)

    assert run("check").exit_code == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [("s-1", "s-1"), ("a" * 80, "a" * 63 + "…"), ("a\x1b[2J", r"'a\x1b[2J'")],
)  # fmt: skip
def test_an_id_cannot_move_the_cursor(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_stream_of_another_kind_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "argv", ["timeback-async", "--version"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 0
    assert screen.getvalue() == f"{__version__}\n"
