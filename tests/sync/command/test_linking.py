"""`upsert` and files of failures: links to somebody who is in no file."""

from pathlib import Path

import pytest

from tests.support.command import family, figures, lines, run, sync
from tests.support.rosters import adult, child
from timeback_async.testing import MockServer
from timeback_async.testing._answers import Refusal
from timeback_async.testing._api import RosteringApi

REASON = "'u-1' is in no file, and TimeBack has no such user; send that person too"


def linked(server: MockServer) -> list[tuple[str, str, str]]:
    return sorted(
        (student, link["user"]["sourcedId"], link["relationshipType"])
        for (student, _), link in server.agents.items()
    )


def joiner(**how: str) -> Path:
    return family(child("s-3", "u-1"), mode="delta", name="delta", **how)


def test_upsert_asks_timeback_about_who_is_in_no_file(server: MockServer) -> None:
    run("upsert", family(adult("u-1", "guardian")))
    joiner()

    dry = run("upsert", "delta", "--dry-run")
    before = linked(server)
    done = run("upsert", "delta", "--mode", "delta")

    assert (dry.exit_code, done.exit_code, before) == (0, 0, [])
    assert linked(server) == [("s-3", "u-1", "guardian")]


def test_a_dry_run_counts_the_link_and_asks_nobody(server: MockServer) -> None:
    sync(family())
    joiner()
    asked = server.requests

    report = figures("delta", "--dry-run")

    assert report["actions"] == {"create": 1, "link": 1}
    assert report["exit"] == 0
    assert server.requests == asked


@pytest.mark.parametrize("command", ["sync", "upsert"])
def test_a_link_that_was_not_made_can_be_sent_again(server: MockServer, command: str) -> None:
    sync(family())
    kept = server.users.pop("u-1")

    failed = run(command, joiner(), "--failures", "failures.jsonl")
    same = run(command, "failures.jsonl", "--failures", "again.jsonl")
    first, second = (lines(Path(name)) for name in ("failures.jsonl", "again.jsonl"))
    dry = run(command, "again.jsonl", "--dry-run")
    server.users["u-1"] = kept
    done = run(command, "again.jsonl")

    assert [each.exit_code for each in (failed, same, dry, done)] == [1, 1, 0, 0]
    assert [each["_failure"]["reason"] for each in first + second] == [REASON] * 2
    assert (first[0]["_failure"]["file"], first[0]["_failure"]["line"]) == ("users.csv", 2)
    assert second[0]["agent"] == first[0]["agent"]
    assert ("s-3", "u-1", "parent") in linked(server)


def test_a_link_of_failures_is_not_sent_twice(server: MockServer) -> None:
    sync(family())
    kept = server.users.pop("u-1")
    sync(joiner(), "--failures", "failures.jsonl")
    server.users["u-1"] = kept

    sync("failures.jsonl")
    again = figures("failures.jsonl")
    delta = figures("delta")

    assert (again["planned"], again["read"]["links"], again["read"]["rows"]) == (0, 1, 1)
    assert delta["planned"] == 0


def test_a_link_that_was_looked_up_and_refused_is_kept_with_its_relation(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(family())

    def refuse(*_: object) -> None:
        raise Refusal(422, "not now")

    with monkeypatch.context() as patched:
        patched.setattr(RosteringApi, "_put_agent", refuse)
        sync(joiner(), "--failures", "failures.jsonl")
    (kept,) = lines(Path("failures.jsonl"))
    done = sync("failures.jsonl")

    assert kept["agent"]["relationshipType"] == "parent"
    assert "gaps" not in kept["_failure"]
    assert done.exit_code == 0
    assert ("s-3", "u-1", "parent") in linked(server)
