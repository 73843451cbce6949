"""How TimeBack is asked, and what may be said of what it answers."""

import asyncio
import pickle
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.amounts import in_turn
from tests.support.districts import District
from tests.support.packages import ROSTERS, package
from tests.support.records import Json, wire_agent, wire_student, wire_user
from tests.support.rosters import FAMILY, adult, child, folder, opened, role, school
from tests.support.samples import DATA, name_of_sample, needs_samples
from tests.support.verifying import KEY, RECORDS, School, told
from timeback_async import RetryPolicy, TimebackSession
from timeback_async.errors import ConfigError, SessionError, TimebackError
from timeback_async.sync import (
    ReadOptions,
    State,
    Verification,
    VerifyReport,
    plan,
    read_roster,
    run,
    verify,
)
from timeback_async.sync._verifying.tables import VerifyTables
from timeback_async.testing import Faults, MockServer, _api
from timeback_async.testing._answers import Refusal

TODAY = date(2026, 1, 1)


@pytest.fixture
async def synced(server: MockServer, tmp_path: Path) -> School:
    own = School(server, tmp_path)
    own.write(*RECORDS)
    await own.sync()
    return own


async def sync_and_verify(server: MockServer, path: Path, **options: Any) -> VerifyReport:
    with (
        read_roster(path, ReadOptions(today=TODAY, **options)) as roster,
        State(None, server.config()) as state,
    ):
        async with TimebackSession(server.config()) as session:
            await run(session, plan(roster, state))
            return await verify(session, roster)


# -- after a sync there is nothing to find


def sample_rosters() -> list[Path]:
    return sorted(
        {*(file.parent for file in DATA.rglob("*.csv")), *DATA.rglob("*.zip"),
         *DATA.rglob("*users.csv"), *DATA.rglob("test-csv.csv")}
    )  # fmt: skip


OPTIONS: tuple[dict[str, str], ...] = ({}, {"default_org": "org-1", "relationship": "mentor"})


@needs_samples
@pytest.mark.parametrize(
    ("path", "options"), in_turn(sample_rosters(), OPTIONS), ids=name_of_sample
)
async def test_a_published_roster_is_the_same_after_a_sync(
    server: MockServer, path: Path, options: dict[str, str]
) -> None:
    report = await sync_and_verify(server, path, **options)

    assert report.differences == []
    assert report.ok
    assert report.people.same == sum(report.read[each] for each in ("students", "users"))
    assert report.links.same == report.read["links"]


@pytest.mark.parametrize(("name", "options"), in_turn(ROSTERS, OPTIONS))
async def test_a_package_of_our_own_is_the_same_after_a_sync(
    server: MockServer, tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    report = await sync_and_verify(server, package(name, tmp_path), **options)

    assert report.differences == []
    assert report.people.same == sum(report.read[each] for each in ("students", "users"))
    assert report.links.same == report.read["links"]


# -- what is asked


async def test_it_asks_for_each_page_and_for_the_links_of_each_student(
    server: MockServer, tmp_path: Path
) -> None:
    own = School(server, tmp_path)
    own.write(*({"student": wire_student(f"s-{n}")} for n in range(250)))
    await own.sync()

    report = await own.verify()

    assert report.planned == {"pages": 3, "people": 0, "students": 250}
    assert report.requests == sum(report.planned.values())


async def test_a_dry_run_counts_the_requests_and_sends_none(synced: School) -> None:
    sent, tokens = synced.server.requests, synced.server.token_requests

    report = await synced.verify(dry_run=True)

    assert report.planned == {"pages": 1, "people": 0, "students": 2}
    assert str(report) == "3 requests or more would be sent; nothing was compared"
    assert (synced.server.requests, synced.server.token_requests) == (sent, tokens)
    assert report.ok


async def test_one_way_leaves_alone_what_is_only_at_timeback(synced: School) -> None:
    synced.server.users["x-1"] = wire_user("x-1")
    synced.server.agents["s-1", "more"] = wire_agent("x-1")
    del synced.server.agents[KEY]

    report = await synced.verify(one_way=True)

    assert list(map(told, report.differences)) == [("missing", "agent", "s-1 with u-1", ())]
    assert report.planned["students"] == 1
    assert report.not_judged == ""


async def test_a_sample_looks_some_people_up_with_their_links(synced: School) -> None:
    synced.server.users["x-1"] = wire_user("x-1")
    synced.server.agents["s-1", "more"] = wire_agent("x-1")
    synced.server.students["s-1"]["email"] = "other@example.com"

    report = await synced.verify(sample=100)

    assert sorted(map(told, report.differences)) == [
        ("different", "student", "s-1", ("email",)),
        ("only_there", "agent", "s-1 with x-1", ()),
    ]
    assert report.planned == {"pages": 0, "people": 4, "students": 2}
    assert report.requests == 6
    assert "this is a sample" in report.not_judged


async def test_a_sample_is_no_larger_than_it_is_asked_to_be(
    server: MockServer, tmp_path: Path
) -> None:
    own = School(server, tmp_path)
    own.write(*({"student": wire_student(f"s-{n}")} for n in range(50)))

    report = await own.verify(sample=7)

    assert (report.people.missing, report.links.missing) == (7, 0)
    assert report.requests == 14


@pytest.mark.parametrize("sample", [0, -1, True, 2.5])
async def test_a_sample_is_a_whole_number(synced: School, sample: Any) -> None:
    with pytest.raises(ConfigError, match="sample: must be a whole number"):
        await synced.verify(sample=sample)


# -- whom the list does not show


async def test_nobody_is_missing_whom_the_list_leaves_out(
    synced: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = _api.RosteringApi._list

    def hiding(self: Any, name: str, records: list[Json], query: str) -> tuple[int, object]:
        return listed(self, name, [each for each in records if each["sourcedId"] > "t"], query)

    monkeypatch.setattr(_api.RosteringApi, "_list", hiding)
    synced.server.students["s-2"]["email"] = "x"
    synced.server.students["s-1"]["email"] = "other@example.com"

    report = await synced.verify()

    assert list(map(told, report.differences)) == [("different", "student", "s-1", ("email",))]
    assert report.people.same == 3


async def test_somebody_listed_twice_is_compared_once(
    synced: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = _api.RosteringApi._list

    def moving(self: Any, name: str, records: list[Json], query: str) -> tuple[int, object]:
        return listed(self, name, [*records, *records[:2]], query)

    monkeypatch.setattr(_api.RosteringApi, "_list", moving)
    synced.server.students["s-1"]["email"] = "other@example.com"
    synced.server.users["x-1"] = wire_user("x-1")

    report = await synced.verify()

    assert (report.people.same, report.people.different, report.people.only_there) == (3, 1, 1)


async def test_an_id_that_timeback_chose_is_no_other_person(
    synced: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = synced.server.users.pop("u-1") | {"sourcedId": "t-77"}
    synced.server.users["t-77"] = chosen
    synced.server.agents[KEY] = wire_agent("t-77")
    existing = _api.RosteringApi._existing

    def renamed(self: Any, own: str) -> Json:
        return existing(self, "t-77" if own == "u-1" else own)

    monkeypatch.setattr(_api.RosteringApi, "_existing", renamed)

    report = await synced.verify()

    assert report.differences == []
    assert (report.people.same, report.links.same) == (4, 2)


@pytest.mark.parametrize("sample", [None, 1])
async def test_a_server_that_writes_ids_in_its_own_way_makes_no_difference(
    server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: int | None
) -> None:
    school = School(server, tmp_path)
    link = {"studentId": "S-1", "userId": "U-1", "relationshipType": "parent"}
    school.write({"student": wire_student("S-1")}, {"user": wire_user("U-1")}, {"agent": link})
    existing = _api.RosteringApi._existing
    monkeypatch.setattr(_api.RosteringApi, "_existing", lambda api, own: existing(api, own.lower()))
    server.students["s-1"], server.users["u-1"] = wire_student("s-1"), wire_user("u-1")
    server.agents["S-1", "new"] = wire_agent("u-1")
    choice = "INSERT INTO wanted SELECT rowid FROM people WHERE kind = 'student'"
    monkeypatch.setattr(VerifyTables, "want_some", lambda tables, _: tables._db.execute(choice))

    report = await school.verify(sample=sample)

    assert report.differences == []
    assert report.links.same == 1


async def test_people_whom_nobody_can_name_count_for_nobody_who_was_not_reached(
    synced: School,
) -> None:
    for number in range(3):
        synced.server.users[f"odd-{number}"] = wire_user() | {"sourcedId": number}
    synced.server.fail(403, nth=2)  # the first links

    report = await synced.verify()

    assert report.people.unknown == report.nameless == 3
    assert (report.people.same, report.not_reached) == (4, 0)


@pytest.mark.parametrize("one_way", [False, True])
async def test_people_whom_nobody_can_name_are_unknown(synced: School, one_way: bool) -> None:
    synced.server.users["odd"] = wire_user() | {"sourcedId": 5}

    report = await synced.verify(one_way=one_way)

    unknown = [("unknown", "person", "", ())]
    assert list(map(told, report.differences)) == ([] if one_way else unknown)
    assert (report.people.same, report.ok) == (4, one_way)


async def test_people_whom_the_server_counts_and_does_not_list_are_unknown(
    synced: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = _api.RosteringApi._list

    def fewer(self: Any, name: str, records: list[Json], query: str) -> tuple[int, object]:
        status, page = listed(self, name, records, query)
        assert isinstance(page, dict)
        return status, page | {"total": 9}

    monkeypatch.setattr(_api.RosteringApi, "_list", fewer)

    report = await synced.verify()

    assert list(map(told, report.differences)) == [("unknown", "person", "", ())]
    assert "counts 5 people more" in report.differences[0].why


async def test_a_link_of_a_sample_to_another_person_is_missing(synced: School) -> None:
    synced.server.agents[KEY] = wire_agent("u-3")
    synced.server.agents["s-1", "more"] = synced.server.agents.pop(KEY)

    report = await synced.verify(sample=100)

    assert sorted(map(told, report.differences)) == [
        ("missing", "agent", "s-1 with u-1", ()),
        ("only_there", "agent", "s-1 with u-3", ()),
    ]


async def test_who_cannot_be_looked_up_is_unknown_and_not_missing(
    synced: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    del synced.server.students["s-2"]

    def broken(self: Any, own: str) -> Json:
        raise Refusal(403, "not yours")

    monkeypatch.setattr(_api.RosteringApi, "_existing", broken)

    report = await synced.verify()

    assert sorted(map(told, report.differences)) == [
        ("unknown", "agent", "s-1", ()),
        ("unknown", "agent", "s-2", ()),
        ("unknown", "student", "s-2", ()),
    ]
    assert all("HTTP 403" in each.why for each in report.differences)
    assert synced.changes == [None] * 3
    assert not report.ok


# -- what the files leave open


async def test_changes_alone_say_nothing_of_who_is_only_at_timeback(synced: School) -> None:
    synced.server.users["x-1"] = wire_user("x-1")
    synced.server.agents["s-1", "more"] = wire_agent("x-1")

    report = await synced.verify(mode="delta")

    assert report.ok
    assert report.not_judged == (
        "Who is only at TimeBack was not looked for: school.jsonl may hold changes alone"
    )


async def test_rows_without_a_readable_id_may_be_those_who_are_only_at_timeback(
    synced: School,
) -> None:
    synced.server.users["x-1"] = wire_user("x-1")
    synced.write(*RECORDS, {"user": {"sourcedId": 7}})

    report = await synced.verify()

    assert report.ok
    assert report.not_judged.endswith("rows of school.jsonl have no readable id")
    assert report.unaccepted == 1


async def test_a_row_that_is_left_out_is_neither_compared_nor_only_at_timeback(
    server: MockServer, district: District
) -> None:
    await district.sync(school(*FAMILY))
    path = folder(
        district.path / "worse",
        school(child("s-1", "u-1"), child("s-2", "u-1"), adult("u-1", givenName="")),
    )

    async with TimebackSession(server.config()) as session:
        report = await verify(session, opened(path))

    assert report.differences == []
    assert (report.people.same, report.links.same) == (2, 0)


async def test_a_link_that_the_files_leave_open_is_not_only_at_timeback(
    server: MockServer, district: District
) -> None:
    district.reading = {"relationship": "mentor"}
    await district.sync(school(child("s-1", "u-1"), adult("u-1", "teacher")))

    async with TimebackSession(server.config()) as session:
        report = await verify(session, opened(district.path / "1"))

    assert len(server.agents) == 1
    assert report.ok


async def test_a_delta_is_compared_with_what_timeback_adds_to_it(
    server: MockServer, district: District
) -> None:
    whole = [child("s-1"), adult("u-1", "teacher")]
    for row in whole:
        del row["role"]
    roles = [role("s-1"), role("u-1", "teacher"), role("u-1", "aide", "secondary")]
    await district.sync(school(*whole, version="1.2", roles=roles))
    delta = school(whole[1], version="1.2", mode="delta", roles=[role("u-1", "teacher")])
    path = folder(district.path / "delta", delta)

    async with TimebackSession(server.config()) as session:
        clean = await verify(session, opened(path))
        server.users["u-1"]["roles"].pop(0)
        found = await verify(session, opened(path))

    assert (clean.ok, clean.people.same) == (True, 1)
    assert list(map(told, found.differences)) == [("different", "user", "u-1", ("roles",))]


async def test_what_cannot_become_what_timeback_has_is_different_with_the_reason(
    server: MockServer, district: District
) -> None:
    await district.sync(school(adult("u-1", "teacher")))
    row = adult("u-1")
    del row["role"]
    ended = role("u-1", "teacher", status="tobedeleted")
    delta = school(row, version="1.2", mode="delta", roles=[ended])
    path = folder(district.path / "delta", delta)

    async with TimebackSession(server.config()) as session:
        report = await verify(session, opened(path))

    assert list(map(told, report.differences)) == [("different", "person", "u-1", ("roles",))]
    assert "have all ended" in report.differences[0].why


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"status": "tobedeleted", "givenName": "Other"}, []),
        (None, []),
        ({"status": "active"}, [("different", "student", "s-1", ("status",))]),
    ],
)
async def test_of_who_is_to_be_deleted_nothing_but_that_matters(
    server: MockServer, tmp_path: Path, there: Json | None, expected: list[object]
) -> None:
    own = School(server, tmp_path)
    own.write({"student": wire_student("s-1", status="tobedeleted")})
    if there is not None:
        server.students["s-1"] = wire_student("s-1") | there

    report = await own.verify()

    assert list(map(told, report.differences)) == expected
    assert report.planned["students"] == 0


async def test_a_link_of_somebody_whom_timeback_lacks_is_missing(
    server: MockServer, tmp_path: Path
) -> None:
    own = School(server, tmp_path)
    own.write(*RECORDS)

    report = await own.verify()

    assert (report.people.missing, report.links.missing) == (4, 2)
    assert report.number == 6


# -- its end


async def test_an_error_ends_it_and_is_in_the_report(synced: School) -> None:
    synced.settings = {"client_secret": "wrong"}

    report = await synced.verify()

    assert "invalid_client" in report.stopped
    assert not report.ok
    with pytest.raises(TimebackError, match="invalid_client"):
        report.raise_for_failures()


async def test_the_reason_of_an_error_is_kept(synced: School) -> None:
    kept: list[Verification] = []
    synced.settings = {"client_secret": "wrong"}

    await synced.verify(at=kept.append)

    assert "invalid_client" in str(kept[0].error)


def stopping(comparison: Verification, after: Callable[[], bool]) -> asyncio.Task[None]:
    async def wait() -> None:
        while not after():  # noqa: ASYNC110 - the server is not ours to signal
            await asyncio.sleep(0.001)
        comparison.stop()

    return asyncio.create_task(wait())


async def test_a_stop_ends_a_list_that_is_waited_for(synced: School) -> None:
    synced.server.faults = Faults(latency=30)
    tokens = synced.server.token_requests
    kept: list[object] = []

    report = await synced.verify(
        at=lambda it: kept.append(stopping(it, lambda: synced.server.token_requests > tokens))
    )

    assert report.stopped == "interrupted"
    assert report.people.same == report.number == 0


async def test_a_stop_ends_the_reading_of_links(server: MockServer, tmp_path: Path) -> None:
    own = School(server, tmp_path)
    own.write(*({"student": wire_student(f"s-{n}")} for n in range(300)))
    await own.sync()
    own.settings = {"max_in_flight": 4, "max_rate": 60}  # so that some wait their turn
    server.faults = Faults(latency=0.005)
    sent = server.requests
    kept: list[object] = []

    report = await own.verify(
        at=lambda it: kept.append(stopping(it, lambda: server.requests > sent + 20))
    )

    assert report.stopped == "interrupted"
    assert (report.people.same, report.not_reached) == (300, 0)
    assert report.number == 0
    assert report.requests < 100


async def test_a_stop_before_its_beginning_sends_nothing(synced: School) -> None:
    sent = synced.server.requests

    report = await synced.verify(at=lambda it: it.stop())

    assert report.stopped == "interrupted"
    assert synced.server.requests == sent
    assert (report.number, report.not_reached) == (0, 4)
    assert report.figures()["not_reached"] == 4


async def test_it_can_be_cancelled(synced: School) -> None:
    synced.server.faults = Faults(latency=30)
    tokens = synced.server.token_requests
    kept: list[Verification] = []
    task = asyncio.create_task(synced.verify(at=kept.append))
    while synced.server.token_requests == tokens:  # noqa: ASYNC110 - the server is not ours to signal
        await asyncio.sleep(0.001)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept[0].report.stopped == "cancelled"


async def test_a_session_that_is_closed_meanwhile_ends_it_with_what_it_found(
    server: MockServer, tmp_path: Path
) -> None:
    own = School(server, tmp_path)
    own.write(*({"student": wire_student(f"s-{n}")} for n in range(150)))
    await own.sync()
    session = await TimebackSession(server.config()).open()
    with read_roster(own.path) as roster:
        comparison = verify(session, roster)
        listed = _api.RosteringApi._list

        def closing(self: Any, *given: Any) -> tuple[int, object]:
            closed.append(asyncio.get_running_loop().create_task(session.aclose()))
            return listed(self, *given)

        closed: list[asyncio.Task[None]] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_api.RosteringApi, "_list", closing)
            report = await comparison
        await asyncio.gather(*closed)

    assert "closed" in report.stopped
    assert report.requests == 0


async def test_it_is_awaited_once(synced: School) -> None:
    kept: list[Verification] = []
    await synced.verify(at=kept.append)

    with pytest.raises(SessionError, match="awaited once"):
        await kept[0]


async def test_a_roster_can_be_compared_twice_and_before_it_is_planned(
    server: MockServer, tmp_path: Path
) -> None:
    own = School(server, tmp_path)
    own.write(*RECORDS)
    with (
        read_roster(own.path, ReadOptions(mode="bulk")) as roster,
        State(None, server.config()) as state,
    ):
        async with TimebackSession(server.config()) as session:
            before = await verify(session, roster)
            await run(session, plan(roster, state))
            after = await verify(session, roster)

    assert (before.people.missing, before.links.missing) == (4, 2)
    assert after.ok
    assert after.people.same == 4


async def test_a_roster_that_was_read_in_part_is_refused(
    server: MockServer, tmp_path: Path
) -> None:
    path = folder(tmp_path / "roster", school(*FAMILY))
    with State(tmp_path / "state.db", server.config()) as state:
        async with TimebackSession(server.config()) as session:
            with read_roster(path, since=state) as first:
                await run(session, plan(first, state))
            with (
                read_roster(path, since=state) as second,
                pytest.raises(SessionError, match="since=None"),
            ):
                verify(session, second)


async def test_bad_weather_changes_nothing(server: MockServer, tmp_path: Path) -> None:
    own = School(server, tmp_path)
    own.write(*({"student": wire_student(f"s-{n}")} for n in range(120)))
    await own.sync()
    own.settings = {"retry": RetryPolicy(initial=0.001)}
    server.faults = Faults(statuses={503: 0.1}, drop_before=0.05, drop_after=0.05, seed=2)

    report = await own.verify()

    assert report.differences == []
    assert report.people.same == 120
    assert report.retries > 0


# -- its report


async def test_no_more_than_a_thousand_differences_are_kept_and_all_are_counted(
    server: MockServer, tmp_path: Path
) -> None:
    own = School(server, tmp_path)
    own.write(*({"student": wire_student(f"s-{n:04}")} for n in range(1100)))

    report = await own.verify()

    assert len(report.differences) == 1000
    assert report.people.missing == report.number == len(own.changes) == 1100
    assert "and 900 more" in report.as_html()


async def test_the_report_holds_nothing_personal_and_pickles(synced: School) -> None:
    synced.server.students["s-1"] |= {"email": "canary2@example.com", "givenName": "Canary2"}
    del synced.server.agents[KEY]

    report = await synced.verify()

    for text in (repr(report), str(report.as_dict()), report.as_html(), repr(synced.changes)):
        assert "canary" not in text.lower()
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301 - our own
    assert str(report) == "people: 3 same, 1 different; links: 1 same, 1 missing"
    with pytest.raises(TimebackError, match="the first: student s-1: different"):
        report.raise_for_failures()


async def test_a_good_report_raises_nothing(synced: School) -> None:
    report = await synced.verify()

    report.raise_for_failures()
    assert report.as_dict()["ok"] is True
    assert report.figures()["people"] == {
        "same": 4, "missing": 0, "different": 0, "only_there": 0, "unknown": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "mark"),
    [
        ({}, ("ok", "The same")),
        ({"dry_run": True}, ("calm", "Dry run")),
        ({"stopped": "interrupted"}, ("look", "Interrupted")),
        ({"stopped": "no answer"}, ("bad", "Ended early")),
    ],
)
def test_the_page_says_how_it_ended(facts: dict[str, Any], mark: tuple[str, str]) -> None:
    page = VerifyReport(roster="a&b", **facts).as_html()

    assert f'<span class="mark {mark[0]}">' in page
    assert f"{mark[1]}</span>" in page
    assert "a&amp;b and TimeBack" in page


async def test_the_page_names_each_difference(synced: School) -> None:
    synced.server.students["s-1"]["email"] = "x"

    page = (await synced.verify()).as_html()

    assert '<td data-label="where">school.jsonl:1</td>' in page
    assert '<td data-label="id">s-1</td>' in page
    assert '<td data-label="fields or reason">email</td>' in page
    assert "TimeBack does not have what the files say" in page
