"""What a run of `sync` sends and prints, and its exit code."""

import json
import re
from pathlib import Path

import pytest

from tests.support.command import REFUSING, family, figures, sync, words
from tests.support.rosters import FAMILY, child, folder, role, users
from timeback_async.testing import Faults, MockServer


def test_a_school_arrives_and_the_second_run_sends_nothing(server: MockServer) -> None:
    first = sync(family())
    sent = server.requests
    second = sync("family")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert (sorted(server.students), list(server.users)) == (["s-1", "s-2"], ["u-1"])
    assert len(server.agents) == 2
    assert server.requests == sent == 5
    assert "2 students, 1 user, 2" in first.stdout
    assert re.search(r"people +│ +3 │ 3 saved", first.stdout)
    assert re.search(r"unchanged +│ +5 │ not sent", second.stdout)


def test_json_has_every_figure_and_stands_alone_on_stdout(server: MockServer) -> None:
    report = figures(family())

    nothing = {"planned": 0}
    assert report["ok"]
    assert report["exit"] == report["unchanged"] == report["retries"] == report["not_reached"] == 0
    assert report["read"] == {
        "rows": 3, "students": 2, "users": 1, "links": 2, "repeated": 0, "left_out": 0
    }  # fmt: skip
    assert report["severities"] == {"error": 0, "warning": 0, "note": 0}
    assert report["actions"] == {"create": 3, "link": 2}
    assert (report["planned"], report["saved"], report["deleted"], report["failed"]) == (5, 5, 0, 0)
    assert 0 < report["sending"] < report["elapsed"]
    assert report["rate"] == pytest.approx(5 / report["sending"], rel=0.1)
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
    assert (done.exit_code, report["exit"], report["severities"]["error"]) == (1, 1, 2)
    assert report["read"]["left_out"] == 1
    assert "3 rows read, 1 left out" in done.stdout
    assert "error: once users.csv: familyName: a required value is blank" in done.stdout
    assert "users.csv:3" in done.stdout
    assert "To do: fill it in." in done.stdout
    assert found["value-missing"]["first"] == "users.csv:3: familyName: a required value is blank"
    assert found["agent-unknown"]["first"].endswith("is not in users.csv (u-9)")
    assert sorted(server.students) == ["s-1", "s-3"]


def test_a_finding_without_anything_to_do_says_so(server: MockServer) -> None:
    pupil = {name: cell for name, cell in child("s-1").items() if name != "role"}
    roles = [role("s-1"), role("s-1", "aide", "secondary")]

    done = sync(family(pupil, version="1.2", roles=roles), "--dry-run")

    assert "No action needed, or give the person two" in words(done.stdout)
    assert "To do: nothing" not in words(done.stdout)


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
        (["family"], {"TIMEBACK_BASE_URL": "ftp://x"}, "TIMEBACK_BASE_URL: must begin with https"),
        (["family", "--max-rate", "0"], {}, "--max-rate: "),
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
    assert "error: credentials rejected: check TIMEBACK_CLIENT_ID, TIMEBACK_" in done.stderr
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
    assert told["refused"]
    assert told["actions"] == {"deactivate": 1}
    assert "all is well" not in Path("report.html").read_text("utf-8")
    assert "but only 0 may be" in Path("report.html").read_text("utf-8")


def test_who_is_to_be_deactivated_is_named_as_far_as_the_state_knows(server: MockServer) -> None:
    for ids, said in (("plain", "deactivate student s-2"), ("hashed", "student hashed id ")):
        state = ("--state", f"{ids}.db", "--state-ids", ids)
        sync(family(*FAMILY), *state)

        fewer = family(FAMILY[0], FAMILY[2], name="fewer")
        absent = ("--deactivate-absent", "--max-removals", "1", "--dry-run", "--json")
        (sample,) = json.loads(sync(fewer, *state, *absent).stdout)["samples"]["deactivations"]

        assert said in sample
