"""What a delta says of people whose rows it does not hold is done, and the rest of them stays."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.districts import EVERYTHING, ONCE, District
from tests.support.records import wire_role
from tests.support.rosters import (
    adult,
    child,
    codes,
    csv_text,
    folder,
    manifest,
    opened,
    org,
    read,
    role,
    school,
    wrong,
)
from timeback_async import TimebackSession
from timeback_async.sync import ReadOptions, State, plan, read_roster, run
from timeback_async.sync._reading.codes import Severity
from timeback_async.sync._reading.people import PeopleMapper
from timeback_async.testing import Faults, MockServer

DATED = {"dateLastModified": "2025-01-01T00:00:00.000Z"}
GONE = {"status": "tobedeleted"}
ORGS = [org("one"), org("two")]
ONE, TWO = {"orgSourcedId": "one"}, {"orgSourcedId": "two"}
BORN = {"birthDate": "2010-05-06"}
TODAY = date(2025, 9, 10)


def modern(row: dict[str, str]) -> dict[str, str]:
    """Return a row of a 1.2 users.csv, whose roles stand elsewhere."""
    return {name: cell for name, cell in row.items() if name not in ("role", "orgSourcedIds")}


STUDENT, TEACHER = modern(child("s-1", "u-1")), modern(adult("t-1"))
PARENT = modern(adult("u-1"))
HELD = [role("s-1", **ONE), role("t-1", "teacher", **ONE), role("u-1", "parent", **ONE)]
BIRTHS = [{"sourcedId": "s-1", **BORN}]


def first_night() -> dict[str, str]:
    """Return a full set: a student at school one with a parent, and a teacher."""
    people = STUDENT, TEACHER, PARENT
    return school(*people, version="1.2", roles=HELD, orgs=ORGS, demographics=BIRTHS)


def changes(**files: Any) -> dict[str, str]:
    """Return a delta that holds some files, but none of people."""
    modes = {"users": "absent", "orgs": "absent"} | dict.fromkeys(files, "delta")
    rows = {"manifest": manifest("1.2", **modes)} | files
    return {f"{name}.csv": csv_text(each) for name, each in rows.items()}


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


# -- who is to be deleted by the id alone


def leaver(own: str, **cells: str) -> dict[str, str]:
    """Return a row with blanks in all columns of the standard but the first ones."""
    blank = dict.fromkeys(("enabledUser", "username", "givenName", "familyName", "email"), "")
    return {"sourcedId": own, **GONE, **DATED, **blank, **cells}


@pytest.mark.parametrize(
    "row",
    [
        leaver("s-1"),
        {"sourcedId": "s-1", **GONE},
        leaver("s-1", orgSourcedIds="", role="", grades="", agentSourcedIds=""),
        leaver("s-1", role="student", givenName="Another"),
        leaver("s-1", role="canary", orgSourcedIds="nowhere", enabledUser="canary"),
        leaver("s-1", status="toBeDeleted"),
    ],
    ids=["blank", "two columns", "of 1.1", "some given", "some wrong", "another form"],
)
@pytest.mark.parametrize("mode", ["bulk", "delta"])
async def test_who_leaves_by_id_alone_is_deleted_as_they_are(
    district: District, server: MockServer, row: Any, mode: str
) -> None:
    await district.sync(first_night())
    before = dict(server.students["s-1"])

    files = school(row, version="1.2", mode=mode, orgs=ORGS)
    running = await district.sync(files)
    again = await district.sync(files)

    assert running.report.done == 1
    assert server.students["s-1"] == before | GONE
    assert server.students["s-1"]["demographics"] == BORN
    assert again.report.planned == 0
    if mode == "delta":
        assert running.report.ok
        assert district.outcomes()["student", "deactivated"] == 1


async def test_a_user_who_leaves_by_id_alone_keeps_the_roles(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    before = dict(server.users["t-1"])

    await district.sync(school(leaver("t-1"), version="1.2", mode="delta"))

    assert server.users["t-1"] == before | GONE


async def test_a_leaver_of_school_data_sync_needs_no_more_than_the_id(
    district: District, server: MockServer
) -> None:
    header = "SIS ID,School SIS ID,First Name,Last Name,Username,Grade,Status,Birthdate\n"
    full = {"Student.csv": f"{header}s-1,one,Canary,Canary,canary,9,,\n"}
    await district.sync(full)
    before = dict(server.students["s-1"])

    running = await district.sync({"Student.csv": f"{header}s-1,,,,,,Tobedeleted,\n"})

    assert running.report.ok
    assert server.students["s-1"] == before | GONE


def test_it_is_noted_that_a_row_lacks_what_it_need_not_have(tmp_path: Path) -> None:
    roster = read(tmp_path, school(leaver("s-1"), version="1.2", mode="delta"))

    assert codes(roster) == {"deleted-by-id": 1}
    assert roster.count[:4] == (0, 1, 0, 0)


def test_by_the_letter_a_row_to_be_deleted_needs_its_values() -> None:
    found: list[str] = []

    def add(code: str, field: str, detail: str) -> Severity:
        found.append(field)
        return "error"

    mapper = PeopleMapper(ReadOptions(strict=True).loaded(), None)
    mapped = mapper.person({"sourcedId": "s-1", **GONE}, (), "", None, add)

    assert mapped.body is None
    assert {"givenName", "familyName", "enabledUser"} <= set(found)


@pytest.mark.parametrize("own", ["a/../b", "x" * 256])
def test_an_id_that_cannot_be_sent_deletes_nobody(tmp_path: Path, own: str) -> None:
    roster = read(tmp_path, school(leaver(own), version="1.2", mode="delta"))

    assert [each.split()[0] for each in wrong(roster)] == ["id-invalid"]
    assert roster.count[:4] == (0, 0, 0, 1)


def test_the_links_of_who_leaves_by_id_alone_are_no_error(tmp_path: Path) -> None:
    people = child("s-1", "u-1"), adult("u-1", givenName="", **GONE)

    roster = read(tmp_path, school(*people))

    assert wrong(roster) == []
    assert roster.count[:4] == (1, 1, 0, 0)


async def test_who_leaves_and_is_not_there_counts_as_deleted(
    district: District, server: MockServer
) -> None:
    running = await district.sync(school(leaver("s-9"), version="1.2", mode="delta"))
    again = await district.sync(school(leaver("s-9"), version="1.2", mode="delta"))

    assert running.report.ok
    assert running.report.phases["deactivations"].as_dict() == {"planned": 1, "deleted": 1}
    assert again.report.planned == 0
    assert (server.students, server.users) == ({}, {})


async def test_who_left_by_id_alone_comes_back_with_a_full_row(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    await district.sync(school(leaver("s-1"), version="1.2", mode="delta"))

    await district.sync(first_night())

    assert server.students["s-1"]["status"] == "active"


async def test_whom_the_links_of_a_leaver_name_is_no_error_in_a_delta(
    district: District, server: MockServer
) -> None:
    people = child("s-1", "u-1"), {"sourcedId": "u-1", **GONE}

    running = await district.sync(school(*people, mode="delta"))

    assert running.report.ok
    assert {cause.code for cause in running.report.causes} == {"deleted-by-id"}


# -- roles that have ended by date, beside the person's row


def beside(row: dict[str, str], *roles: dict[str, str]) -> dict[str, str]:
    return school(row, version="1.2", mode="delta", roles=roles, orgs=ORGS)


async def test_a_student_moves_by_dates_beside_the_row(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())

    files = beside(STUDENT, *moves("s-1", endDate="2025-09-10"))
    await district.sync(files, today=TODAY)

    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "two"


async def test_a_role_that_has_ended_makes_nobody_something_else(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    before = dict(server.students), dict(server.users)

    files = beside(TEACHER, role("t-1", "student", endDate="2025-09-10", **TWO))
    running = await district.sync(files, today=TODAY)

    assert "the primary role is missing" in running.report.failures[0].reason
    assert (server.students, server.users) == before


async def test_who_has_been_a_student_at_timeback_is_none(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    server.users["t-1"]["roles"].append(wire_role(role="student", endDate="2015-07-31"))

    files = beside(TEACHER, role("t-1", "aide", "secondary", **TWO))
    running = await district.sync(files, today=TODAY)

    assert running.report.ok
    roles = {each["role"] for each in server.users["t-1"]["roles"]}
    assert roles == {"teacher", "aide", "student"}


@pytest.mark.parametrize("form", ["teacher", {"roleType": "primary", "role": "aide", "org": {}}])
async def test_roles_of_an_unknown_form_make_nobody_a_student(
    district: District, server: MockServer, form: Any
) -> None:
    await district.sync(first_night())
    server.users["t-1"]["roles"] = [form]
    row = {name: cell for name, cell in TEACHER.items() if name != "role"}

    running = await district.sync(changes(users=[modern(row)]), today=TODAY)

    assert "t-1" not in server.students
    assert "roles: has another type" in running.report.failures[0].reason


async def test_a_student_who_becomes_a_teacher_beside_the_row_has_that_role_alone(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())

    await district.sync(beside(STUDENT, role("s-1", "teacher", **TWO)))

    assert [each["role"] for each in server.users["s-1"]["roles"]] == ["teacher"]


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_role_that_begins_later_will_need_another_delta(tmp_path: Path, is_alone: bool) -> None:
    rows = moves("s-1", endDate="2025-09-11")
    rows[1]["beginDate"] = "2025-09-11"
    files = changes(roles=rows) if is_alone else beside(STUDENT | {"agentSourcedIds": ""}, *rows)

    roster = read(tmp_path, files, today=TODAY)

    where = "roles" if is_alone else "users"
    assert [each.split(": ")[0] for each in wrong(roster)] == [f"role-later {where}.csv:2"]


# -- roles alone


def moves(own: str, name: str = "student", **end: str) -> list[dict[str, str]]:
    """Return the rows of roles.csv of somebody who leaves school one for school two."""
    return [role(own, name, **ONE) | DATED | (end or GONE), role(own, name, **TWO) | DATED]


@pytest.mark.parametrize("end", [{}, {"endDate": "2025-09-10"}], ids=["deleted", "by date"])
@pytest.mark.parametrize("is_reversed", [False, True])
async def test_a_student_moves_by_roles_alone(
    district: District, server: MockServer, end: Any, is_reversed: bool
) -> None:
    await district.sync(first_night())
    before, links = dict(server.students["s-1"]), dict(server.agents)
    rows = moves("s-1", **end)[:: -1 if is_reversed else 1]

    running = await district.sync(changes(roles=rows), today=TODAY)
    again = await district.sync(changes(roles=rows), today=TODAY)

    assert running.report.ok
    assert running.report.failures == []
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "two"
    assert without(server.students["s-1"], "primaryOrg") == without(before, "primaryOrg")
    assert (server.agents, again.report.planned) == (links, 0)


@pytest.mark.parametrize("end", [{}, {"endDate": "2025-09-10"}], ids=["deleted", "by date"])
async def test_a_teacher_moves_by_roles_alone(
    district: District, server: MockServer, end: Any
) -> None:
    await district.sync(first_night())
    before = dict(server.users["t-1"])

    running = await district.sync(changes(roles=moves("t-1", "teacher", **end)), today=TODAY)

    assert running.report.ok
    after = server.users["t-1"]
    assert after["primaryOrg"]["sourcedId"] == "two"
    assert without(after, "primaryOrg", "roles") == without(before, "primaryOrg", "roles")
    ends = [(each["org"]["sourcedId"], each.get("endDate")) for each in after["roles"]]
    assert ends == [*([("one", "2025-09-10")] if end else []), ("two", None)]


async def test_a_role_more_keeps_the_primary_org(district: District, server: MockServer) -> None:
    await district.sync(first_night())

    await district.sync(changes(roles=[role("t-1", "aide", **TWO), role("s-1", **TWO)]))

    assert server.users["t-1"]["primaryOrg"]["sourcedId"] == "one"
    assert [each["role"] for each in server.users["t-1"]["roles"]] == ["aide", "teacher"]
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "one"


async def test_an_org_is_kept_as_long_as_another_role_is_there(
    district: District, server: MockServer
) -> None:
    held = [*HELD, role("t-1", "aide", "secondary", **ONE)]
    people = STUDENT, TEACHER, PARENT
    await district.sync(school(*people, version="1.2", roles=held, orgs=ORGS))

    await district.sync(changes(roles=moves("t-1", "teacher")))

    assert server.users["t-1"]["primaryOrg"]["sourcedId"] == "one"
    assert [each["role"] for each in server.users["t-1"]["roles"]] == ["teacher", "aide"]


async def test_a_student_becomes_a_teacher_by_roles_alone(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())

    rows = [role("s-1", **ONE) | GONE, role("s-1", "teacher", **TWO)]
    running = await district.sync(changes(roles=rows))

    assert running.report.ok
    assert server.users["s-1"]["primaryOrg"]["sourcedId"] == "two"
    assert [each["role"] for each in server.users["s-1"]["roles"]] == ["teacher"]
    assert server.users["s-1"]["demographics"] == BORN


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([role("s-9", **TWO)], "sourcedId: is in no file of people, and TimeBack has no such user"),
        ([role("t-1", "teacher", **ONE) | GONE], "roles: have all ended"),
        ([role("s-1", **ONE) | GONE], "roles: have all ended"),
        ([role("s-1", "aide", **TWO)], "roles: are those of a student too"),
    ],
)
async def test_roles_that_make_nobody_are_a_failure(
    district: District, server: MockServer, rows: Any, reason: str
) -> None:
    await district.sync(first_night())
    before = dict(server.students), dict(server.users)

    running = await district.sync(changes(roles=rows))
    again = await district.sync(changes(roles=rows))

    (failure,) = running.report.failures
    assert failure.reason.startswith(reason)
    assert (failure.where, failure.kind) == ("roles.csv:2", "person")
    assert (server.students, server.users) == before
    assert again.report.planned == 1


async def test_a_teacher_who_becomes_a_student_by_roles_alone_is_one(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())

    rows = [role("t-1", "teacher", **ONE) | GONE, role("t-1", **TWO)]
    running = await district.sync(changes(roles=rows))

    assert running.report.ok
    assert server.students["t-1"]["primaryOrg"]["sourcedId"] == "two"


def test_roles_alone_are_mapped_and_checked_as_others(tmp_path: Path) -> None:
    rows = [
        role("s-1", "canary"),
        role("s-2"),
        role("s-2", "aide", "secondary"),
        role("", "student"),
    ]

    roster = read(tmp_path, changes(roles=rows))

    assert [each.split(": ")[0] for each in wrong(roster)] == [
        "role-unknown roles.csv:2",
        "roles-alone roles.csv:5",
        "role-left-out roles.csv:3",
    ]
    assert roster.count[:4] == (0, 1, 0, 1)


@pytest.mark.parametrize("mode", ["bulk", "delta"])
def test_beside_a_full_set_of_people_roles_of_others_are_left_out(
    tmp_path: Path, mode: str
) -> None:
    modes = manifest("1.2", users="bulk", orgs="bulk", roles=mode)
    files = school(TEACHER, version="1.2", roles=[HELD[1], role("s-9")], orgs=ORGS)

    roster = read(tmp_path, files | {"manifest.csv": csv_text(modes)})

    assert [each.split(": ")[0] for each in wrong(roster)] == ["roles-alone roles.csv:3"]


async def test_roles_of_others_beside_the_rows_of_a_delta_are_carried_out(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    rows = [*moves("s-1"), HELD[1]]

    running = await district.sync(
        school(TEACHER | {"phone": "1"}, version="1.2", mode="delta", roles=rows, orgs=ORGS)
    )

    assert running.report.ok
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "two"
    assert server.users["t-1"]["phone"] == "1"


@pytest.mark.parametrize("target", ["roles", "demographics"])
def test_without_a_manifest_changes_alone_are_read_when_told_so(
    tmp_path: Path, target: str
) -> None:
    rows = {"roles": moves("s-1"), "demographics": BIRTHS}[target]
    path = folder(tmp_path / "roster", {f"{target}.csv": csv_text(rows)})

    for where in (path, path / f"{target}.csv"):
        assert opened(where, mode="delta").count[:4] == (0, 1, 0, 0)


# -- demographics alone


async def test_a_birth_date_alone_is_set(district: District, server: MockServer) -> None:
    await district.sync(first_night())
    before = dict(server.students["s-1"])
    rows = [{"sourcedId": "s-1", **DATED, "birthDate": "2011-01-02"}]

    running = await district.sync(changes(demographics=rows))
    again = await district.sync(changes(demographics=rows))

    assert running.report.ok
    assert server.students["s-1"] == before | {"demographics": {"birthDate": "2011-01-02"}}
    assert again.report.planned == 0


async def test_a_birth_date_of_nobody_is_a_failure(district: District, server: MockServer) -> None:
    running = await district.sync(changes(demographics=BIRTHS))

    (failure,) = running.report.failures
    assert (failure.where, failure.who) == ("demographics.csv:2", "s-1")
    assert "TimeBack has no such user" in failure.reason
    assert (server.students, server.users) == ({}, {})


async def test_role_and_birth_date_of_one_person_are_one_change(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    births = [{"sourcedId": "s-1", "birthDate": "2011-01-02"}]

    running = await district.sync(changes(roles=moves("s-1"), demographics=births))

    assert running.report.phases["people"].as_dict() == {"planned": 1, "saved": 1}
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "two"
    assert server.students["s-1"]["demographics"] == {"birthDate": "2011-01-02"}


@pytest.mark.parametrize("dates", [{"endDate": "2015-07-31"}, {"beginDate": "2199-09-01"}])
async def test_a_birth_date_alone_moves_nobody(
    district: District, server: MockServer, dates: dict[str, str]
) -> None:
    await district.sync(first_night())
    org = {"sourcedId": "two", "type": "org"}
    server.users["t-1"] |= {
        "roles": [wire_role(role="teacher", org={"sourcedId": "one", "type": "org"}) | dates,
                  wire_role(role="teacher", org=org)],
        "primaryOrg": {"sourcedId": "one", "type": "org"},
    }  # fmt: skip

    running = await district.sync(changes(demographics=[{"sourcedId": "t-1", **DATED, **BORN}]))

    assert running.report.ok
    assert server.users["t-1"]["demographics"] == BORN
    assert server.users["t-1"]["primaryOrg"]["sourcedId"] == "one"


@pytest.mark.parametrize("name", ["status", "enabledUser"])
async def test_a_birth_date_alone_makes_up_nothing_else(
    district: District, server: MockServer, name: str
) -> None:
    await district.sync(first_night())
    del server.users["t-1"][name]
    before = dict(server.users["t-1"])

    running = await district.sync(changes(demographics=[{"sourcedId": "t-1", **DATED, **BORN}]))

    assert f"{name}: is missing" in running.report.failures[0].reason
    assert server.users["t-1"] == before


async def test_a_birth_date_of_an_unknown_form_is_not_left_out(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    server.students["s-1"]["demographics"] = "2010-05-06"

    changed = STUDENT | {"givenName": "Canary2"}
    running = await district.sync(beside(changed, role("s-1", **ONE)))

    assert "demographics: has another type" in running.report.failures[0].reason


def test_demographics_without_a_birth_date_change_nothing(tmp_path: Path) -> None:
    rows = [{"sourcedId": "s-1", "sex": "female", "birthDate": ""}]

    roster = read(tmp_path, changes(demographics=rows))

    assert (roster.count[:4], wrong(roster)) == ((0, 0, 0, 0), [])


@pytest.mark.parametrize(
    "births",
    [
        [{"sourcedId": "s-1", "birthDate": "canary"}],
        [*BIRTHS, {"sourcedId": "s-1", "birthDate": "2011-01-02"}],
    ],
)
def test_a_birth_date_alone_that_cannot_be_read_changes_nothing(
    tmp_path: Path, births: Any
) -> None:
    roster = read(tmp_path, changes(demographics=births))

    assert [each.split(": ")[0] for each in wrong(roster)] == [
        "value-missing demographics.csv:2",
        "value-left-out demographics.csv:2",
    ]
    assert roster.count[:4] == (0, 0, 0, 1)


def test_a_birth_date_alone_that_is_dropped_leaves_nothing_to_send() -> None:
    found: list[str] = []

    def add(code: str, field: str, detail: str) -> Severity:
        found.append(code)
        return "error" if code == "value-missing" else "warning"

    mapped = PeopleMapper(ReadOptions().loaded(), None).fragment("s-1", (), "canary", None, add)

    assert mapped.body is None
    assert found[-1] == "value-missing"


# -- night after night


async def test_a_full_set_after_changes_is_compared_right(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    await district.sync(
        changes(roles=moves("s-1"), demographics=[BIRTHS[0] | {"birthDate": "2011-01-02"}])
    )
    moved = [role("s-1", **TWO), *HELD[1:]]
    born = [{"sourcedId": "s-1", "birthDate": "2011-01-02"}]
    full = school(
        STUDENT, TEACHER, PARENT, version="1.2", roles=moved, orgs=ORGS, demographics=born
    )
    after = dict(server.students["s-1"])

    once, again = await district.sync(full), await district.sync(full)
    same = dict(server.students["s-1"])
    await district.sync(first_night())

    assert once.report.ok
    assert same == after
    assert again.report.planned == 0
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "one"
    assert server.students["s-1"]["demographics"] == BORN


async def test_nights_of_changes_and_full_sets_end_as_the_last_one_says(
    district: District, server: MockServer
) -> None:
    there_and_back = [moves("s-1"), [role("s-1", **TWO) | GONE, role("s-1", **ONE)]]
    await district.sync(first_night())
    schools = []

    for rows in (*there_and_back, there_and_back[0]):
        await district.sync(changes(roles=rows))
        schools.append(server.students["s-1"]["primaryOrg"]["sourcedId"])
    await district.sync(school(leaver("s-1"), version="1.2", mode="delta"))
    gone = server.students["s-1"]["status"]
    await district.sync(first_night())

    assert schools == ["two", "one", "two"]
    assert gone == "tobedeleted"
    assert server.students["s-1"]["status"] == "active"
    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "one"


async def test_whose_role_a_delta_changed_is_missed_when_absent_later(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    for _ in range(2):
        await district.sync(changes(roles=moves("s-1")))

    left = school(TEACHER, PARENT, version="1.2", roles=HELD[1:], orgs=ORGS, demographics=BIRTHS)
    await district.sync(left, **EVERYTHING)

    assert server.students["s-1"]["status"] == "tobedeleted"


async def test_whom_only_a_delta_has_named_is_never_missed(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    district.state_path.unlink()
    await district.sync(changes(roles=moves("s-1")))

    left = school(TEACHER, PARENT, version="1.2", roles=HELD[1:], orgs=ORGS)
    running = await district.sync(left, **EVERYTHING)

    assert running.report.phases["deactivations"].planned == 0
    assert server.students["s-1"]["status"] == "active"


async def test_a_change_that_failed_is_sent_again_the_next_night(
    district: District, server: MockServer
) -> None:
    await district.sync(first_night())
    district.settings = {"retry": ONCE}

    for faults in (Faults(statuses={422: 1.0}), Faults()):
        server.faults = faults
        await district.sync(changes(roles=moves("s-1")))

    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "two"


async def test_changes_of_a_state_that_was_lost_are_carried_out(
    district: District, server: MockServer, tmp_path: Path
) -> None:
    await district.sync(first_night())
    with (
        State(None, server.config()) as state,
        read_roster(folder(tmp_path / "roster", changes(roles=moves("s-1")))) as roster,
    ):
        async with TimebackSession(server.config()) as session:
            assert (await run(session, plan(roster, state))).ok

    assert server.students["s-1"]["primaryOrg"]["sourcedId"] == "two"
