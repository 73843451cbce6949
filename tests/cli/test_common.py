"""What all commands have in common: help, -v and -q, and one object with --json."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.support.command import family, run
from tests.support.rosters import child
from timeback_async import __version__
from timeback_async.cli import _looking
from timeback_async.cli._app import app
from timeback_async.testing import Faults, MockServer


def words_of(commands: typer.Typer) -> Iterator[str]:
    for each in commands.registered_commands:
        assert each.callback is not None
        yield each.name or each.callback.__name__


COMMANDS = [[word] for word in words_of(app)]
for group in app.registered_groups:
    assert group.typer_instance is not None
    COMMANDS += [[str(group.name), word] for word in words_of(group.typer_instance)]


def told(*arguments: object, **environ: str) -> dict[str, Any]:
    """Run a command with --json; it prints one object, which has its exit code."""
    done = run(*arguments, "--json", **environ)
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["exit"] == done.exit_code
    assert report["ok"] == (done.exit_code == 0)
    assert "error" in report or done.exit_code == 0
    return report


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_and_the_common_options(words: list[str]) -> None:
    shown = run(*words, "-h").stdout

    assert f"Example: timeback-async {' '.join(words)}" in shown
    assert all(option in shown for option in ("-v, --verbose", "-q, --quiet", "-h, --help"))
    assert shown == run(*words, "--help").stdout


def test_long_helps_have_sections() -> None:
    shown = run("sync", "-h").stdout
    sections = [line for line in shown.splitlines() if line.endswith(":") and line[0].isalpha()]

    assert sections == [
        "Arguments:", "State:", "How files are read:", "Who is no longer in the files:",
        "Sending:", "Output:", "Options:",
    ]  # fmt: skip


def test_the_version_has_a_short_option() -> None:
    assert run("-V").stdout == f"{__version__}\n"


# -- one object


@pytest.mark.parametrize(
    "arguments",
    [
        ["agents"],
        ["sync", "family", "--nonsense"],
        ["sync", "family", "--max-rate", "fast"],
        ["upsert", "a.jsonl", "--failures", "a.jsonl"],
        ["upsert", "gone.jsonl"],
        ["check"],
        ["agents", "s-1"],
        ["user", "s-1"],
        ["users", "--fields", "email"],
        ["users"],
        ["orgs"],
        ["verify", "gone"],
        ["export"],
        ["export", "--out", "a.txt"],
        ["export", "--out", "a.jsonl"],
        ["unlink", "gone.jsonl"],
        ["unlink", "s-1", "p-1"],
        ["request", "GET", "/users"],
        ["fleet", "gone"],
        ["state", "show"],
        ["state", "find", "x"],
        ["state", "export"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_whatever_is_wrong_is_one_object(arguments: list[str]) -> None:
    report = told(*arguments, TIMEBACK_CLIENT_ID="", TIMEBACK_CLIENT_SECRET="")

    assert report["exit"] == 2
    assert report["error"]


def test_every_command_that_succeeds_prints_one_object(server: MockServer) -> None:
    family()

    assert told("sync", "family")["saved"] == 5
    assert told("upsert", "family")["saved"] == 5
    assert told("upsert", "family", "--dry-run")["valid"] == 5
    parent = told("agents", "s-1")["agents"][0]["userId"]
    assert told("user", "s-1")["agents"]
    assert told("users")["users"]
    assert told("orgs")["orgs"]
    assert told("verify", "family")["people"]["same"] == 3
    assert told("export", "--out", "all.jsonl")["failures"] == []
    assert told("request", "GET", "/users?limit=1")["body"]["users"]
    assert told("unlink", "s-1", parent)["deleted"] == 1
    assert [each["ok"] for each in told("check")["checks"]] == [True] * 3
    assert told("state", "show")["records"]
    assert told("state", "find", "s-1")["records"]
    assert told("state", "export")["records"]
    assert told("state", "forget", "s-1")["removed"] == 2
    assert told("state", "forget", "s-1")["removed"] == 0
    assert told("demo", "--records", 50, "--faults", "none")["saved"] > 40


def test_what_the_server_refuses_is_one_object(server: MockServer) -> None:
    wrong = {"TIMEBACK_CLIENT_SECRET": "wrong"}

    for look in ("agents", "user"):
        assert told(look, "nobody")["error"].startswith("HTTP 404")
    for command in (["agents", "s-1"], ["sync", str(family())], ["upsert", "family"]):
        assert (
            "check TIMEBACK_CLIENT_ID, TIMEBACK_CLIENT_SECRET" in told(*command, **wrong)["error"]
        )
    assert "credentials rejected" in told("check", **wrong)["error"]


def test_a_defect_is_an_object_and_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(_looking, "config_from_env", broken)

    done = run("agents", "s-1", "--json")

    assert json.loads(done.stdout)["error"] == "a defect: ZeroDivisionError"
    assert isinstance(done.exception, ZeroDivisionError)


def test_wrong_credentials_are_one_line_and_what_to_do(server: MockServer) -> None:
    for command in ("sync", "upsert"):
        done = run(command, family(), TIMEBACK_CLIENT_SECRET="wrong")

        (line,) = done.output.splitlines()
        assert done.exit_code == 2
        assert "check TIMEBACK_CLIENT_ID, TIMEBACK_CLIENT_SECRET" in line
        assert line.endswith("Nothing was sent.")


# -- more or less


def test_quiet_prints_nothing_but_errors(server: MockServer) -> None:
    family()

    assert run("sync", "family", "-q").output == ""
    assert run("check", "-q").output == ""
    assert run("users", "-q").output == ""
    assert run("verify", "family", "-q").output == ""
    assert run("export", "--out", "all.jsonl", "-q").output == ""
    assert "3 saved" in run("upsert", "family").stdout
    assert run("upsert", "gone", "-q").stderr.startswith("error: gone: ")


def test_verbose_prints_the_log(server: MockServer) -> None:
    server.faults = Faults(statuses={503: 0.05}, seed=3)
    path = family(*(child(f"s-{n}") for n in range(50)))

    silent, some, all_ = (run("upsert", path, *how).stderr for how in ([], ["-v"], ["-vv"]))

    assert silent == ""
    assert "INFO timeback_async.sync" in some
    assert "DEBUG" not in some
    assert "DEBUG timeback_async.pool" in all_


# -- where records come from


def test_standard_input_and_gzip_are_read(server: MockServer) -> None:
    record = b'{"student":{"sourcedId":"%s","username":null,"givenName":"A","familyName":"B",'
    record += b'"grades":["5"],"primaryOrg":{"sourcedId":"org-1"}}}\n'
    Path("a.jsonl.gz").write_bytes(gzip.compress(record.replace(b"%s", b"s-1")))

    done = CliRunner().invoke(
        app, ["upsert", "a.jsonl.gz", "-", "--json"], input=record.replace(b"%s", b"s-2") + b"{}\n"
    )

    report = json.loads(done.stdout)
    (finding,) = report["findings"]
    assert (report["saved"], sorted(server.students)) == (2, ["s-1", "s-2"])
    assert finding["first"].startswith("stdin.jsonl:2: ")


def test_a_damaged_gzip_is_said() -> None:
    Path("a.jsonl.gz").write_bytes(b"nothing of the kind")

    assert "a.jsonl: is not a gzip file" in told("upsert", "a.jsonl.gz", "--dry-run")["error"]


def test_upsert_writes_a_report_like_sync(server: MockServer) -> None:
    run("upsert", family(), "--report", "report.html")

    html = Path("report.html").read_text("utf-8")
    assert "all 5 changes are at TimeBack" in html
    assert Path("report.html").stat().st_mode & 0o777 == 0o600


def test_a_dry_run_of_upsert_calls_records_valid(server: MockServer) -> None:
    done = run("upsert", family(), "--dry-run", "--report", "report.html")

    assert "3 valid" in done.stdout
    assert "not sent" not in done.stdout
    assert "5 changes would be sent" in Path("report.html").read_text("utf-8")
