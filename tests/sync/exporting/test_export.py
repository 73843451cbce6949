"""Everything at TimeBack is read, each record once, in a form that can be sent back."""

import copy
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import Json, wire_agent, wire_role, wire_student, wire_user
from tests.support.verifying import RECORDS, School
from timeback_async import AgentLink, Student, TimebackSession, User
from timeback_async.errors import AuthError, SessionError, TimebackError
from timeback_async.sync import Export, ExportReport, export
from timeback_async.sync._exporting.export import ONE_ROLE
from timeback_async.testing import MockServer, _api
from timeback_async.testing._answers import Refusal


@pytest.fixture
async def school(server: MockServer, tmp_path: Path) -> School:
    own = School(server, tmp_path)
    own.write(*RECORDS)
    await own.sync()
    return own


async def exported(server: MockServer) -> tuple[list[Any], ExportReport]:
    async with TimebackSession(server.config()) as session:
        running = export(session)
        return [record async for record in running], running.report


async def test_every_person_and_every_link_comes_once_people_first(school: School) -> None:
    records, report = await exported(school.server)

    assert [type(each) for each in records] == [Student, Student, User, User, AgentLink, AgentLink]
    assert (report.students, report.users, report.links, report.failed) == (2, 2, 2, 0)
    assert report.requests == 3
    assert report.ok
    report.raise_for_failures()
    assert str(report) == "2 students, 2 users and 2 links exported"
    assert report.as_dict()["ok"] is True


async def test_what_is_exported_can_be_sent_to_an_empty_server(school: School) -> None:
    server = school.server
    for each in (*server.students.values(), *server.users.values()):
        each.pop("password", None)  # which no answer shows
    stores = server.students, server.users, server.agents
    before = copy.deepcopy(stores)

    async with TimebackSession(server.config()) as session, MockServer() as other:
        async with TimebackSession(other.config()) as target:
            report = await target.upsert_many(export(session))

        assert report.saved == 6
        assert (other.students, other.users, other.agents) == before


async def test_a_password_is_not_exported_even_if_it_is_shown(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_api, "_dated", lambda record: record)

    records, _ = await exported(school.server)

    assert school.server.students["s-1"]["password"] == "CanaryPassword"
    assert "CanaryPassword" not in str([each.password for each in records[:4]])


async def test_somebody_listed_twice_is_exported_once(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = _api.RosteringApi._list

    def moving(self: Any, name: str, records: list[Json], query: str) -> tuple[int, object]:
        return listed(self, name, [*records, *records[:2]], query)

    monkeypatch.setattr(_api.RosteringApi, "_list", moving)

    records, report = await exported(school.server)

    assert len(records) == 6
    assert report.students == 2


async def test_who_is_deleted_while_it_lists_hides_nobody_else(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.users.update({f"u-{n:03}": wire_user(f"u-{n:03}") for n in range(250)})
    listed = _api.RosteringApi._list

    def moving(self: Any, name: str, records: list[Json], query: str) -> tuple[int, object]:
        answer = listed(self, name, records, query)
        server.users.pop(next(iter(server.users)))
        return answer

    monkeypatch.setattr(_api.RosteringApi, "_list", moving)

    records, report = await exported(server)

    found = [record.sourced_id for record in records]
    assert {*found} >= {*server.users}
    assert len(found) == len({*found})
    assert report.ok


async def test_what_cannot_be_sent_back_is_named_and_counted(school: School) -> None:
    server = school.server
    del server.students["s-2"]["givenName"]
    server.users["u-2"]["roles"] = [{"role": "wizard"}]
    server.agents["s-1", "odd"] = {"relationshipType": "parent"}
    server.agents["s-1", "odder"] = wire_agent("u-1", relationshipType=None)

    records, report = await exported(server)

    assert len(records) == 4
    assert [(each.kind, each.sourced_id) for each in report.failures] == [
        ("student", "s-2"), ("user", "u-2"), ("agent", "s-1"), ("agent", "s-1"),
    ]  # fmt: skip
    assert report.failures[0].reason == "givenName: is missing in the record received"
    assert str(report) == "1 student, 1 user and 2 links exported; 4 left out, or not whole"
    assert not report.ok
    with pytest.raises(TimebackError, match="the first: student s-2: givenName"):
        report.raise_for_failures()


async def test_a_teacher_who_has_been_a_student_stays_one(school: School) -> None:
    roles = [wire_role(role="student", endDate="2015-07-31"), wire_role(role="teacher")]
    school.server.users["u-2"]["roles"] = roles

    records, report = await exported(school.server)

    (user,) = (each for each in records if isinstance(each, User) and each.sourced_id == "u-2")
    assert [role.role for role in user.roles] == ["student", "teacher"]
    assert report.ok


@pytest.mark.parametrize("roles", [["teacher"], [wire_role() | {"org": {}}]])
async def test_nobody_becomes_a_student_whose_roles_have_an_unknown_form(
    school: School, roles: list[Any]
) -> None:
    school.server.users["u-2"]["roles"] = school.server.students["s-1"]["roles"] = roles

    records, report = await exported(school.server)

    assert [each.sourced_id for each in records[:2]] == ["s-2", "u-1"]
    assert report.links == 2, "they are asked for"
    reason = "roles: has another type in the record received than documented"
    assert [(each.kind, each.sourced_id, each.reason) for each in report.failures] == [
        ("user", "s-1", reason), ("user", "u-2", reason),
    ]  # fmt: skip


async def test_a_link_with_an_id_in_an_unknown_form_is_not_exported_under_another(
    school: School,
) -> None:
    server = school.server
    server.agents["s-1", "own-id"] |= {"agentId": 5}

    _, report = await exported(server)

    assert report.links == 1
    assert report.failures[0].reason.startswith("agentId: has another type")


async def test_people_without_a_readable_id_are_counted_each(school: School) -> None:
    for number in (1, 2, 3):
        school.server.students[f"odd-{number}"] = wire_student() | {"sourcedId": number}

    records, report = await exported(school.server)

    assert len(records) == 6
    assert [(each.kind, each.reason) for each in report.failures] == [
        ("student", "sourcedId: has an unknown form")
    ] * 3


@pytest.mark.parametrize("form", ["empty", "null"])
async def test_people_whom_the_server_counts_and_does_not_list_are_failures(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, form: str, caplog: Any
) -> None:
    server.users.update({f"u-{n}": wire_user(f"u-{n}") for n in range(250)})
    listed = _api.RosteringApi._list

    def ending(self: Any, name: str, records: list[Json], query: str) -> tuple[int, object]:
        status, page = listed(self, name, records, query)
        assert isinstance(page, dict)
        rest: Json = {"users": None if form == "null" else []}
        return status, page if page["offset"] == 0 else page | rest

    monkeypatch.setattr(_api.RosteringApi, "_list", ending)

    records, report = await exported(server)

    assert len(records) == 100
    assert report.failed == 150
    assert report.failures[0].reason == "TimeBack counts more people than it lists"
    assert "the server counts 150 users more than it has listed" in caplog.text


@pytest.mark.parametrize(
    ("roles", "is_whole"),
    [
        ([], True),
        ([wire_role(role="student")], True),
        ([wire_role(role="student"), wire_role(role="aide", endDate="2015-07-31")], True),
        ([wire_role(role="student"), wire_role(role="aide", roleType="secondary")], False),
        ([wire_role(role="student", org={"sourcedId": "org-2"}), wire_role(role="student")], False),
    ],
)
async def test_a_student_loses_no_other_role_without_a_word(
    school: School, roles: list[Json], is_whole: bool
) -> None:
    school.server.students["s-1"]["roles"] = roles

    records, report = await exported(school.server)

    assert len(records) == 6
    assert [each.reason for each in report.failures] == [ONE_ROLE] * (not is_whole)


async def test_two_links_without_ids_of_their_own_are_not_both_exported_as_one(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [wire_agent("u-1"), wire_agent("u-1"), wire_agent("u-1", relationshipType="aunt")]
    monkeypatch.setattr(
        school.server.stores, "agents_of", lambda student: shown if student == "s-1" else []
    )

    records, report = await exported(school.server)

    assert [each.relationship_type for each in records if isinstance(each, AgentLink)] == ["parent"]
    assert report.links == 1
    assert [each.reason for each in report.failures] == ["agentId: two links have the same"]


async def test_links_behind_a_path_that_is_not_there_are_failures_and_not_none(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    school.server.students["s-3"] = wire_student("s-3")
    route = _api.RosteringApi.route

    def broken(self: Any, method: str, path: str, *more: Any) -> tuple[int, object]:
        if path.endswith("/agents"):
            raise Refusal(404, "no Route matched")
        if path.endswith(("/s-2", "/s-3")):
            raise Refusal(404 if path.endswith("/s-2") else 403, "no")
        return route(self, method, path, *more)

    monkeypatch.setattr(_api.RosteringApi, "route", broken)

    _, report = await exported(school.server)

    failures = {each.sourced_id: each.reason[:8] for each in report.failures}
    assert failures == {"s-1": "HTTP 404", "s-3": "HTTP 403"}
    assert report.links == 0


async def test_more_links_than_an_answer_holds_are_a_failure(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = _api.RosteringApi.route

    def counting(self: Any, method: str, path: str, *more: Any) -> tuple[int, object]:
        status, answer = route(self, method, path, *more)
        is_agents = path.endswith("/agents") and isinstance(answer, dict)
        return status, answer | {"total": 3} if is_agents else answer  # type: ignore[operator]

    monkeypatch.setattr(_api.RosteringApi, "route", counting)

    _, report = await exported(school.server)

    reasons = [each.reason for each in report.failures]
    assert reasons[0] == "the answer has 2 agents of 3, and no way to ask for the others"
    assert len(reasons) == 2


@pytest.mark.parametrize("name", ["status", "enabledUser"])
async def test_nobody_makes_up_what_an_answer_does_not_show(school: School, name: str) -> None:
    del school.server.students["s-1"][name]

    _, report = await exported(school.server)

    assert report.failures[0].reason == f"{name}: is missing in the record received"


async def test_a_student_whose_links_cannot_be_read_is_a_failure(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, own: str) -> Json:
        raise Refusal(403 if own == "s-1" else 404, "not yours")

    monkeypatch.setattr(_api.RosteringApi, "_existing", broken)

    _, report = await exported(school.server)

    assert report.links == 0
    assert [(each.kind, each.sourced_id) for each in report.failures] == [("agent", "s-1")]
    assert "HTTP 403" in report.failures[0].reason


async def test_no_more_than_a_thousand_failures_are_kept(server: MockServer) -> None:
    server.users.update({f"u-{n}": {"sourcedId": f"u-{n}"} for n in range(1010)})

    _, report = await exported(server)

    assert (report.failed, len(report.failures)) == (1010, 1000)


async def test_an_error_ends_it_and_says_that_it_is_not_whole(school: School) -> None:
    async with TimebackSession(school.server.config(client_secret="wrong")) as session:
        running = export(session)
        with pytest.raises(AuthError, match="invalid_client"):
            [record async for record in running]

    assert "invalid_client" in running.report.stopped
    assert not running.report.ok


@pytest.mark.parametrize("number", [1, 5])
async def test_who_reads_no_further_leaves_nothing_behind(school: School, number: int) -> None:
    async with TimebackSession(school.server.config()) as session:
        running = export(session)
        async with aclosing(aiter(running)) as records:
            for _ in range(number):
                await anext(records)

        statistics = session.statistics()
        assert (statistics.in_flight, statistics.waiting) == (0, 0)

    assert running.report.stopped == "not read to its end"
    assert running.report.requests > 0


async def test_it_is_iterated_over_once(school: School) -> None:
    async with TimebackSession(school.server.config()) as session:
        running: Export = export(session)
        [record async for record in running]

        with pytest.raises(SessionError, match="iterated over once"):
            [record async for record in running]


async def test_it_pages(server: MockServer) -> None:
    server.students.update({f"s-{n}": wire_student(f"s-{n}") for n in range(700)})
    server.users.update({f"u-{n}": wire_user(f"u-{n}") for n in range(50)})

    records, report = await exported(server)

    assert len(records) == 750
    assert report.requests == 8 + 700


async def test_its_report_is_json(school: School) -> None:
    del school.server.students["s-2"]["givenName"]

    _, report = await exported(school.server)

    found = json.loads(json.dumps(report.as_dict()))
    assert found["failures"][0]["sourced_id"] == "s-2"
    assert (found["ok"], found["students"], found["stopped"]) == (False, 1, "")
