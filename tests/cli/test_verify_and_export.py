"""`verify` and `export` as an operator runs them: what they find, mend, keep and bring back."""

import copy
import json
import random
import sqlite3
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_same_people import roster_folders
from tests.support.amounts import amount, in_turn
from tests.support.command import interrupt, lines, run, when, words
from tests.support.packages import ROSTERS, package
from tests.support.records import wire_agent, wire_role, wire_student, wire_user
from tests.support.rosters import FAMILY, adult, child, folder, school
from tests.support.samples import name_of_sample, needs_samples
from tests.support.verifying import KEY, RECORDS
from tests.sync.verifying.test_tampering import TAMPERS
from timeback_async._flow import token
from timeback_async.cli import _reading, _records_file
from timeback_async.sync import read_roster
from timeback_async.sync._exporting.export import ONE_ROLE
from timeback_async.testing import Faults, MockServer

FORMS = ("jsonl", "parquet")


@pytest.fixture
def roster(server: MockServer) -> Path:
    """A file with every field, as it is at the server."""
    path = Path("school.jsonl")
    path.write_text("".join(json.dumps(each) + "\n" for each in RECORDS))
    assert run("upsert", path).exit_code == 0
    return path


def verified(*arguments: object) -> tuple[int, dict[str, Any]]:
    done = run("verify", *arguments, "--json")
    return done.exit_code, json.loads(done.stdout)


# -- verify


def test_a_roster_that_is_there_is_exit_code_0(server: MockServer, roster: Path) -> None:
    done = run("verify", roster, "--mode", "bulk")

    assert done.exit_code == 0
    assert "TimeBack has what the files say." in done.stdout
    assert "4 same" in done.stdout


def test_differences_are_named_without_a_value(server: MockServer, roster: Path) -> None:
    server.students["s-1"]["email"] = "canary-other@example.com"
    del server.agents[KEY]

    done = run("verify", roster)

    shown = words(done.stdout)
    assert done.exit_code == 1
    assert "3 same, 1 different" in shown
    assert "1 same, 1 missing" in shown
    assert "email" in shown
    assert "canary" not in done.output.lower()
    assert "--failures OUT.jsonl" in shown


@pytest.mark.parametrize("what", TAMPERS)
def test_what_is_missing_or_different_is_mended_by_upsert(
    server: MockServer, roster: Path, what: str
) -> None:
    tamper, expected = TAMPERS[what]
    tamper(server)
    # Under the id that the files choose, there would be a second link.
    unmended = [each for each in expected if "agentId" in each[3]]
    found = sum(each[0] != "only_there" for each in expected) - len(unmended)

    first = run("verify", roster, "--mode", "bulk", "--failures", "f.jsonl")
    assert first.exit_code == 1
    assert len(lines(Path("f.jsonl"))) == found
    if found:
        assert "upsert f.jsonl" in words(first.stdout)
        assert run("upsert", "f.jsonl").exit_code == 0

    code, report = verified(roster, "--mode", "bulk", "--one-way")
    assert len(report["differences"]) == len(unmended)
    assert code == bool(unmended)


def test_what_mends_a_link_under_an_id_of_the_server_makes_no_second_one(
    server: MockServer, roster: Path
) -> None:
    del server.agents[KEY]
    server.agents["s-1", "new"] = wire_agent("u-1", relationshipType="aunt")

    run("verify", roster, "--failures", "f.jsonl")
    run("upsert", "f.jsonl")

    assert {agent_id for _, agent_id in server.agents} == {"new", "own-id"}
    assert server.agents["s-1", "new"]["relationshipType"] == "parent"


@pytest.mark.parametrize(
    "odd", [{"agentId": 5}, {"user": "u-1"}, {"relationshipType": ["parent"]}, {"user": {"id": 1}}]
)
def test_a_link_in_an_unknown_form_is_unknown_and_makes_no_second_one(
    server: MockServer, roster: Path, odd: dict[str, Any]
) -> None:
    server.agents[KEY] = wire_agent("u-1", relationshipType="aunt") | odd

    code, report = verified(roster, "--failures", "f.jsonl")

    assert code == 1
    assert [(each["what"], each["id"]) for each in report["differences"]] == [("unknown", "s-1")]
    assert "has another type" in report["differences"][0]["reason"]
    assert lines(Path("f.jsonl")) == []


def test_a_link_under_another_id_than_the_files_choose_is_not_mended_by_a_second_one(
    server: MockServer, roster: Path
) -> None:
    server.agents["s-1", "theirs"] = server.agents.pop(("s-1", "own-id"))

    done = run("verify", roster, "--failures", "f.jsonl")
    _, report = verified(roster)

    assert "unlink the two there" in report["differences"][0]["reason"]
    assert "mends" not in words(done.stdout)
    assert lines(Path("f.jsonl")) == []


def test_what_mends_a_difference_keeps_the_birth_date_that_only_timeback_knows(
    server: MockServer,
) -> None:
    path = folder(Path("family"), school(*FAMILY))
    run("sync", path)
    server.students["s-1"] |= {"givenName": "Other", "demographics": {"birthDate": "2013-02-03"}}

    run("verify", path, "--failures", "f.jsonl")
    mended = run("upsert", "f.jsonl")

    assert mended.exit_code == 0
    assert server.students["s-1"]["givenName"] == "Canarys-1"
    assert server.students["s-1"]["demographics"] == {"birthDate": "2013-02-03"}


def test_the_failures_hold_file_line_and_reason(server: MockServer, roster: Path) -> None:
    server.students["s-1"]["email"] = "x"

    run("verify", roster, "--failures", "f.jsonl")

    (line,) = lines(Path("f.jsonl"))
    assert line["student"]["sourcedId"] == "s-1"
    assert line["_failure"]["file"] == "school.jsonl"
    assert line["_failure"]["line"] == 1
    assert line["_failure"]["reason"] == "different at TimeBack: email"
    assert stat.S_IMODE(Path("f.jsonl").stat().st_mode) == 0o600


def test_what_is_only_at_timeback_is_no_failure_and_one_way_leaves_it_alone(
    server: MockServer, roster: Path
) -> None:
    server.users["x-1"] = wire_user("x-1")

    both = run("verify", roster, "--mode", "bulk")
    one = run("verify", roster, "--mode", "bulk", "--one-way")

    assert (both.exit_code, one.exit_code) == (1, 0)
    assert "1 only at TimeBack" in words(both.stdout)
    assert "--failures" not in both.stdout


def test_why_it_is_not_looked_for_is_said(server: MockServer, roster: Path) -> None:
    done = run("verify", roster)

    assert "school.jsonl may hold changes alone." in words(done.stdout)


def test_a_dry_run_of_verify_counts_and_needs_no_credentials(
    server: MockServer, roster: Path
) -> None:
    sent = server.requests

    done = run("verify", roster, "--dry-run", TIMEBACK_CLIENT_ID="", TIMEBACK_CLIENT_SECRET="")

    assert done.exit_code == 0
    assert "2 requests or more: 1 page of users, 0 people, the links of 1 student." in words(
        done.stdout
    )
    assert server.requests == sent


def test_a_sample_is_a_quick_look(server: MockServer, roster: Path) -> None:
    code, report = verified(roster, "--sample", 2)
    done = run("verify", roster, "--sample", 2, "--report", "r.html")

    assert code == 0
    assert report["people"]["same"] == report["planned"]["people"] == report["sample"] == 2
    assert "TimeBack has what the files say of the 2 people in the sample." in words(done.stdout)
    assert "TimeBack has a sample of 2 people</title>" in Path("r.html").read_text()


def test_a_row_that_is_left_out_is_exit_code_1_unless_it_is_accepted(server: MockServer) -> None:
    path = folder(Path("family"), school(child("s-1"), adult("u-1", role="wizard")))
    run("sync", path)

    worse = run("verify", path, "--findings", "found.csv")
    known = run("verify", path, "--accept", "role-unknown")

    assert (worse.exit_code, known.exit_code) == (1, 0)
    assert "role-unknown" in Path("found.csv").read_text()
    assert "TimeBack has what the files say." in known.stdout


def test_the_report_of_verify_is_a_page(server: MockServer, roster: Path) -> None:
    server.students["s-1"]["email"] = "x"

    run("verify", roster, "--report", "r.html")

    page = Path("r.html").read_text()
    assert "school.jsonl and TimeBack" in page
    assert "canary" not in page.lower()


@pytest.mark.parametrize(
    ("secret", "expected"), [(None, "exit code 0"), ("wrong", "invalid_client")]
)
def test_verify_logs_for_containers(
    server: MockServer, roster: Path, secret: str | None, expected: str
) -> None:
    environ = {"TIMEBACK_CLIENT_SECRET": secret} if secret else {}

    done = run("verify", roster, "--log-format", "json", **environ)

    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert expected in told[-1]["message"]
    assert told[-1]["exit"] == done.exit_code == (2 if secret else 0)


@pytest.mark.parametrize("log_format", [(), ("--log-format", "json")])
def test_a_file_that_cannot_be_read_is_one_line(
    server: MockServer, log_format: tuple[str, ...]
) -> None:
    done = run("verify", "gone.csv", *log_format)

    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "gone.csv" in done.stderr


def test_a_program_is_told_why_nothing_was_compared(server: MockServer) -> None:
    code, report = verified("gone.csv")

    assert code == report["exit"] == 2
    assert "gone.csv" in report["error"]


@pytest.mark.parametrize("option", ["--failures", "--findings", "--report"])
def test_verify_does_not_write_over_what_it_reads(
    server: MockServer, roster: Path, option: str
) -> None:
    done = run("verify", roster, option, roster)

    assert done.exit_code == 2
    assert lines(roster) == RECORDS


def test_more_differences_than_fit_on_a_screen_are_counted(server: MockServer) -> None:
    path = Path("many.jsonl")
    path.write_text(
        "".join(json.dumps({"student": wire_student(f"s-{n}")}) + "\n" for n in range(30))
    )

    done = run("verify", path)

    assert "… and 10 more" in done.stdout
    assert "30 missing" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_ctrl_c_ends_a_comparison_with_what_it_found(
    server: MockServer, arguments: tuple[str, ...]
) -> None:
    path = Path("many.jsonl")
    path.write_text(
        "".join(json.dumps({"student": wire_student(f"s-{n}")}) + "\n" for n in range(300))
    )
    run("upsert", path)
    sent = server.requests
    server.faults = Faults(latency=0.01)
    when(lambda: server.requests > sent + 20, interrupt)

    done = run("verify", path, "--mode", "bulk", "--max-in-flight", 4, *arguments)

    assert done.exit_code == 75
    assert "interrupted" in done.stdout
    assert "300 same" in done.stdout or json.loads(done.stdout)["people"]["same"] == 300


def test_a_verify_that_ends_early_counts_the_people_whom_it_did_not_reach(
    server: MockServer,
) -> None:
    path = Path("many.jsonl")
    records = [{"student": wire_student(f"s-{n}")} for n in range(150)]
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    run("upsert", path)
    server.fail(403, method="GET", nth=2)
    done = run("verify", path)
    server.fail(403, method="GET", nth=2)
    told = run("verify", path, "--json")

    assert done.exit_code == 1
    assert "100 same, 50 not reached" in words(done.stdout)
    assert json.loads(told.stdout)["not_reached"] == 50


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--log-format", "json")])
def test_ctrl_c_while_the_files_are_read_compares_nothing(
    server: MockServer, roster: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    sent, read = server.requests, []

    def interrupted(*reading: Any, **how: Any) -> Any:
        interrupt()
        time.sleep(0.05)
        read.append(read_roster(*reading, **how))
        return read[-1]

    monkeypatch.setattr(_reading, "read_roster", interrupted)

    done = run("verify", roster, *arguments)

    assert done.exit_code == 75
    assert server.requests == sent
    for each in read:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            each.database.connection.execute("SELECT 1")
    assert len(read) == 1


def test_an_error_in_the_middle_is_logged_with_the_figures(
    server: MockServer, roster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMEBACK_MAX_RATE", "1000")
    server.faults = Faults(statuses={403: 1.0})

    for arguments in ((), ("--log-format", "json")):
        done = run("verify", roster, *arguments)
        assert done.exit_code == 1
        assert "HTTP 403" in done.stderr


# -- export


def restored(server: MockServer) -> None:
    for store in (server.students, server.users, server.agents):
        store.clear()


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_what_was_exported_comes_back(server: MockServer, roster: Path, name: str) -> None:
    for each in (*server.students.values(), *server.users.values()):
        each.pop("password", None)
    before = copy.deepcopy((server.students, server.users, server.agents))

    done = run("export", "--out", name)
    restored(server)
    back = run("upsert", name)

    assert (done.exit_code, back.exit_code) == (0, 0)
    assert "2 students, 2 users and 2 links exported" in done.stdout
    assert f"`timeback-async upsert {name}` sends it back." in done.stdout
    assert before == (server.students, server.users, server.agents)
    assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600
    assert verified(roster, "--mode", "bulk")[0] == verified(name)[0] == 0


def any_person(draw: random.Random, own: str) -> dict[str, Any]:
    """Return somebody as servers show them, with roles of past, present and years to come."""
    days = (None, "2015-07-31", "2015-07-31T00:00:00.000Z", "2199-07-31", "2199-07-31T12:00:00Z")
    roles = [
        wire_role(
            role=draw.choice(("student", "student", "teacher", "parent", "aide")),
            roleType=draw.choice(("primary", "secondary")),
            org={"sourcedId": draw.choice(("org-1", "org-2"))},
            beginDate=draw.choice((None, *days)),
            endDate=draw.choice((None, *days)),
        )
        for _ in range(draw.randrange(4))
    ]
    enabled = draw.choice((True, "true", "True", "false", False))
    born = draw.choice(({}, {"birthDate": "2013-02-03"}, {"birthDate": "2013-02-03T00:00:00Z"}))
    return wire_student(own, roles=roles, enabledUser=enabled, demographics=born)


@pytest.mark.parametrize("seed", range(amount(5, long=100)))
def test_whoever_is_there_comes_back_as_they_were(server: MockServer, seed: int) -> None:
    draw = random.Random(seed)
    server.users.update({f"x-{n}": any_person(draw, f"x-{n}") for n in range(50)})

    done = json.loads(run("export", "--out", "backup.jsonl", "--json").stdout)
    assert {each["reason"] for each in done["failures"]} <= {ONE_ROLE}
    assert done["students"] + done["users"] == 50
    before, _ = verified("backup.jsonl", "--mode", "bulk")
    server.users.clear()
    assert run("upsert", "backup.jsonl").exit_code == 0
    after, _ = verified("backup.jsonl", "--mode", "bulk")

    assert (before, after) == (0, 0)


def round_trip(server: MockServer, path: Path, form: str) -> None:
    run("sync", path, "--default-org", "org-1", "--relationship", "mentor")
    assert run("export", "--out", f"out.{form}").exit_code == 0
    restored(server)

    assert run("upsert", f"out.{form}").exit_code == 0
    _, report = verified(path, "--default-org", "org-1", "--relationship", "mentor")
    assert report["differences"] == []
    assert report["people"]["same"] == report["read"]["students"] + report["read"]["users"]
    assert report["links"]["same"] == report["read"]["links"]
    assert verified(f"out.{form}")[0] == 0


@needs_samples
@pytest.mark.parametrize(("path", "form"), in_turn(roster_folders(), FORMS), ids=name_of_sample)
def test_a_published_roster_comes_back(server: MockServer, path: Path, form: str) -> None:
    round_trip(server, path, form)


@pytest.mark.parametrize(("name", "form"), in_turn(ROSTERS, FORMS))
def test_a_package_of_our_own_comes_back(
    server: MockServer, tmp_path: Path, name: str, form: str
) -> None:
    round_trip(server, package(name, tmp_path), form)


def test_an_export_without_a_file_goes_to_another_program(server: MockServer, roster: Path) -> None:
    done = run("export")

    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [next(iter(each)) for each in found] == ["student"] * 2 + ["user"] * 2 + ["agent"] * 2
    assert "2 links exported" in done.stderr


def test_an_export_is_not_printed_on_a_screen(
    server: MockServer, roster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Screen:
        @staticmethod
        def isatty() -> bool:
            return True

    class System:
        stdout = Screen

    monkeypatch.setattr(_records_file, "sys", System)

    done = run("export")

    assert done.exit_code == 2
    assert "pass --out" in words(done.stderr)


def test_the_figures_of_an_export_are_json(server: MockServer, roster: Path) -> None:
    done = run("export", "--out", "out.jsonl", "--json")
    both = run("export", "--json")

    assert json.loads(done.stdout)["links"] == 2
    assert both.exit_code == 2


def test_an_export_that_fails_leaves_the_one_before_as_it_was(
    server: MockServer, roster: Path
) -> None:
    run("export", "--out", "out.jsonl")
    before = Path("out.jsonl").read_bytes()

    done = run("export", "--out", "out.jsonl", TIMEBACK_CLIENT_SECRET="wrong")
    as_json = run("export", "--out", "out.jsonl", "--json", TIMEBACK_CLIENT_SECRET="wrong")

    assert done.exit_code == 2
    assert "invalid_client" in done.stderr
    assert json.loads(as_json.stdout)["exit"] == 2
    assert Path("out.jsonl").read_bytes() == before


def test_ctrl_c_leaves_an_export_under_another_name(server: MockServer) -> None:
    server.students.update({f"s-{n}": wire_student(f"s-{n}") for n in range(300)})
    server.faults = Faults(latency=0.01)
    when(lambda: server.requests > 10, interrupt)

    done = run("export", "--out", "out.jsonl", "--max-in-flight", 4)

    assert done.exit_code == 75
    assert not Path("out.jsonl").exists()
    assert "out.jsonl.partial holds what was read until then." in words(done.stdout)
    assert "Stopping. " in words(done.stderr) + " "


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("how", ["interrupted", "refused"])
def test_what_came_before_an_export_ended_early_can_be_sent_back(
    server: MockServer, form: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(token, "TRIAL", 0.5)
    server.students.update({f"s-{n:03}": wire_student(f"s-{n:03}") for n in range(300)})
    faults = {"interrupted": Faults(latency=0.01), "refused": Faults(statuses={401: 1.0})}[how]

    def act() -> None:
        server.faults = faults
        if how == "interrupted":
            interrupt()

    server.faults = Faults(latency=0.01)
    when(lambda: server.requests > 10, act)
    done = run("export", "--out", f"out.{form}", "--json", "--max-in-flight", 4)
    told = json.loads(done.stdout)
    exported = sum(told[kind] for kind in ("students", "users", "links"))
    partial = Path(f"out.{form}.partial").rename(f"part.{form}")
    server.faults = Faults()
    again = json.loads(run("upsert", partial, "--json").stdout)

    assert done.exit_code == told["exit"] == {"interrupted": 75, "refused": 1}[how]
    assert told["error"] == told["stopped"] != ""
    assert again["phases"]["people"]["saved"] == exported > 0


def test_an_export_to_a_pipe_that_ends_early_has_printed_what_came(server: MockServer) -> None:
    server.students.update({f"s-{n:03}": wire_student(f"s-{n:03}") for n in range(300)})
    server.faults = Faults(latency=0.01)
    when(lambda: server.requests > 10, interrupt)

    done = run("export", "--max-in-flight", 4)

    assert done.exit_code == 75
    assert len(done.stdout.splitlines()) == 300


def test_a_few_that_cannot_be_exported_are_all_shown(server: MockServer, roster: Path) -> None:
    del server.students["s-2"]["givenName"]

    done = run("export", "--out", "out.jsonl")

    assert done.exit_code == 1
    assert "givenName: is missing" in words(done.stdout)
    assert "more." not in done.stdout


def test_what_cannot_be_exported_is_named(server: MockServer, roster: Path) -> None:
    del server.students["s-2"]["givenName"]
    server.users.update({f"x-{n}": {"sourcedId": f"x-{n}"} for n in range(25)})

    done = run("export", "--out", "out.jsonl")
    piped = run("export")

    assert (done.exit_code, piped.exit_code) == (1, 1)
    assert "givenName: is missing" in words(done.stdout)
    assert "… and 6 more." in done.stdout
    assert "… and 6 more." in piped.stderr
    assert len(lines(Path("out.jsonl"))) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "out.csv"], "must end in .jsonl or .parquet"),
        (["--out", "no/such/out.jsonl"], "No such file"),
    ],
)
def test_an_export_that_cannot_begin_sends_nothing(
    server: MockServer, arguments: list[str], said: str
) -> None:
    done = run("export", *arguments)

    assert done.exit_code == 2
    assert said in done.stderr
    assert server.requests == 0


def test_parquet_without_pyarrow_says_what_is_needed(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    done = run("export", "--out", "out.parquet")

    assert done.exit_code == 2
    assert "pip install" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("at_once", [1, 10_000])
def test_a_full_disk_is_said_and_gives_no_file(
    server: MockServer, roster: Path, monkeypatch: pytest.MonkeyPatch, form: str, at_once: int
) -> None:
    monkeypatch.setattr(_records_file, "BLOCK", at_once)
    monkeypatch.setattr(_records_file, "ROWS_AT_ONCE", at_once)
    Path(f"out.{form}.partial").symlink_to("/dev/full")

    done = run("export", "--out", f"out.{form}")

    assert done.exit_code == 1
    assert "No space left on device; the export is not whole" in words(done.stderr)
    assert "sends it back" not in done.stdout
    assert not Path(f"out.{form}").exists()


def test_many_records_are_written_in_blocks(
    server: MockServer, roster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_records_file, "BLOCK", 100)
    monkeypatch.setattr(_records_file, "ROWS_AT_ONCE", 2)

    for form in ("jsonl", "parquet"):
        assert run("export", "--out", f"out.{form}").exit_code == 0
        assert verified(f"out.{form}")[1]["people"]["same"] == 4


def test_an_empty_timeback_is_exported(server: MockServer) -> None:
    for form in ("jsonl", "parquet"):
        assert run("export", "--out", f"out.{form}").exit_code == 0
    assert Path("out.jsonl").read_bytes() == b""
    assert verified("out.parquet")[1]["read"]["rows"] == 0


def test_an_agent_without_an_id_gets_its_derived_one(server: MockServer, roster: Path) -> None:
    server.agents["s-1", "x"] = wire_agent("u-2") | {"agentId": None}

    run("export", "--out", "out.jsonl")

    ids = {each["agent"]["agentId"] for each in lines(Path("out.jsonl")) if "agent" in each}
    assert KEY[1] in ids
    assert None not in ids
