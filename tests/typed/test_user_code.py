"""What the type checkers accept in `user_code`, the library does."""

from pathlib import Path

import pytest

from timeback_async import Config, RetryPolicy, TimebackSession
from timeback_async._flow import token
from timeback_async.sync import State, read_roster
from timeback_async.testing import Faults, MockServer

from . import user_code

USERS = (
    "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,grades,agentSourcedIds\n"
    "s-1,true,org-1,student,ada,Ada,Byron,05,p-1\n"
    "p-1,true,org-1,parent,,Annabella,Byron,,\n"
)


def test_settings_are_built_or_read() -> None:
    environ = {"TIMEBACK_CLIENT_ID": "app", "TIMEBACK_CLIENT_SECRET": "secret"}
    found = user_code.settings_of_the_environment(environ)

    assert user_code.settings("secret").retry.attempts == 5
    assert found is not None
    assert found.client_id == "app"
    assert user_code.settings_of_the_environment({}) is None


async def test_single_calls(timeback_server: MockServer, timeback_session: TimebackSession) -> None:
    linked = await user_code.single_calls(timeback_session)

    assert linked == ["p-1"]
    assert list(timeback_server.students) == ["s-1"]
    assert timeback_server.agents == {}


async def test_listings(timeback_session: TimebackSession) -> None:
    await user_code.many_at_once(timeback_session)

    users, orgs = await user_code.listings(timeback_session)

    assert sorted(users) == [f"{kind}-{number}" for kind in "ps" for number in range(4)]
    assert sorted(orgs) == ["org-1", "org-2", "org-district"]


async def test_any_other_call(timeback_session: TimebackSession) -> None:
    assert b'"org-' in await user_code.any_other_call(timeback_session)


async def test_many_records(timeback_session: TimebackSession) -> None:
    report = await user_code.many_at_once(timeback_session)
    saved, streamed = await user_code.many_one_by_one(timeback_session)
    read, deleted = await user_code.read_and_delete_many(timeback_session)

    assert report.saved == 12
    assert saved == ["s-0", "s-1", "s-2", "s-3"]
    assert streamed.ok
    assert read.fetched == 4
    assert deleted.dry_run


async def test_a_source_that_breaks(timeback_session: TimebackSession) -> None:
    report = await user_code.a_source_that_breaks(timeback_session)

    assert report is not None
    assert report.saved == 1
    assert user_code.figures(timeback_session) == "1 attempts, 0 retries"


@pytest.mark.parametrize(
    ("sourced_id", "faults", "told"),
    [
        ("nobody", Faults(), "404: "),
        ("..", Faults(), "userId: must be "),
        ("nobody", Faults(statuses={403: 1.0}), "forbidden, request "),
        ("nobody", Faults(token_statuses={400: 1.0}), "no token: injected fault"),
    ],
)
async def test_what_went_wrong(
    timeback_server: MockServer,
    timeback_session: TimebackSession,
    sourced_id: str,
    faults: Faults,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(token, "FETCH_POLICY", RetryPolicy(attempts=5, initial=0.001))
    timeback_server.faults = faults

    said = await user_code.what_went_wrong(timeback_session, sourced_id)

    assert said.startswith(told)


async def test_nothing_went_wrong(timeback_session: TimebackSession) -> None:
    await user_code.many_at_once(timeback_session)

    assert await user_code.what_went_wrong(timeback_session, "s-1") == ""


async def test_a_roster_twice(timeback_server: MockServer, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS)
    database, config = tmp_path / "state.db", timeback_server.config()

    first, report = await user_code.nightly(tmp_path / "users.csv", database, config)
    second, _ = await user_code.nightly(tmp_path / "users.csv", database, config)

    assert first == [
        "create student s-1: saved",
        "create user p-1: saved",
        "link agent s-1: saved",
    ]
    assert report.ok
    assert second == []


async def test_what_timeback_has(timeback_session: TimebackSession, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS)
    await user_code.many_at_once(timeback_session)

    found, ids = await user_code.looked_at(timeback_session, tmp_path / "users.csv")

    assert "different student s-1" in found
    assert "only_there user p-2" in found
    assert sorted(ids) == [f"{kind}-{number}" for kind in "ps" for number in range(4)]


async def test_a_server_of_ones_own() -> None:
    requests, student = await user_code.against_a_server_of_ones_own()

    assert requests >= 1
    assert student["familyName"] == "Byron"


async def test_a_transport_of_ones_own() -> None:
    config = Config(client_id="me", client_secret="mine", base_url="https://timeback.test")

    scopes, paths = await user_code.over_a_transport_of_ones_own(config)

    assert scopes == {"everything"}
    assert paths == [
        "POST /auth/1.0/token",
        "POST /auth/1.0/token",
        "PUT /rostering/1.0/students",
        "closed",
    ]


def test_every_finding_is_taken(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS.replace("Ada", "", 1))

    found = user_code.what_is_found(tmp_path / "users.csv", ["value-missing"])

    assert ("value-missing", "error", 2) in found


def test_a_plan_is_described_also_if_it_is_refused(tmp_path: Path) -> None:
    heading, student, _ = USERS.splitlines()
    (tmp_path / "users.csv").write_text(f"{heading}\n{student}\n")
    with State(tmp_path / "state.db") as state, read_roster(tmp_path / "users.csv") as roster:
        (change,) = user_code.what_is_refused(roster, state)

    assert (change["action"], change["id"]) == ("create", "s-1")


def test_rows_that_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS.replace("Ada", "", 1))

    (row,) = user_code.what_is_left_out(tmp_path / "users.csv")[:1]

    assert row.startswith("users.csv:2: ")
