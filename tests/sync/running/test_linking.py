"""A delta links somebody who is in none of its files: TimeBack is asked, nothing is invented."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.districts import EVERYTHING, ONCE, District, Files
from tests.support.rosters import adult, child, csv_text, role, school
from timeback_async import AgentLink
from timeback_async.errors import RecordError
from timeback_async.models import Reference, RoleRecord, UserRecord
from timeback_async.sync import SyncRun
from timeback_async.sync._reading.gaps import Gaps
from timeback_async.sync._running.linking import linked
from timeback_async.testing import Faults, MockServer

VERSIONS = pytest.mark.parametrize("version", ["1.1", "1.2"])


def package(version: str, *rows: dict[str, str], mode: str = "bulk") -> Files:
    """Return people in the form of a version: in 1.2 the roles stand in a file of their own."""
    if version == "1.1":
        return school(*rows, mode=mode)
    people = [{k: v for k, v in row.items() if k not in ("role", "orgSourcedIds")} for row in rows]
    roles = [role(row["sourcedId"], row["role"]) for row in rows]
    return school(*people, version="1.2", mode=mode, roles=roles)


FIRST = (child("s-1", "u-1"), adult("u-1"), adult("t-1", "teacher"))
JOINER = child("s-2", "u-1")


def links(server: MockServer) -> dict[tuple[str, str], str]:
    return {
        (student, link["user"]["sourcedId"]): link["relationshipType"]
        for (student, _), link in server.agents.items()
    }


BEFORE = {("s-1", "u-1"): "parent"}


# -- a joiner, and a parent whom the state knows


@VERSIONS
async def test_a_joiner_is_linked_to_a_parent_who_is_there(
    district: District, server: MockServer, version: str
) -> None:
    await district.sync(package(version, *FIRST))
    delta = package(version, JOINER, mode="delta")

    joined = await district.sync(delta)
    sent = server.requests
    again = await district.sync(delta)
    is_silent = server.requests == sent
    full = await district.sync(package(version, *FIRST, JOINER), **EVERYTHING)

    assert joined.report.ok
    assert joined.report.actions == {"create": 1, "link": 1}
    assert links(server) == BEFORE | {("s-2", "u-1"): "parent"}
    assert again.report.ok
    assert again.report.planned == 0
    assert is_silent
    assert full.report.phases["links"].planned == 0
    assert full.report.absent == {}


@VERSIONS
async def test_a_parent_whose_row_changed_may_name_children_who_are_there(
    district: District, server: MockServer, version: str
) -> None:
    await district.sync(package(version, *FIRST, child("s-2")))
    delta = package(version, adult("u-1", agents="s-1,s-2"), mode="delta")

    linked, again = await district.sync(delta), await district.sync(delta)
    full = package(version, *FIRST[1:], child("s-1", "u-1"), JOINER)
    last = await district.sync(full, **EVERYTHING)

    assert linked.report.ok
    assert links(server) == BEFORE | {("s-2", "u-1"): "parent"}
    assert again.report.planned == last.report.phases["links"].planned == 0
    assert len(server.agents) == 2


async def test_a_link_of_a_delta_keeps_no_other_from_being_deleted(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FIRST))
    await district.sync(school(JOINER, mode="delta"))

    without = await district.sync(school(child("s-1"), *FIRST[1:], JOINER), **EVERYTHING)
    none = await district.sync(school(child("s-1"), *FIRST[1:], child("s-2")), **EVERYTHING)

    assert without.report.phases["unlinks"].planned == none.report.phases["unlinks"].planned == 1
    assert server.agents == {}


@pytest.mark.parametrize("relation", ["guardian", "relative"])
async def test_the_role_at_timeback_is_the_relation(
    district: District, server: MockServer, relation: str
) -> None:
    await district.sync(school(adult("u-1", relation)))

    running = await district.sync(school(JOINER, mode="delta"))

    assert running.report.ok
    assert links(server) == {("s-2", "u-1"): relation}


async def test_a_relation_of_the_file_comes_first_and_changes_what_is_there(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FIRST))
    server.users["u-1"]["roles"][0]["role"] = "relative"

    delta = school(adult("u-1", "guardian", "s-1"), mode="delta")
    changed, again = await district.sync(delta), await district.sync(delta)

    assert changed.report.actions == {"update": 1, "relink": 1}
    assert links(server) == {("s-1", "u-1"): "guardian"}
    assert again.report.planned == 0


def relations(*rows: tuple[str, str, str]) -> Files:
    """Return a delta that holds nobody, and says who is related to whom."""
    fields = ("userSourcedId", "relationshipUserSourcedId", "relationshipRole")
    return {
        "users.csv": csv_text([child("s-3")]),
        "relations.csv": csv_text([dict(zip(fields, row, strict=True)) for row in rows]),
    }


@pytest.mark.parametrize("pair", [("s-2", "u-1"), ("u-1", "s-2")])
async def test_of_two_people_in_no_file_the_state_knows_who_is_the_student(
    district: District, server: MockServer, tmp_path: Path, pair: tuple[str, str]
) -> None:
    path = tmp_path / "map.toml"
    path.write_text('[users]\ntarget = "users"\n[relations]\ntarget = "relationships"\n')
    await district.sync(school(*FIRST, child("s-2")))
    district.reading = {"layout": path, "mode": "delta"}
    rows = [(*pair, "guardian"), (*pair, "guardian"), ("s-9", "u-9", "guardian")]

    once, again = [await district.sync(relations(*rows)) for _ in range(2)]

    assert links(server) == BEFORE | {("s-2", "u-1"): "guardian"}
    assert once.report.actions == {"create": 1, "link": 1}
    assert again.report.planned == 0
    assert unknown(once) == unknown(again) == ["s-9"]


async def test_a_row_without_roles_links_whom_timeback_knows(
    district: District, server: MockServer
) -> None:
    await district.sync(package("1.2", *FIRST, child("s-2")))
    row = {k: v for k, v in JOINER.items() if k not in ("role", "orgSourcedIds")}
    delta = school(row, version="1.2", mode="delta")

    once, again = await district.sync(delta), await district.sync(delta)

    assert once.report.ok
    assert links(server) == BEFORE | {("s-2", "u-1"): "parent"}
    assert again.report.planned == 0


async def test_a_role_that_this_delta_gives_is_the_relation(
    district: District, server: MockServer
) -> None:
    await district.sync(package("1.2", *FIRST))
    people = package("1.2", JOINER, mode="delta")
    roles = csv_text([role("s-2"), role("u-1", "guardian")])

    running = await district.sync({**people, "roles.csv": roles})

    assert running.report.ok
    assert links(server)["s-2", "u-1"] == "guardian"


# -- what is not linked


def unknown(running: SyncRun) -> list[str]:
    """Return whom the findings call unknown."""
    causes = [cause for cause in running.report.causes if cause.code == "agent-unknown"]
    return [each.detail for cause in causes for each in cause.examples]


@VERSIONS
@pytest.mark.parametrize(
    "row", [child("s-2", "u-9"), adult("u-2", agents="s-9"), adult("t-2", "teacher", "s-9")]
)
async def test_whom_nobody_knows_is_a_finding(
    district: District, server: MockServer, version: str, row: dict[str, str]
) -> None:
    await district.sync(package(version, *FIRST))

    running = await district.sync(package(version, row, mode="delta"))

    assert unknown(running) == [row["agentSourcedIds"]]
    assert links(server) == BEFORE


async def test_who_was_deactivated_is_not_known_any_more(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FIRST))
    await district.sync(school(child("s-1", "u-1"), FIRST[2]), **EVERYTHING)

    running = await district.sync(school(JOINER, mode="delta"))
    known = await district.sync(school(child("s-1", "u-1"), mode="delta"))

    assert server.users["u-1"]["status"] == "tobedeleted"
    assert unknown(running) == ["u-1"]
    assert unknown(known) == []  # the link itself was saved before
    assert links(server) == BEFORE


@VERSIONS
async def test_who_is_gone_from_timeback_is_a_failure(
    district: District, server: MockServer, version: str
) -> None:
    await district.sync(package(version, *FIRST))
    delta = package(version, JOINER, mode="delta")

    del server.users["u-1"]
    gone, again = await district.sync(delta), await district.sync(delta)
    server.users["u-1"] = {"sourcedId": "u-1", "status": "tobedeleted"}
    deleted = await district.sync(delta)

    assert [reasons(each) for each in (gone, again, deleted)] == [
        ["'u-1' is in no file, and TimeBack has no such user; send that person too"],
        ["'u-1' is in no file, and TimeBack has no such user; send that person too"],
        ["'u-1' is deleted at TimeBack; send that person too"],
    ]
    assert links(server) == BEFORE


def reasons(running: SyncRun) -> list[str]:
    return [each.reason.removeprefix("agentSourcedIds: ") for each in running.report.failures]


@VERSIONS
@pytest.mark.parametrize("row", [child("s-2", "t-1"), adult("t-2", "teacher", "s-1")])
async def test_a_teacher_is_linked_only_where_a_relation_is_said(
    district: District, server: MockServer, version: str, row: dict[str, str]
) -> None:
    await district.sync(package(version, *FIRST))
    delta = package(version, row, mode="delta")

    refused = await district.sync(delta)
    before = links(server)
    district.reading = {"relationship": "relative"}
    running = await district.sync(delta)

    (reason,) = reasons(refused)
    assert "is not parent, guardian or relative; correct the role" in reason
    assert before == BEFORE
    assert running.report.ok
    assert sorted(set(links(server).values())) == ["parent", "relative"]


@pytest.mark.parametrize(
    ("row", "what"),
    [(child("s-2", "s-1"), "a student"), (adult("u-2", agents="u-1"), "no student")],
)
async def test_exactly_one_of_two_is_a_student(
    district: District, server: MockServer, row: dict[str, str], what: str
) -> None:
    await district.sync(school(*FIRST))

    running = await district.sync(school(row, mode="delta"))

    (reason,) = reasons(running)
    assert f"is {what} at TimeBack; exactly one" in reason
    assert links(server) == BEFORE


async def test_who_could_not_be_looked_up_is_linked_the_next_night(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FIRST, child("s-2")))
    district.settings = {"retry": ONCE}
    delta = school(adult("u-1", agents="s-2"), mode="delta")

    server.faults = Faults(statuses={422: 1.0})
    refused = await district.sync(delta)
    server.faults = Faults()
    running = await district.sync(delta)

    assert "could not be looked up at TimeBack" in reasons(refused)[-1]
    assert running.report.ok
    assert links(server) == BEFORE | {("s-2", "u-1"): "parent"}


async def test_whose_own_row_is_left_out_is_not_linked(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FIRST))

    running = await district.sync(school(JOINER | {"givenName": ""}, mode="delta"))

    assert [cause.code for cause in running.report.causes if cause.severity == "error"] == [
        "value-missing", "agent-left-out"
    ]  # fmt: skip
    assert running.report.planned == 0


async def test_a_link_is_sent_anew_where_everything_is(
    district: District, server: MockServer
) -> None:
    await district.sync(school(*FIRST))
    server.agents.clear()

    await district.sync(school(child("s-1", "u-1"), mode="delta"), resend=True)

    assert links(server) == BEFORE


# -- the decision itself

TODAY = date(2025, 9, 10)


def held(name: str, kind: str = "primary", end: str = "") -> RoleRecord:
    more: dict[str, Any] = {"end_date": end} if end else {}
    org = Reference("school")
    return RoleRecord(role_type=kind, role=name, org=org, **more)


@pytest.mark.parametrize(
    ("roles", "relation"),
    [
        ([held("guardian", end="2025-01-01"), held("relative")], "relative"),
        ([held("relative", "secondary"), held("guardian")], "guardian"),
        ([held("teacher"), held("parent", "secondary")], "parent"),
        ([held("teacher"), held("parent", "secondary", "2025-01-01")], "aunt"),
        ([held("teacher")], "aunt"),
    ],
)
def test_the_first_current_role_is_the_relation(roles: list[RoleRecord], relation: str) -> None:
    known = {"u-1": UserRecord(sourced_id="u-1", roles=roles)}
    gaps = Gaps(people=["u-1"], relationship="aunt")

    found = linked(AgentLink("s-1", "u-1", ""), known, gaps, TODAY)

    assert found == AgentLink("s-1", "u-1", relation)


@pytest.mark.parametrize(
    ("roles", "is_student"),
    [
        ([held("student", end="2025-09-10"), held("parent")], False),
        ([held("parent", end="2025-09-10T00:00:00Z"), held("student")], True),
    ],
)
def test_who_is_a_student_is_said_by_current_roles_at_timeback(
    roles: list[RoleRecord], is_student: bool
) -> None:
    known = {"x": UserRecord(sourced_id="x", roles=roles)}
    as_student, as_user = AgentLink("x", "other", "parent"), AgentLink("other", "x", "parent")
    right, wrong = (as_student, as_user) if is_student else (as_user, as_student)

    assert linked(right, known, Gaps(people=["x"]), TODAY) == right
    with pytest.raises(RecordError, match="at TimeBack; exactly one of two"):
        linked(wrong, known, Gaps(people=["x"]), TODAY)


def test_who_has_roles_of_an_unknown_form_is_not_linked() -> None:
    known = {"s-1": UserRecord.from_wire({"sourcedId": "s-1", "roles": ["teacher"]})}

    with pytest.raises(RecordError, match="roles: has another type"):
        linked(AgentLink("s-1", "u-1", "parent"), known, Gaps(people=["s-1"]), TODAY)


def test_who_has_no_roles_is_a_student() -> None:
    known = {"u-1": UserRecord(sourced_id="u-1")}

    with pytest.raises(RecordError, match="'u-1' is a student"):
        linked(AgentLink("s-1", "u-1", "parent"), known, Gaps(people=["u-1"]), TODAY)
