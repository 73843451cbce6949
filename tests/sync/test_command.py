"""`sync` and `state` as an operator runs them, against a mock server that runs beside them."""

import io
import json
import logging
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from rich.console import Console
from typer.testing import Result

from tests.sync.rosters import adult, child, folder, mapping, role, school, users
from tests.test_cli import interrupt, run, when
from tests.test_trace import Clock, statistics
from timeback_async import Config
from timeback_async._trace import Trace
from timeback_async.cli import _chart, _sync
from timeback_async.cli._options_words import as_flags
from timeback_async.errors import ConfigError
from timeback_async.sync import CODES, ReadOptions, State, StateError
from timeback_async.sync._planning.compare import _Planner
from timeback_async.testing import Faults, MockServer, _server

DATA = Path(__file__).parents[3] / "shared" / "data"
FAMILY = (child("s-1", "u-1"), child("s-2", "u-1"), adult("u-1"))
REFUSING = Faults(statuses={422: 1.0})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockServer]:
    """Run a mock server in a thread of its own, and point the environment to it."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(MockServer()) as server,
    ):
        monkeypatch.setenv("TIMEBACK_BASE_URL", server.base_url)
        monkeypatch.setenv("TIMEBACK_CLIENT_ID", server.client_id)
        monkeypatch.setenv("TIMEBACK_CLIENT_SECRET", server.client_secret)
        yield server


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of one's own, as an operator does; the state is there."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    logger = logging.getLogger("timeback_async")
    monkeypatch.setattr(logger, "handlers", [])  # of an earlier run, whose stderr is closed
    monkeypatch.setattr(logger, "level", logger.level)
    return tmp_path / "here"


def family(*people: Mapping[str, str], name: str = "family", **more: Any) -> Path:
    """Write a package with two children and a parent, or with other people."""
    path = Path(name)
    return folder(path, school(*(people or FAMILY), **more))


def sync(*arguments: object, **environ: str) -> Result:
    """Run `sync`; whatever it prints or writes but failures holds nothing personal."""
    done = run("sync", *arguments, **environ)
    told = [done.output, *(path.read_bytes().decode("latin-1") for path in written())]
    assert not [text for text in told if "canary" in text.lower()]
    assert isinstance(done.exception, SystemExit | None)  # and no traceback
    assert "Traceback" not in done.output
    return done


def written() -> list[Path]:
    """Return the state with its companions, and every page."""
    return [path for path in Path().iterdir() if ".db" in path.name or path.suffix == ".html"]


def figures(*arguments: object, **environ: str) -> dict[str, Any]:
    """Run `sync --json` and return what it printed: JSON, and nothing else."""
    report: dict[str, Any] = json.loads(sync(*arguments, "--json", **environ).stdout)
    return report


def words(text: str) -> str:
    """Return a text as it was before it was fitted into a screen."""
    return " ".join(text.split())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


# -- a run


def test_a_school_arrives_and_the_second_run_sends_nothing(server: MockServer) -> None:
    first = sync(family())
    sent = server.requests
    second = sync("family")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert (sorted(server.students), list(server.users)) == (["s-1", "s-2"], ["u-1"])
    assert len(server.agents) == 2
    assert server.requests == sent == 5
    assert "2 students, 1 users, 2" in first.stdout
    assert re.search(r"people +│ +3 │ 3 saved", first.stdout)
    assert re.search(r"unchanged +│ +5 │ not sent", second.stdout)


def test_json_has_every_figure_and_stands_alone_on_stdout(server: MockServer) -> None:
    report = figures(family())

    nothing = {"planned": 0}
    assert report["ok"]
    assert report["exit"] == report["left_out"] == report["unchanged"] == report["retries"] == 0
    assert report["read"] == {"students": 2, "users": 1, "links": 2, "left_out": 0}
    assert report["phases"] == {
        "people": {"planned": 3, "saved": 3},
        "links": {"planned": 2, "saved": 2},
        "unlinks": nothing,
        "deactivations": nothing,
    }
    assert (report["requests"], report["token_requests"]) == (5, 1)
    assert report["error"] == report["stopped"] == ""
    assert not report["dry_run"]


def test_one_changed_row_is_one_request(server: MockServer) -> None:
    sync(family())
    before = server.requests

    report = figures(family(child("s-1", "u-1", grades="06"), *FAMILY[1:]))

    assert server.requests - before == 1
    assert report["unchanged"] == 4
    assert server.students["s-1"]["grades"] == ["6"]


def test_what_the_files_leave_out_is_exit_code_1_and_named_with_what_to_do(
    server: MockServer,
) -> None:
    path = family(child("s-1"), child("s-2", familyName=""), child("s-3", "u-9"))

    done, report = sync(path), figures(path)

    found = {each["code"]: each for each in report["findings"]}
    assert (done.exit_code, report["exit"], report["left_out"]) == (1, 1, 2)
    assert "left out: once users.csv: familyName: a required value is blank" in done.stdout
    assert "users.csv:3" in done.stdout
    assert "To do: fill it in." in done.stdout
    assert found["value-missing"]["first"] == "users.csv:3: familyName: a required value is blank"
    assert found["agent-unknown"]["first"].endswith("is not in users.csv (u-9)")
    assert sorted(server.students) == ["s-1", "s-3"]


def test_what_the_server_refuses_is_exit_code_1_and_sent_again_by_the_next_run(
    server: MockServer,
) -> None:
    server.faults = REFUSING
    refused = sync(family())
    server.faults = Faults()
    again = figures("family")

    assert refused.exit_code == 1
    assert "3 failed" in refused.stdout
    assert "2 not sent" in refused.stdout
    assert again["exit"] == 0
    assert again["phases"]["people"] == {"planned": 3, "saved": 3}


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (["gone.zip"], {}, "gone.zip: No such file or directory"),
        (["empty"], {}, "has no file of people; expected users.csv"),
        (["text.txt"], {}, "is not a folder, a zip file, CSV"),
        (["cut.zip"], {}, "cut.zip: is not a zip file, or is truncated"),
        (["family", "--state", "empty"], {}, "empty: is a folder; name a file"),
        (["family"], {"TIMEBACK_CLIENT_ID": ""}, "TIMEBACK_CLIENT_ID: is not set"),
        (["family"], {"TIMEBACK_BASE_URL": "ftp://x"}, "base_url: must begin with https"),
        (["family", "--max-rate", "0"], {}, "max_rate"),
        (["family", "--max-removals", "many"], {}, "--max-removals: must be a number, or a share"),
        (["family", "--encoding", "utf-9"], {}, "--encoding: 'utf-9' is not known"),
        (["family", "--date-format", "%m/%Y"], {}, "--date-format: must contain %d, %m and %Y"),
        (["family", "--grades", "gone.toml"], {}, "--grades: gone.toml: No such file or directory"),
        (["family", "--org-map", "text.txt"], {}, 'text.txt: must be lines of the form "from"'),
        (["family", "--map", "text.txt"], {}, "--map: text.txt: is not a layout"),
        (["family", "--state", "no/such.db"], {}, "such.db: No such file or directory"),
        (["family", "--state", "text.txt"], {}, "is damaged, or not a state; move it away"),
        (["family", "--failures", "no/such.jsonl"], {}, "such.jsonl: No such file or directory"),
        (["family", "--mode", "both"], {}, "delta"),
        (["family", "--strict"], {}, "differs from the standard: orgs.csv"),
    ],
)
def test_what_cannot_even_begin_is_exit_code_2_says_why_and_sends_nothing(
    server: MockServer, arguments: list[str], environ: dict[str, str], words: str
) -> None:
    family(*FAMILY)
    Path("cut.zip").write_bytes(b"PK\x03\x04")
    folder(Path("empty"), {})
    Path("text.txt").write_text("a roster?")

    done = sync(*arguments, **environ)

    assert done.exit_code == 2
    assert words in done.stderr
    assert server.requests == server.token_requests == 0


def test_refused_credentials_are_exit_code_2_with_the_reason(server: MockServer) -> None:
    done = sync(family(), TIMEBACK_CLIENT_SECRET="wrong")
    again = sync("family")

    assert done.exit_code == 2
    assert "error: check client_id, client_secret" in done.stderr
    assert server.token_requests == 2
    assert again.exit_code == 0


def test_a_run_that_the_server_ends_after_some_requests_is_exit_code_1(server: MockServer) -> None:
    server.faults = Faults(statuses={403: 1.0})

    report = figures(family())

    assert report["requests"] > 0
    assert report["exit"] == 1
    assert "403" in report["error"]
    assert report["stopped"] == report["error"]


def test_a_run_that_could_not_even_begin_leaves_nothing_that_stands_in_the_way(
    server: MockServer,
) -> None:
    family()

    done = [
        sync("gone.zip"),
        sync("family", TIMEBACK_CLIENT_ID="a-typo"),
        sync("family", "--state-ids", "plain"),
    ]

    assert [each.exit_code for each in done] == [2, 2, 0]


@pytest.mark.parametrize("option", ["--state", "--failures", "--report"])
@pytest.mark.parametrize("taken", ["users.csv", "family/users.csv", "other"])
def test_no_file_is_written_over_the_roster_or_over_another(
    server: MockServer, option: str, taken: str
) -> None:
    family()
    users(Path(), Path("family/users.csv").read_text())
    roster = "family" if taken == "family/users.csv" else "users.csv"
    other = "--report" if option == "--failures" else "--failures"

    done = sync(roster, option, taken, other, "other")

    assert done.exit_code == 2
    assert "must not be" in done.stderr
    assert Path("users.csv").read_text() == Path("family/users.csv").read_text() != ""
    assert not Path("other").exists()
    assert server.requests == 0


def test_a_refusal_is_told_to_machines_and_takes_the_place_of_an_older_report(
    server: MockServer,
) -> None:
    sync(family(*FAMILY), "--report", "report.html")

    arguments = ("--deactivate-absent", "--report", "report.html", "--json")
    done = sync(family(FAMILY[0], FAMILY[2]), *arguments)

    told = json.loads(done.stdout)
    assert done.exit_code == told["exit"] == 2
    assert "but only 0 may be" in told["error"] == told["stopped"]
    assert not told["ok"]
    assert "all is well" not in Path("report.html").read_text("utf-8")
    assert "but only 0 may be" in Path("report.html").read_text("utf-8")


def test_who_is_to_be_deactivated_is_named_as_far_as_the_state_knows(server: MockServer) -> None:
    for ids, words in (("plain", "deactivate student s-2"), ("hashed", "student hashed id ")):
        state = ("--state", f"{ids}.db", "--state-ids", ids)
        sync(family(*FAMILY), *state)

        fewer = family(FAMILY[0], FAMILY[2], name="fewer")
        absent = ("--deactivate-absent", "--max-removals", "1", "--dry-run", "--json")
        (sample,) = json.loads(sync(fewer, *state, *absent).stdout)["samples"]["deactivations"]

        assert words in sample


# -- options


def test_every_option_of_reading_gets_to_the_reader(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def read(*arguments: Any) -> None:
        given.extend(arguments)
        raise ConfigError("enough")

    monkeypatch.setattr(_sync, "read_roster", read)

    sync(
        "family", "--strict", "--encoding", "cp1252", "--map", "a.toml", "--org-map", "b.toml",
        "--default-org", "org-1", "--grades", "c.toml", "--relationship", "guardian",
        "--date-format", "%d/%m/%Y", "--mode", "delta",
    )  # fmt: skip

    assert given == [
        Path("family"),
        ReadOptions(
            strict=True,
            encoding="cp1252",
            layout=Path("a.toml"),
            org_map=Path("b.toml"),
            default_org="org-1",
            grades="c.toml",
            relationship="guardian",
            date_format="%d/%m/%Y",
            mode="delta",
        ),
    ]


def test_every_option_that_a_finding_advises_exists() -> None:
    advice = " ".join(as_flags(code.advice) for code in CODES.values())
    advised = set(re.findall(r"--[a-z-]+", advice))

    helped = run("sync", "--help", COLUMNS="200").output

    assert len(advised) == 9
    assert {name for name in advised if name not in helped} == set()


@pytest.mark.parametrize(("grades", "sent"), [("none", "05"), ("ceds-to-timeback", "5")])
def test_grades_are_translated_unless_that_is_not_wanted(
    server: MockServer, grades: str, sent: str
) -> None:
    sync(family(), "--grades", grades)

    assert server.students["s-1"]["grades"] == [sent]


def test_columns_of_other_names_are_read_through_a_map(server: MockServer) -> None:
    users(Path(), "Nr;Vorname;Nachname;Login\n7;CanaryA;CanaryB;canary-7\n", "schueler.csv")
    layout = mapping(
        Path("map.toml"),
        """
        [schueler]
        target = "users"
        constants = {role = "student", enabledUser = "true"}
        [schueler.columns]
        Nr = "sourcedId"
        Vorname = "givenName"
        Nachname = "familyName"
        Login = "username"
        """,
    )

    done = sync("schueler.csv", "--map", layout, "--default-org", "org-9")

    assert done.exit_code == 0
    assert server.students["7"]["primaryOrg"]["sourcedId"] == "org-9"


def test_no_more_requests_are_in_flight_or_in_a_second_than_is_said(server: MockServer) -> None:
    server.faults = Faults(latency=0.01)

    sync(family(*(child(f"s-{n}") for n in range(20))), "--max-in-flight", 2, "--max-rate", 1000)

    assert server.peak_in_flight == 2


def test_ids_are_kept_as_the_first_run_was_told(server: MockServer) -> None:
    sync(family(), "--state", "plain.db", "--state-ids", "plain")
    sync("family", "--state", "hashed.db")
    changed = sync("family", "--state", "hashed.db", "--state-ids", "plain")

    assert b"s-1" in Path("plain.db").read_bytes()
    assert b"s-1" not in Path("hashed.db").read_bytes()
    assert changed.exit_code == 2
    assert "keeps hashed ids" in changed.stderr


# -- what is absent


def test_who_is_absent_is_left_alone_and_mentioned(server: MockServer) -> None:
    sync(family())

    done = sync(family(child("s-1"), adult("u-1")))

    assert done.exit_code == 0
    assert "No longer in the files: 1 links, 1 students. They are left" in words(done.stdout)
    assert server.students["s-2"]["status"] == "active"
    assert len(server.agents) == 2


def test_who_is_absent_is_removed_where_that_is_asked_for(server: MockServer) -> None:
    sync(family())

    family(child("s-1"), adult("u-1"))
    report = figures("family", "--deactivate-absent", "--unlink-absent", "--max-removals", "50%")

    assert report["exit"] == 0
    assert report["phases"]["deactivations"] == {"planned": 1, "saved": 1}
    assert report["phases"]["unlinks"] == {"planned": 1, "deleted": 1}
    assert server.students["s-2"]["status"] == "tobedeleted"
    assert len(server.agents) == 1


@pytest.mark.parametrize("is_dry", [False, True])
def test_too_many_removals_are_exit_code_2_before_the_first_request(
    server: MockServer, is_dry: bool
) -> None:
    sync(family())
    before = server.requests

    family(child("s-1", "u-1", grades="07"))
    done = sync("family", "--deactivate-absent", *(["--dry-run"] if is_dry else []))

    assert done.exit_code == 2
    assert "2 people are no longer in the files and would be removed" in done.stderr
    assert "but only 0 may be" in done.stderr
    assert server.requests == before


# -- dry runs


def test_a_dry_run_needs_no_credentials_makes_no_state_and_sends_nothing(
    server: MockServer, here: Path
) -> None:
    done = sync(family(), "--dry-run", TIMEBACK_CLIENT_ID="", TIMEBACK_CLIENT_SECRET="")

    assert done.exit_code == 0
    assert "create student s-1" in done.stdout
    assert "link agent s-1" in done.stdout
    assert "nothing was sent" in done.stdout
    assert [path.name for path in here.iterdir()] == ["family"]
    assert server.requests == server.token_requests == 0


def test_a_dry_run_compares_with_the_state_and_leaves_it_as_it_is(server: MockServer) -> None:
    sync(family())
    before = Path("timeback-state.db").read_bytes()

    more = (child(f"s-{number}") for number in range(3, 9))
    report = figures(family(*FAMILY, *more), "--dry-run", TIMEBACK_CLIENT_ID="")

    assert report["samples"] == {"people": [f"create student s-{n}" for n in (3, 4, 5)]}
    assert (report["unchanged"], report["dry_run"], report["exit"]) == (5, True, 0)
    assert Path("timeback-state.db").read_bytes() == before


def test_a_dry_run_of_files_with_errors_is_exit_code_1(server: MockServer) -> None:
    assert sync(family(child("s-1", role="")), "--dry-run").exit_code == 1


# -- failures


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_failures_go_to_a_private_file_that_can_be_sent_again(
    server: MockServer, command: str
) -> None:
    server.faults = REFUSING

    done = sync(family(), "--failures", "failures.jsonl")
    server.faults = Faults()
    kept = Path("failures.jsonl")
    again = run(command, kept)

    reasons = [each["_failure"] for each in lines(kept)]
    assert (done.exit_code, again.exit_code) == (1, 0)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert sorted(next(iter(each)) for each in lines(kept)) == ["agent"] * 2 + ["student"] * 2 + [
        "user"
    ]
    assert {each["status"] for each in reasons} == {422, None}
    assert {each["outcome"] for each in reasons} == {"failed", "not_sent"}
    assert {each["file"] for each in reasons} == {"users.csv"}
    assert {each["line"] for each in reasons} == {2, 3, 4}
    assert (len(server.students), len(server.users), len(server.agents)) == (2, 1, 2)


def test_a_link_that_was_not_deleted_is_no_record_to_send_again(server: MockServer) -> None:
    sync(family())
    server.faults = Faults(statuses={400: 1.0})

    family(child("s-1"), *FAMILY[1:])
    wanted = ("--unlink-absent", "--max-removals", "1", "--failures", "failures.jsonl")
    report = figures("family", *wanted)

    assert report["exit"] == 1
    assert report["phases"]["unlinks"] == {"planned": 1, "failed": 1}
    assert lines(Path("failures.jsonl")) == []


def test_a_file_that_everybody_could_read_becomes_private_before_anything_is_in_it(
    server: MockServer,
) -> None:
    kept = Path("failures.jsonl")
    kept.write_text("yesterday's")
    kept.chmod(0o644)

    sync(family(), "--failures", kept)

    assert kept.read_bytes() == b""
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_what_was_not_done_is_named_with_place_id_and_reason(server: MockServer) -> None:
    server.faults = REFUSING

    done, report = sync(family()), figures("family")

    assert re.search(r"users\.csv:2 │ student +│ s-1 +│ failed +│ HTTP 422", done.stdout)
    assert "--failures OUT.jsonl keeps such records" in done.stdout
    first = report["failures"][0]
    assert (first["where"], first["id"], first["outcome"]) == ("users.csv:2", "s-1", "failed")
    assert first["reason"].startswith("HTTP 422")


def test_a_server_that_repeats_what_it_was_sent_makes_nothing_personal_known(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise _server._Refusal(422, "s-1@canary.example of Canarys-1 Canary is taken")

    monkeypatch.setattr(MockServer, "_put_student", refuse)

    arguments = ("--report", "report.html", "--failures", "failures.jsonl", "--log-format", "json")
    done = sync(family(child("s-1")), *arguments)

    assert done.exit_code == 1
    assert "is taken" in Path("report.html").read_text("utf-8")
    assert "anary" not in lines(Path("failures.jsonl"))[0]["_failure"]["reason"]


def test_of_much_that_was_not_done_the_first_is_named_and_the_rest_counted(
    server: MockServer,
) -> None:
    server.faults = REFUSING

    done = sync(family(*(child(f"s-{n}") for n in range(25))), "--failures", "failures.jsonl")

    assert done.stdout.count("HTTP 422") == 3
    assert "… and 22 more." in done.stdout
    assert "failures.jsonl holds them all" in done.stdout


def test_a_failure_that_could_not_be_completed_is_kept_without_a_record(
    server: MockServer,
) -> None:
    teacher = {name: cell for name, cell in adult("t-1").items() if name != "role"}
    del teacher["orgSourcedIds"]
    sync(family(teacher, version="1.2", roles=[role("t-1", "teacher")]))
    coach = {"roleType": "secondary", "role": "ext:coach", "org": {"sourcedId": "school"}}
    server.users["t-1"]["roles"].append(coach)
    before = list(server.users["t-1"]["roles"])

    aide = family(teacher, version="1.2", mode="delta", roles=[role("t-1", "aide", "secondary")])
    sync(aide, "--failures", "failures.jsonl")
    (kept,) = lines(Path("failures.jsonl"))
    sync("failures.jsonl")

    assert kept.keys() == {"_failure"}
    assert server.users["t-1"]["roles"] == before


def test_failures_of_a_delta_keep_the_birth_dates_that_the_server_has(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(family(demographics=[{"sourcedId": "s-1", "birthDate": "2013-11-25"}]))
    family(child("s-1", "u-1", grades="07"), mode="delta", name="delta")

    def refuse(*_: object) -> None:
        raise _server._Refusal(422, "not now")

    with monkeypatch.context() as patched:
        patched.setattr(MockServer, "_put_student", refuse)
        refused = sync("delta", "--failures", "failures.jsonl")
    again = sync("failures.jsonl")

    assert (refused.exit_code, again.exit_code) == (1, 0)
    assert server.students["s-1"]["grades"] == ["7"]
    assert server.students["s-1"]["demographics"] == {"birthDate": "2013-11-25"}


def test_who_came_through_the_failures_is_missed_when_absent_later(server: MockServer) -> None:
    server.faults = REFUSING
    sync(family(), "--failures", "failures.jsonl")
    server.faults = Faults()
    sync("failures.jsonl")
    sync("family")

    family(*FAMILY[1:])
    report = figures("family", "--deactivate-absent", "--max-removals", 1)

    assert report["phases"]["deactivations"] == {"planned": 1, "saved": 1}
    assert server.students["s-1"]["status"] == "tobedeleted"


def test_a_run_in_the_folder_of_the_roster_can_be_repeated(server: MockServer) -> None:
    folder(Path(), school(*FAMILY))
    outputs = ("--failures", "failures.jsonl", "--report", "report.html")

    codes = [sync(".", *outputs).exit_code for _ in range(2)]

    assert codes == [0, 0]


@pytest.mark.parametrize("option", ["--failures", "--report"])
def test_a_full_disk_under_what_is_written_beside_the_state_is_said_and_nothing_is_lost(
    server: MockServer, option: str
) -> None:
    server.faults = Faults(statuses={400: 1.0}) if option == "--failures" else Faults()

    done = sync(family(*(child(f"s-{n}") for n in range(100))), option, "/dev/full")
    server.faults = Faults()
    again = figures("family")

    assert done.exit_code == 1
    assert words(done.stderr).count("/dev/full: No space left on device") == 1
    assert again["exit"] == 0
    assert len(server.students) == 100


# -- report, log and progress


def test_a_report_is_written_as_a_page(server: MockServer) -> None:
    done = sync(family(), "--report", "report.html")

    html = Path("report.html").read_text("utf-8")
    assert done.exit_code == 0
    assert "5 of 5 changes are at the server" in html


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


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["gone.zip"], {}, "gone.zip: No such file or directory"),
        (["family"], {"TIMEBACK_CLIENT_SECRET": "wrong"}, "check client_id, client_secret"),
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
    monkeypatch.setattr(_sync, "REDRAW", 0.005)
    monkeypatch.setattr(_sync, "LOG_EVERY", 0.02)


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


def test_each_phase_with_something_to_do_has_a_bar(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sync, "REDRAW", -1.0)

    done = sync(family())

    assert re.search(r"people .*3/3.*\n.*links .*2/2", done.stderr)
    assert "unlinks" not in done.stderr


def test_ids_that_would_move_the_cursor_or_change_colour_are_shown_as_text(
    server: MockServer,
) -> None:
    people = child("s[red]x", "u\x1b[2J"), child("s\u202ex")

    done = sync(family(*people), "--dry-run")

    assert "create student s[red]x" in done.stdout
    assert r"create student 's\u202ex'" in done.stdout
    assert r"'u\x1b[2J'" in done.stdout
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
    assert done.stderr == "error: the output could not be written: No space left on device\n"


# -- interruptions


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
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
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
    def read(*_: object) -> None:
        interrupt()
        time.sleep(0.2)
        raise ConfigError("too late")

    monkeypatch.setattr(_sync, "read_roster", read)

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


# -- the state


def test_the_state_is_shown_in_numbers(server: MockServer) -> None:
    sync(family())

    shown, found = run("state", "show"), json.loads(run("state", "show", "--json").stdout)

    records = {(each["kind"], each["outcome"]): each["count"] for each in found["records"]}
    assert shown.exit_code == 0
    assert f"endpoint: {server.base_url}" in shown.stdout
    assert re.search(r"student +│ saved +│ 2 ", shown.stdout)
    assert records == {("agent", "saved"): 2, ("student", "saved"): 2, ("user", "saved"): 1}
    assert (found["ids"], found["endpoint"]) == ("hashed", server.base_url)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["last_run"])


def test_a_state_that_has_seen_no_run_says_so() -> None:
    State("new.db").close()

    assert "last run: never" in run("state", "show", "--state", "new.db").stdout


def test_the_state_is_exported_without_hashes(server: MockServer) -> None:
    sync(family(), "--state-ids", "plain")

    rows = [json.loads(line) for line in run("state", "export").stdout.splitlines()]

    students = [each for each in rows if each["kind"] == "student"]
    assert len(rows) == 5
    assert [each["id"] for each in students] == ["s-1", "s-2"]
    assert "hash" not in rows[0]
    assert students[0] == students[0] | {
        "outcome": "saved", "status": 200, "attempts": 1, "source": "users", "student": "",
    }  # fmt: skip


def test_who_is_forgotten_leaves_no_row_and_is_sent_again_while_in_the_files(
    server: MockServer,
) -> None:
    sync(family())

    forgotten, unknown = run("state", "forget", "s-1", "s-2"), run("state", "forget", "s-9")
    left = json.loads(run("state", "show", "--json").stdout)["records"]
    again = figures("family")

    assert (forgotten.exit_code, unknown.exit_code) == (0, 1)
    assert "Forgotten: 4 rows" in forgotten.stdout
    assert "At TimeBack nothing was changed" in forgotten.stdout
    assert [(each["kind"], each["count"]) for each in left] == [("user", 1)]
    assert again["phases"]["people"]["planned"] == 2


@pytest.mark.parametrize("command", [["show"], ["export"], ["forget", "s-1"]])
def test_a_state_that_is_not_there_or_none_is_exit_code_2(command: list[str]) -> None:
    Path("text.db").write_text("Dear state,")

    gone, text = run("state", *command), run("state", *command, "--state", "text.db")

    assert (gone.exit_code, text.exit_code) == (2, 2)
    assert "does not exist" in gone.stderr
    assert "is damaged, or not a state" in text.stderr


def test_a_state_in_use_is_nobody_elses(server: MockServer) -> None:
    family()

    with State("timeback-state.db", Config.from_env()):
        others = [sync("family"), run("state", "show"), run("state", "forget", "s-1")]

    assert [done.exit_code for done in others] == [2, 2, 2]
    assert all("is in use by another run" in done.stderr for done in others)
    assert server.requests == 0


def test_the_state_of_another_client_is_refused(server: MockServer) -> None:
    sync(family())

    done = sync("family", TIMEBACK_CLIENT_ID="another")

    assert done.exit_code == 2
    assert "belongs to another endpoint or client" in done.stderr


# -- real rosters

needs_rosters = pytest.mark.skipif(not DATA.is_dir(), reason="the sample rosters are not here")
ROSTERS: Sequence[tuple[str, int, tuple[int, int, int]]] = [
    ("catalyst-1p1-full/unpacked", 1, (3, 3, 1)),
    ("catalyst-1p1-minimal/unpacked", 0, (3, 3, 0)),
    ("catalyst-1p2-full/unpacked", 1, (3, 3, 2)),
    ("classlink-1p1-empty-template", 0, (0, 0, 0)),
    ("nicelion-1p1-families", 0, (2, 2, 2)),
    ("summit-1p0-snapshots", 0, (4, 0, 0)),
    ("summit-1p0-snapshots/Step4-AddClass", 0, (4, 0, 0)),
    ("rosterbridge-jp", 0, (3, 4, 0)),
    ("taoimport-1p1-loose", 0, (2, 0, 0)),
    ("microsoft-sds-v1-v2/SDS Format/25 Users", 0, (22, 2, 0)),
    ("microsoft-sds-v1-v2/SDS Format/100 Users", 0, (86, 12, 0)),
    ("microsoft-sds-v1-v2/SDS v2", 1, (22, 6, 0)),
]


@needs_rosters
@pytest.mark.parametrize(("path", "code", "stored"), ROSTERS)
def test_a_real_roster_arrives_and_its_dry_run_says_so_before(
    server: MockServer, path: str, code: int, stored: tuple[int, int, int]
) -> None:
    dry, real = figures(DATA / path, "--dry-run"), figures(DATA / path)
    sent = server.requests
    again = figures(DATA / path)

    assert dry["exit"] == real["exit"] == again["exit"] == code
    assert (dry["read"]["students"], dry["read"]["users"], dry["read"]["links"]) == stored
    assert (len(server.students), len(server.users), len(server.agents)) == stored
    assert again["unchanged"] == sum(stored)
    assert server.requests == sent


@needs_rosters
def test_a_school_of_families_is_read_whole() -> None:
    report = figures(DATA / "nicelion-1p1-families" / "test-csv.csv", "--dry-run")

    assert report["phases"]["people"]["planned"] == 1187 + 812
    assert report["phases"]["links"]["planned"] == 2390
    assert report["exit"] == 0


@needs_rosters
def test_five_snapshots_in_a_row_send_each_record_once(server: MockServer) -> None:
    root = DATA / "summit-1p0-snapshots"

    runs = [
        figures(path) for path in (root, *sorted(each for each in root.iterdir() if each.is_dir()))
    ]

    assert [each["requests"] for each in runs] == [4, 0, 0, 0, 0]
