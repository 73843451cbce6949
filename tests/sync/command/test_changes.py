"""Deltas that hold only what changed, as an operator sends them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import REFUSING, family, figures, lines, run, sync
from tests.support.rosters import adult, child, csv_text, folder, manifest, role, school
from timeback_async.testing import Faults, MockServer
from timeback_async.testing._answers import Refusal
from timeback_async.testing._api import RosteringApi

GONE = {"status": "tobedeleted"}
MOVES = [role("s-1", **GONE), role("s-1", orgSourcedId="two")]
BORN = [{"sourcedId": "s-1", "birthDate": "2011-01-02"}]
LEAVES = [{"sourcedId": "s-2", **GONE}]


def modern(row: dict[str, str]) -> dict[str, str]:
    """Return a row of a 1.2 users.csv, whose roles stand elsewhere."""
    return {name: cell for name, cell in row.items() if name not in ("role", "orgSourcedIds")}


@pytest.fixture
def changes(server: MockServer) -> Path:
    """Sync three people, and return a delta: one moves and has a birthday, and one leaves."""
    people = modern(child("s-1")), modern(child("s-2")), modern(adult("t-1", "teacher"))
    held = [role("s-1"), role("s-2"), role("t-1", "teacher")]
    assert sync(family(*people, version="1.2", roles=held)).exit_code == 0
    files = school(*LEAVES, version="1.2", mode="delta", roles=MOVES, demographics=BORN, orgs=[])
    return folder(Path("changes"), files)


def facts(server: MockServer) -> list[Any]:
    """Return what the delta changes."""
    moved, gone = server.students["s-1"], server.students["s-2"]
    return [moved["primaryOrg"]["sourcedId"], moved.get("demographics"), gone["status"]]


DONE = ["two", {"birthDate": "2011-01-02"}, "tobedeleted"]


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_changes_alone_are_carried_out(server: MockServer, changes: Path, command: str) -> None:
    names = [dict(each) for each in server.students.values()]

    done = run(command, changes, "--json")

    assert json.loads(done.stdout)["exit"] == 0
    assert facts(server) == DONE
    assert [each["givenName"] for each in server.students.values()] == [
        each["givenName"] for each in names
    ]


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_changes_alone_need_no_credentials_in_a_dry_run(
    server: MockServer, changes: Path, command: str
) -> None:
    before, requests = facts(server), server.requests

    done = run(command, changes, "--dry-run", TIMEBACK_CLIENT_ID="", TIMEBACK_CLIENT_SECRET="")

    assert done.exit_code == 0
    assert (facts(server), server.requests) == (before, requests)


@pytest.mark.parametrize("again", ["sync", "upsert"])
@pytest.mark.parametrize("first", ["sync", "upsert"])
def test_failed_changes_do_the_same_from_their_file(
    server: MockServer, changes: Path, first: str, again: str
) -> None:
    before = facts(server)
    server.faults = REFUSING
    failed = run(first, changes, "--failures", "failures.jsonl")
    server.faults = Faults()
    kept = lines(Path("failures.jsonl"))
    server.students["s-1"]["phone"] = "1"  # somebody else's, and later

    done = run(again, "failures.jsonl")

    assert (failed.exit_code, done.exit_code) == (1, 0)
    assert before != DONE
    assert facts(server) == DONE
    assert server.students["s-1"]["phone"] == "1"
    assert sorted(each["person"]["sourcedId"] for each in kept) == ["s-1", "s-2"]
    assert {each["_failure"]["file"] for each in kept} == {"roles.csv", "users.csv"}


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_changes_that_were_refused_say_no_more_in_their_file_than_in_the_delta(
    server: MockServer, changes: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def refuse(*_: object) -> None:
        raise Refusal(422, "not now")

    with monkeypatch.context() as patched:
        patched.setattr(RosteringApi, "_put_student", refuse)
        run(command, changes, "--failures", "failures.jsonl")
    kept = {each["person"]["sourcedId"]: each["person"] for each in lines(Path("failures.jsonl"))}

    assert kept["s-1"].keys() == {"sourcedId", "roles", "demographics"}
    assert kept["s-2"] == {"sourcedId": "s-2", "status": "tobedeleted"}


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_who_is_not_there_can_be_sent_again_once_they_are(
    server: MockServer, changes: Path, command: str
) -> None:
    changes = folder(
        Path("others"),
        {
            "manifest.csv": csv_text(manifest("1.2", users="absent", demographics="delta")),
            "demographics.csv": csv_text([{"sourcedId": "s-9", "birthDate": "2011-01-02"}]),
        },
    )
    failed = run(command, changes, "--failures", "failures.jsonl")
    sync(family(child("s-9"), mode="delta", name="more"))

    done = run(command, "failures.jsonl")

    assert (failed.exit_code, done.exit_code) == (1, 0)
    assert server.students["s-9"]["demographics"] == {"birthDate": "2011-01-02"}


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_who_leaves_and_is_not_there_is_no_failure(server: MockServer, command: str) -> None:
    files = school({"sourcedId": "s-9", **GONE}, child("s-1"), mode="delta")

    done = run(command, folder(Path("delta"), files), "--json")

    report = json.loads(done.stdout)
    assert report["exit"] == 0
    assert server.students.keys() == {"s-1"}
    if command == "upsert":
        assert (report["planned"], report["saved"], report["deleted"]) == (2, 1, 1)


def test_a_file_of_failures_names_nobody_whom_its_gaps_do_not_fit(server: MockServer) -> None:
    person = {"sourcedId": "s-1", "givenName": "Canary"}
    failure = {"file": "roles.csv", "line": 2, "gaps": {"roles": True, "rest": True}}
    Path("failures.jsonl").write_text(json.dumps({"person": person, "_failure": failure}))

    report = figures("failures.jsonl")

    assert report["exit"] == 1
    assert report["requests"] == 0


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_the_day_is_an_option(server: MockServer, command: str) -> None:
    held = [
        role("s-1", orgSourcedId="one", endDate="2025-09-10"),
        role("s-1", orgSourcedId="two", beginDate="2025-09-10"),
    ]
    files = school(modern(child("s-1")), version="1.2", roles=held, orgs=[])
    path, schools = folder(Path("roster"), files), []

    for day in ("2025-09-09", "2025-09-10"):
        assert run(command, path, "--today", day).exit_code == 0
        schools.append(server.students["s-1"]["primaryOrg"]["sourcedId"])

    assert schools == ["one", "two"]


def test_a_day_that_is_none_is_refused(server: MockServer) -> None:
    done = run("sync", family(), "--today", "10.9.2025")

    assert done.exit_code == 2
    assert "--today" in done.output
    assert server.requests == 0
