"""What was not done: how it is named, kept, and sent again."""

import re
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import REFUSING, family, figures, lines, run, sync, words
from tests.support.rosters import FAMILY, adult, child, folder, role, school
from timeback_async.testing import Faults, MockServer
from timeback_async.testing._answers import Refusal
from timeback_async.testing._api import RosteringApi


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
    assert "--failures OUT.jsonl also writes them" in done.stdout
    first = report["failures"][0]
    assert (first["where"], first["id"], first["outcome"]) == ("users.csv:2", "s-1", "failed")
    assert first["reason"].startswith("HTTP 422")


def test_a_server_that_repeats_what_it_was_sent_makes_nothing_personal_known(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Refusal(422, "s-1@canary.example of Canarys-1 Canary is taken")

    monkeypatch.setattr(RosteringApi, "_put_student", refuse)

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
    assert "failures.jsonl holds all of them" in done.stdout


def test_a_failure_that_could_not_be_completed_is_kept_with_what_it_leaves_open(
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

    assert kept["user"]["sourcedId"] == "t-1"
    assert kept["_failure"]["gaps"]["roles"]
    assert server.users["t-1"]["roles"] == before


def test_failures_of_a_delta_keep_the_birth_dates_that_the_server_has(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(family(demographics=[{"sourcedId": "s-1", "birthDate": "2013-11-25"}]))
    family(child("s-1", "u-1", grades="07"), mode="delta", name="delta")

    def refuse(*_: object) -> None:
        raise Refusal(422, "not now")

    with monkeypatch.context() as patched:
        patched.setattr(RosteringApi, "_put_student", refuse)
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


@pytest.mark.parametrize(
    ("form", "outcome", "told"),
    [
        ("imsx-failure", "failed", "HTTP 200: invaliddata not saved"),
        ("gateway-error", "failed", "HTTP 200: Internal server error"),
        ("202", "unknown", "HTTP 202: accepted, but no proof that it was saved"),
        ("207", "unknown", "HTTP 207: no proof that it was saved"),
        ("processing", "unknown", "HTTP 200: accepted, but no proof that it was saved"),
    ],
)
@pytest.mark.parametrize("kind", ["people", "links"])
def test_what_a_2xx_does_not_prove_is_not_remembered(
    server: MockServer, kind: str, form: Any, outcome: str, told: str
) -> None:
    if kind == "links":  # the people are known, so that links alone are sent
        sync(family(*({**person, "agentSourcedIds": ""} for person in FAMILY)))
    server.faults, before = Faults(answers={form: 1.0}), server.requests
    first = figures(family())
    sent = server.requests - before
    server.faults = Faults()
    second = figures("family")

    assert (first["exit"], second["exit"]) == (1, 0)
    assert first["phases"][kind][outcome] == first["phases"][kind]["planned"] > 0
    assert {each["reason"] for each in first["failures"] if each["outcome"] == outcome} == {told}
    assert second["phases"][kind]["saved"] == first["phases"][kind]["planned"]
    assert sent == first["phases"][kind]["planned"]


def test_a_link_whose_deletion_is_not_proven_is_deleted_the_next_night(server: MockServer) -> None:
    sync(family())
    family(child("s-1"), *FAMILY[1:])
    wanted = ("family", "--unlink-absent", "--max-removals", "1")
    server.faults = Faults(answers={"imsx-failure": 1.0})
    first = figures(*wanted)
    server.faults = Faults()
    second = figures(*wanted)

    assert (first["exit"], second["exit"]) == (1, 0)
    assert first["phases"]["unlinks"] == {"planned": 1, "failed": 1}
    assert second["phases"]["unlinks"] == {"planned": 1, "deleted": 1}


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
