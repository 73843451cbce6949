"""A plan carried out: in which order, what the state knows of it, and how it ends early."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.districts import EVERYTHING, ONCE, District, crowd
from tests.support.rosters import FAMILY, adult, child, csv_text, folder, manifest, role, school
from timeback_async import Outcome, TimebackSession
from timeback_async.errors import AuthError, ServerError, SessionError, TimebackError
from timeback_async.models.ids import agent_id_of
from timeback_async.sync import Change, State, StateError, SyncReport, SyncRun, plan, read_roster
from timeback_async.sync._running import facts
from timeback_async.testing import Faults, MockServer


def counted(running: SyncRun) -> dict[str, int]:
    return {outcome.value: n for outcome, n in running.report.counts.items() if n}


def named(server: MockServer, own: str) -> Any:
    return (server.person(own) or {}).get("givenName")


# -- night after night


async def test_the_server_has_what_the_files_have_and_a_second_run_sends_nothing(
    district: District, server: MockServer
) -> None:
    first = await district.sync(school(*FAMILY))
    sent = server.requests
    second = await district.sync(school(*FAMILY))

    assert counted(first) == {"saved": 5}
    assert first.report.ok
    assert first.error is None
    assert server.students.keys() == {"s-1", "s-2"}
    assert server.users.keys() == {"u-1"}
    assert {key: agent["relationshipType"] for key, agent in server.agents.items()} == {
        (own, agent_id_of(own, "u-1")): "parent" for own in ("s-1", "s-2")
    }
    assert sent == first.report.requests == server.requests == 5
    assert (second.report.unchanged, second.report.planned, second.report.ok) == (5, 0, True)


async def test_one_changed_row_sends_one_request(district: District, server: MockServer) -> None:
    await district.sync(school(*FAMILY))
    sent = server.requests

    await district.sync(school(child("s-1", "u-1", givenName="Canary new"), *FAMILY[1:]))

    assert server.requests - sent == 1
    assert named(server, "s-1") == "Canary new"


async def test_people_come_before_links_then_unlinks_then_deactivations(
    district: District,
) -> None:
    await district.sync(school(*FAMILY))
    phases: list[str] = []

    def take(change: Change, result: Any) -> None:
        phases.append(f"{change.phase} {change.action} {change.sourced_id}")

    rows = [child("s-1", "u-2"), child("s-2", status="tobedeleted"), adult("u-1"), adult("u-2")]
    running = await district.sync(school(*rows), on_result=take, **EVERYTHING)

    assert phases[:2] == ["people create u-2", "links link s-1"]
    assert sorted(phases[2:4]) == ["unlinks unlink s-1", "unlinks unlink s-2"]
    assert phases[4:] == ["deactivations deactivate s-2"]
    assert running.report.as_dict()["phases"] == {
        "people": {"planned": 1, "saved": 1},
        "links": {"planned": 1, "saved": 1},
        "unlinks": {"planned": 2, "deleted": 2},
        "deactivations": {"planned": 1, "saved": 1},
    }


async def test_a_user_who_becomes_a_student_is_saved_as_one(
    district: District, server: MockServer
) -> None:
    await district.sync(school(adult("x-1")))
    del server.users["x-1"]  # TimeBack has one list of people

    await district.sync(school(child("x-1")))

    assert server.students.keys() == {"x-1"}
    assert district.outcomes() == {("student", "saved"): 1}


# -- what did not end well


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [(Faults(statuses={500: 1.0}), "failed"), (Faults(drop_after=1.0), "unknown")],
)
async def test_what_did_not_end_well_is_sent_again(
    district: District, server: MockServer, faults: Faults, outcome: str
) -> None:
    server.faults, district.settings = faults, {"retry": ONCE}
    first = await district.sync(school(child("s-1")))
    known, held = district.outcomes(), district.held()
    server.faults = Faults()
    second = await district.sync(school(child("s-1")))

    assert counted(first) == {outcome: 1}
    assert not first.report.ok
    assert known == {("student", outcome): 1}
    assert held == {"student": 1}  # for all that is known
    assert counted(second) == {"saved": 1}
    assert district.outcomes() == {("student", "saved"): 1}


async def test_a_link_whose_person_failed_is_not_sent_and_says_why(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[tuple[str, str, str]] = []
    real = server._api._put_user
    monkeypatch.setattr(server._api, "_put_user", lambda own, body: real(own, b'{"user": {}}'))

    def take(change: Change, result: Any) -> None:
        refused.append((change.kind, result.outcome, str(result.error)))

    rows = [child("s-1", "u-1"), adult("u-1")]
    first = await district.sync(school(*rows), on_result=take)
    monkeypatch.undo()
    second = await district.sync(school(*rows))

    assert counted(first) == {"saved": 1, "failed": 1, "not_sent": 1}
    assert refused[-1][:2] == ("agent", Outcome.NOT_SENT)
    assert "'u-1' was not saved in this run" in refused[-1][2]
    assert counted(second) == {"saved": 2}


async def test_no_run_leaves_anything_personal_behind(
    district: District, server: MockServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.faults = Faults(statuses={500: 0.3, 422: 0.2})
    district.settings = {"retry": ONCE}
    told: list[str] = []

    running = await district.sync(
        crowd(50), on_result=lambda change, result: told.append(f"{change!r} {result!r}")
    )

    shown = f"{running.report.as_dict()} {running.report!r} {running.report} {told} {caplog.text}"
    written = b"".join(each.read_bytes() for each in district.path.glob("state.db*"))
    assert len(told) == 50
    assert "canary" not in shown.lower()
    assert b"canary" not in written.lower()
    assert b"s-1" not in written


# -- killed between the answer and the journal


def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the state as a run does that is killed before it writes its outcomes."""
    monkeypatch.setattr(State, "write", lambda self, entries: None)


async def test_a_change_that_was_not_journalled_is_undone_when_the_file_goes_back(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await district.sync(school(child("s-1", givenName="Canary A")))
    with monkeypatch.context() as killed:
        forgetful(killed)
        await district.sync(school(child("s-1", givenName="Canary B")))

    last = await district.sync(school(child("s-1", givenName="Canary A")))

    assert counted(last) == {"saved": 1}
    assert named(server, "s-1") == "Canary A"


async def test_removals_that_were_not_journalled_are_undone_when_they_come_back(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await district.sync(school(*FAMILY))
    with monkeypatch.context() as killed:
        forgetful(killed)
        await district.sync(school(child("s-1"), adult("u-1")), **EVERYTHING)

    assert server.students["s-2"]["status"] == "tobedeleted"
    await district.sync(school(*FAMILY), **EVERYTHING)
    assert server.students["s-2"]["status"] == "active"
    assert len(server.agents) == 2


# -- who is gone


@pytest.mark.parametrize("ids", ["hashed", "plain"])
async def test_who_is_absent_is_deactivated_as_the_server_has_them(
    district: District, server: MockServer, ids: str
) -> None:
    district.ids = ids
    await district.sync(school(*FAMILY, adult("t-1", "teacher"), child("s-3")))
    before = {own: dict(server.person(own) or {}) for own in ("s-2", "s-3", "t-1")}
    fewer = school(FAMILY[0], FAMILY[2], child("s-3", status="tobedeleted"))

    running = await district.sync(fewer, **EVERYTHING)
    again = await district.sync(fewer, **EVERYTHING)

    assert counted(running) == {"saved": 3}
    assert running.report.ok
    for own, record in before.items():
        assert server.person(own) == {**record, "status": "tobedeleted"}
    assert (again.report.planned, again.report.absent) == (0, {})


@pytest.mark.parametrize("ids", ["hashed", "plain"])
async def test_who_is_not_at_the_server_any_more_needs_no_deactivation(
    district: District, server: MockServer, ids: str
) -> None:
    district.ids = ids
    await district.sync(school(*FAMILY))
    del server.students["s-2"]
    fewer = school(child("s-1", "u-1"), adult("u-1"))

    running = await district.sync(fewer, deactivate_absent=True, max_removals=1)
    again = await district.sync(fewer, deactivate_absent=True, max_removals=1)

    assert running.report.ok
    assert server.students.keys() == {"s-1"}
    assert again.report.planned == 0


async def test_somebody_listed_twice_is_deactivated_once(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await district.sync(school(*FAMILY))
    real = server._api._list
    monkeypatch.setattr(server._api, "_list", lambda name, all_, query: real(name, all_ * 2, query))

    running = await district.sync(
        school(child("s-1", "u-1"), adult("u-1")), deactivate_absent=True, max_removals=1
    )

    assert running.report.stopped == ""
    assert counted(running) == {"saved": 1}
    assert server.students["s-2"]["status"] == "tobedeleted"


async def test_whoever_cannot_be_sent_as_they_are_is_told_and_left_alone(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FAMILY))
    del server.users["u-1"]["roles"]

    running = await district.sync(
        school(child("s-1"), child("s-2")), deactivate_absent=True, max_removals=1
    )

    assert counted(running) == {"invalid": 1}
    assert "tobedeleted" not in server.users["u-1"].values()


async def test_a_link_that_is_gone_already_counts_as_deleted(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FAMILY))
    server.agents.clear()

    running = await district.sync(
        school(child("s-1"), child("s-2"), adult("u-1")), unlink_absent=True, max_removals=2
    )

    assert counted(running) == {"deleted": 2}
    assert running.report.ok
    assert district.outcomes()["agent", "deleted"] == 2


# -- deltas: what they leave out stays


DATES = [{"sourcedId": "s-1", "birthDate": "2010-05-06"}]


@pytest.mark.parametrize(
    "held",
    [
        {"birthDate": "2010-05-06"},
        {"birthDate": "2010-05-06", "sex": "female"},
        {"birthDate": None},
        {},
    ],
)
async def test_a_delta_leaves_birth_dates_as_they_are(
    district: District, server: MockServer, held: dict[str, Any]
) -> None:
    await district.sync(school(child("s-1"), child("s-2"), demographics=DATES))
    server.students["s-1"]["demographics"] = held
    delta = school(child("s-1", phone="1"), child("s-2", phone="2"), child("s-3"), mode="delta")

    running = await district.sync(delta)

    assert counted(running) == {"saved": 3}
    born = server.students["s-1"].get("demographics", {}).get("birthDate")
    assert born == held.get("birthDate")
    assert [server.students[own]["phone"] for own in ("s-1", "s-2")] == ["1", "2"]


async def test_a_birth_date_in_a_delta_is_sent(district: District, server: MockServer) -> None:
    await district.sync(school(child("s-1")))

    await district.sync(school(child("s-1"), mode="delta", demographics=DATES))

    assert server.students["s-1"]["demographics"] == {"birthDate": "2010-05-06"}


@pytest.mark.parametrize("mode", ["delta", "absent"])
async def test_a_full_set_without_all_demographics_leaves_birth_dates_as_they_are(
    district: District, server: MockServer, mode: str
) -> None:
    two = [*DATES, {"sourcedId": "s-2", "birthDate": "2011-01-02"}]
    await district.sync(school(child("s-1"), child("s-2"), demographics=two))
    files = school(child("s-1", phone="1"), child("s-2"), demographics=two[1:])
    modes = {"users": "bulk", "orgs": "bulk", "demographics": mode}
    files["manifest.csv"] = csv_text(manifest(**modes))
    if mode == "absent":
        del files["demographics.csv"]

    running = await district.sync(files)

    assert running.report.ok
    assert server.students["s-1"]["phone"] == "1"
    assert server.students["s-1"]["demographics"] == {"birthDate": "2010-05-06"}
    assert server.students["s-2"]["demographics"] == {"birthDate": "2011-01-02"}


async def test_roles_of_a_delta_come_to_those_at_the_server(
    district: District, server: MockServer
) -> None:
    teacher = {name: cell for name, cell in adult("t-1").items() if name != "role"}
    del teacher["orgSourcedIds"]
    first = [role("t-1", "teacher"), role("t-1", "parent", "secondary")]
    await district.sync(school(teacher, version="1.2", roles=first))
    delta = [role("t-1", "aide", "secondary"), role("t-1", "parent", status="tobedeleted")]

    await district.sync(school(teacher, version="1.2", mode="delta", roles=delta))

    assert [each["role"] for each in server.users["t-1"]["roles"]] == ["teacher", "aide"]


async def test_a_delta_stops_where_the_server_cannot_be_asked(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: TimebackSession, own: str) -> None:
        raise ServerError(503)

    await district.sync(school(child("s-1")))
    monkeypatch.setattr(TimebackSession, "get_user", broken)

    running = await district.sync(school(child("s-1", phone="1"), mode="delta"))

    assert isinstance(running.error, ServerError)
    assert "503" in running.report.stopped
    assert "phone" not in server.students["s-1"]


# -- ended early


async def test_credentials_that_are_refused_end_a_run_with_the_reason(
    district: District, server: MockServer
) -> None:
    district.settings = {"client_secret": "wrong"}

    running = await district.sync(crowd(50))

    assert isinstance(running.error, AuthError)
    assert running.report.stopped == str(running.error)
    assert server.requests == 0
    assert district.outcomes() == {}
    assert district.facts("fingerprint") is None


async def test_a_run_that_is_stopped_goes_on_where_it_ended(
    district: District, server: MockServer
) -> None:
    runs: list[SyncRun] = []

    async def begin(running: SyncRun) -> None:
        runs.append(running)
        await running

    def stop(change: Change, result: Any) -> None:
        if server.requests > 100:
            runs[0].stop()

    first = await district.sync(crowd(600), during=begin, on_result=stop)
    sent = server.requests
    saved = len(server.students)
    second = await district.sync(crowd(600))

    assert first.report.stopped == "interrupted"
    assert first.error is None
    assert not first.report.ok
    assert 100 < counted(first)["saved"] == saved < 400
    assert server.requests == 600
    assert second.report.unchanged == sent == saved
    assert second.report.ok
    assert len(server.students) == 600


async def test_a_run_that_is_stopped_before_it_begins_sends_nothing(
    district: District, server: MockServer
) -> None:
    async def stopped(running: SyncRun) -> None:
        running.stop()
        await running

    running = await district.sync(school(*FAMILY), during=stopped)

    assert server.requests == 0
    assert running.report.stopped == "interrupted"
    assert (await district.sync(school(*FAMILY))).report.ok


async def test_a_run_that_is_stopped_among_the_people_removes_nobody(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FAMILY))

    async def begin(running: SyncRun) -> None:
        stops.append(running.stop)
        await running

    stops: list[Callable[[], None]] = []
    changed = school(child("s-1", givenName="Canary new"), adult("u-1"))
    await district.sync(
        changed, during=begin, on_result=lambda change, result: stops[0](), **EVERYTHING
    )

    assert server.students["s-2"]["status"] == "active"
    assert len(server.agents) == 2


async def test_a_run_that_ended_early_says_so_and_how_much_it_did_not_reach(
    district: District, server: MockServer
) -> None:
    district.settings = {"client_secret": "wrong", "max_in_flight": 1}

    report = (await district.sync(school(*FAMILY))).report

    assert report.not_reached == report.as_dict()["not_reached"] > 0
    assert report.not_reached + report.counts.total() == report.planned == 5
    assert f"{report.not_reached} not reached" in str(report)
    with pytest.raises(TimebackError, match=r"stopped: .*client_secret.*; the first: student s-1"):
        report.raise_for_failures()


async def test_failures_are_told_the_worst_first_and_three_of_a_kind(
    district: District, server: MockServer
) -> None:
    server.faults, district.settings = Faults(statuses={422: 1.0}), {"retry": ONCE}

    report = (
        await district.sync(school(*(child(f"s-{n}", "u-1") for n in range(5)), adult("u-1")))
    ).report

    told = [(each.who, each.outcome) for each in report.examples(6)]
    assert [outcome for _, outcome in told] == ["failed"] * 3 + ["not_sent"] * 3
    assert told[3][0] == "s-0 with u-1"
    assert report.more(len(told)) == 11 - 6


async def test_a_session_closed_under_a_run_costs_no_outcome(
    district: District, server: MockServer
) -> None:
    server.faults = Faults(latency=0.3)

    async def closing(running: SyncRun) -> None:
        asyncio.get_running_loop().call_later(0.1, lambda: tasks.append(closed(running)))
        await running

    def closed(running: SyncRun) -> asyncio.Task[None]:
        return asyncio.create_task(running._session.aclose())

    tasks: list[asyncio.Task[None]] = []
    running = await district.sync(school(*FAMILY), during=closing)

    assert isinstance(running.error, SessionError)
    assert running.report.counts.total() == 5
    assert (await district.sync(school(*FAMILY))).report.ok


def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    real = State.write

    def write(self: State, batch: bytes | bytearray) -> None:
        time.sleep(0.3)
        real(self, batch)

    monkeypatch.setattr(State, "write", write)


async def cancelled(running: SyncRun, server: MockServer, requests: int) -> None:
    """Cancel a run after so many requests, and once more while it writes its journal."""
    task = asyncio.ensure_future(running)
    until = server.requests + requests
    while server.requests < until:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.1)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_run_that_is_cancelled_knows_what_is_in_doubt(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await district.sync(crowd(500))
    fingerprint = district.facts("fingerprint")
    server.faults = Faults(latency=0.02)

    with monkeypatch.context() as disk:
        slowly(disk)
        running = await district.sync(
            crowd(500, phone="1"), during=lambda running: cancelled(running, server, 100)
        )
    server.faults = Faults()
    last = await district.sync(crowd(500, phone="1"))

    ended = counted(running)
    assert running.report.stopped == "cancelled"
    assert 0 < ended["unknown"] <= 128
    assert ended["saved"] + ended["unknown"] < 500
    assert district.facts("fingerprint") == fingerprint
    assert last.report.unchanged == ended["saved"]
    assert last.report.ok
    assert {each["phone"] for each in server.students.values()} == {"1"}


async def test_a_run_that_is_cancelled_at_its_very_beginning_sends_nothing(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = State.begin

    def begin(self: State, *arguments: Any) -> None:
        time.sleep(0.2)
        real(self, *arguments)

    async def cancelled_at_once(running: SyncRun) -> None:
        task = asyncio.ensure_future(running)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(State, "begin", begin)
    running = await district.sync(school(*FAMILY), during=cancelled_at_once)

    assert server.requests == 0
    assert running.report.stopped == "cancelled"
    assert (await district.sync(school(*FAMILY))).report.ok


async def test_what_on_result_raises_ends_the_run_and_nothing_is_lost(
    district: District, server: MockServer
) -> None:
    told: list[Change] = []

    def take(change: Change, result: Any) -> None:
        told.append(change)
        if len(told) == 100:
            raise ValueError("not ours")

    with pytest.raises(ValueError, match="not ours"):
        await district.sync(crowd(500), on_result=take)
    again = await district.sync(crowd(500))

    assert again.report.ok
    assert again.report.unchanged >= 99
    assert len(server.students) == 500


async def test_a_run_is_awaited_once(district: District, server: MockServer) -> None:
    async def twice(running: SyncRun) -> None:
        await running
        with pytest.raises(SessionError, match="once"):
            await running

    await district.sync(school(*FAMILY), during=twice)

    assert server.requests == 5


# -- a disk that is full


def failing_after(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Let the disk be full after so many batches."""
    real, count = State.write, 0

    def write(self: State, batch: bytes | bytearray) -> None:
        nonlocal count
        count += 1
        if count > batches:
            raise StateError("state.db: could not be written (disk full); run again to continue")
        real(self, batch)

    monkeypatch.setattr(State, "write", write)


@pytest.mark.parametrize("number", [3, 4000])
async def test_a_full_disk_ends_a_run_in_order_and_the_next_one_completes_it(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with monkeypatch.context() as disk:
        failing_after(disk, number // 4000)
        running = await district.sync(crowd(number))
    sent = server.requests
    fingerprint = district.facts("fingerprint")
    last = await district.sync(crowd(number))

    assert isinstance(running.error, StateError)
    assert running.report.stopped == str(running.error)
    assert not running.report.ok
    assert fingerprint is None
    assert counted(running)["saved"] == sent == running.report.requests
    assert sent == 3 or sent < 4000
    assert last.report.ok
    assert len(server.students) == number


@pytest.mark.parametrize("method", ["begin", "note"])
async def test_a_disk_that_is_full_from_the_beginning_or_at_the_end_is_told(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(self: State, *facts: Any, **more: Any) -> None:
        raise StateError("state.db: could not be written (disk full)")

    with monkeypatch.context() as disk:
        disk.setattr(State, method, fail)
        running = await district.sync(school(*FAMILY))

    assert isinstance(running.error, StateError)
    assert not running.report.ok
    assert server.requests == (0 if method == "begin" else 5)
    assert (await district.sync(school(*FAMILY))).report.ok


# -- the report


async def test_a_report_tells_what_there_was_and_what_became_of_it(district: District) -> None:
    rows = [*FAMILY, adult("u-2", role="wizard")]

    report = (await district.sync(school(*rows))).report

    assert report.done == 5
    assert not report.ok
    said = "5 changes: 5 saved; 0 unchanged; 1 findings left something out"
    assert str(report) == said
    with pytest.raises(TimebackError, match="1 findings left something out"):
        report.raise_for_failures()
    facts = report.as_dict()
    assert facts["read"] == {
        "rows": 4, "students": 2, "users": 1, "links": 2, "repeated": 0, "left_out": 1
    }  # fmt: skip
    assert {"role-unknown"} <= {each["code"] for each in facts["findings"]}
    assert report.phases["people"].began is not None
    assert report.phases["unlinks"].began is None


async def test_a_report_of_nothing_sent_says_so(district: District, tmp_path: Path) -> None:
    path = folder(tmp_path / "roster", school(*FAMILY))
    with State(None) as state, read_roster(path) as roster:
        report = SyncReport.of(plan(roster, state), dry_run=True)

    assert report.ok
    assert str(report) == "5 changes: nothing sent; 0 unchanged"


@pytest.mark.parametrize("method", ["begin", "write", "note"])
async def test_an_error_that_nobody_expected_of_the_state_is_raised(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(self: State, *facts: Any, **more: Any) -> None:
        raise RuntimeError("not expected")

    monkeypatch.setattr(State, method, fail)

    with pytest.raises(RuntimeError, match="not expected"):
        await district.sync(crowd(5))
    assert server.requests == (0 if method == "begin" else 5)


async def test_a_report_counts_the_requests_of_every_phase(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FAMILY))
    rows = [child("s-1"), child("s-2", status="tobedeleted"), adult("u-1", phone="1")]

    report = (await district.sync(school(*rows), **EVERYTHING)).report

    assert [phase.planned for phase in report.phases.values()] == [1, 0, 2, 1]
    assert report.requests == 4
    assert 0 < report.elapsed < 60


async def test_of_many_failures_the_first_are_kept_and_all_counted(
    district: District, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MAX_KEPT_FAILURES", 3)
    server.faults = Faults(statuses={422: 1.0})

    report = (await district.sync(crowd(5))).report

    assert len(report.failures) == 3
    assert report.counts[Outcome.FAILED] == 5
    assert report.more(len(report.failures)) == 2


async def test_why_somebody_absent_cannot_be_sent_is_said(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FAMILY))
    del server.users["u-1"]["primaryOrg"], server.users["u-1"]["givenName"]

    running = await district.sync(
        school(child("s-1"), child("s-2")), deactivate_absent=True, max_removals=1
    )

    (failure,) = running.report.failures
    assert (failure.where, failure.kind) == ("", "user")
    assert failure.reason == "givenName: is missing in the record received"
