"""Roles that have ended or have not begun decide nothing while there is a current one."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.districts import District
from tests.support.records import Json, wire_role
from tests.support.rosters import (
    adult,
    child,
    codes,
    folder,
    opened,
    org,
    read,
    records,
    role,
    school,
    wrong,
)
from timeback_async import UNSET, AgentLink, OrgRef, Role, Student, User, UserRecord
from timeback_async.errors import RecordError
from timeback_async.sync import ReadOptions
from timeback_async.sync._reading.terms import counting, is_student, learns, past
from timeback_async.testing import MockServer

TODAY = date(2025, 9, 10)
YESTERDAY, TOMORROW = TODAY - timedelta(1), TODAY + timedelta(1)
ORGS = [org("one"), org("two")]
ENDED = {"endDate": TODAY.isoformat()}  # the first day without it
LASTS = {"endDate": TOMORROW.isoformat()}
BEGUN = {"beginDate": TODAY.isoformat()}  # its first day
LATER = {"beginDate": TOMORROW.isoformat()}


def modern(row: dict[str, str]) -> dict[str, str]:
    """Return a row of a 1.2 users.csv, whose roles stand elsewhere."""
    return {name: cell for name, cell in row.items() if name not in ("role", "orgSourcedIds")}


def at(name: str, where: str, **dates: str) -> dict[str, str]:
    """Return a row of roles.csv of x-1."""
    return role("x-1", name, orgSourcedId=where, **dates)


def sent(tmp_path: Path, *roles: Any, today: date = TODAY, **files: Any) -> Any:
    """Return the record of x-1 on a day, and the roster it is of."""
    people = modern(adult("x-1"))
    files = school(people, version="1.2", roles=roles, **{"orgs": ORGS} | files)
    roster = read(tmp_path, files, today=today)
    return records(roster)["x-1"], roster


# -- what counts


@pytest.mark.parametrize(
    ("begin", "end", "counts"),
    [
        (None, None, True),
        (TODAY, None, True),
        (TOMORROW, None, False),
        (None, TODAY, False),
        (None, TOMORROW, True),
        (YESTERDAY, YESTERDAY, False),
        (TODAY, TODAY, False),  # no day at all
        (TOMORROW, YESTERDAY, False),
    ],
)
def test_a_role_counts_from_its_first_day_to_the_one_before_its_end(
    begin: date | None, end: date | None, counts: bool
) -> None:
    always = Role("primary", "aide", OrgRef("one"))
    role_ = Role("primary", "teacher", OrgRef("two"), begin_date=begin, end_date=end)

    assert (role_ in counting([always, role_], TODAY)) == counts


def test_without_a_current_role_the_next_ones_count_and_then_all() -> None:
    over = Role("primary", "aide", OrgRef("one"), end_date=YESTERDAY)
    next_ = Role("primary", "teacher", OrgRef("two"), begin_date=TOMORROW)

    assert counting([over, next_], TODAY) == [next_]
    assert counting([over, over], TODAY) == [over, over]
    assert counting([], TODAY) == []


def test_a_role_that_is_held_anew_has_not_ended() -> None:
    over, anew = (Role("primary", "aide", OrgRef("one"), end_date=end) for end in (TODAY, TOMORROW))

    assert past([over], TODAY) == [("aide", "one")]
    assert past([over, anew], TODAY) == []


def test_primary_roles_make_a_student_or_none() -> None:
    student, aide = (Role("secondary", name, OrgRef("one")) for name in ("student", "aide"))

    assert is_student([student, aide])
    assert not is_student([student, Role("primary", "aide", OrgRef("one"))])


def received(name: str, begin: str | None = None, end: str | None = None) -> Json:
    return wire_role(role=name, beginDate=begin, endDate=end)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([received("student", end=str(YESTERDAY)), received("teacher")], False),
        ([received("student", end=str(TODAY)), received("teacher")], False),
        ([received("student", end=f"{TODAY}T00:00:00Z"), received("teacher")], False),
        ([received("teacher", end=str(YESTERDAY)), received("student")], True),
        ([received("student", begin=str(TOMORROW)), received("teacher")], False),
        ([received("teacher", begin=f"{TOMORROW}T00:00:00.000Z"), received("student")], True),
        ([received("student", begin="soon", end="never"), received("aide")], True),
        ([received("student", end=str(YESTERDAY))], True),  # that they have left is not ours to say
        ([], True),
        (None, True),
    ],
)
def test_the_roles_at_timeback_that_count_make_a_student(roles: Any, expected: bool) -> None:
    assert learns(UserRecord.from_wire({"roles": roles}), TODAY) == expected


@pytest.mark.parametrize("roles", [["teacher"], [{"role": "teacher", "org": {}}], "teacher", 5])
def test_who_has_roles_of_an_unknown_form_is_neither(roles: Any) -> None:
    with pytest.raises(RecordError, match=r"^roles: has another type"):
        learns(UserRecord.from_wire({"roles": roles}), TODAY)


# -- what it decides


@pytest.mark.parametrize(
    "roles",
    [
        (at("student", "one", **ENDED), at("student", "two")),
        (at("student", "one", **ENDED), at("student", "two", **LATER)),  # in the summer
        (at("student", "one", **LATER), at("student", "two", **BEGUN)),
        (at("student", "one", **ENDED), at("student", "two", **LASTS)),
        (at("student", "one", **ENDED), at("student", "two", roleType="secondary")),
        (at("student", "two", **BEGUN), at("student", "one", **ENDED)),
    ],
)
def test_the_primary_org_is_that_of_a_current_role(tmp_path: Path, roles: Any) -> None:
    person, _ = sent(tmp_path, *roles)

    assert person.primary_org == OrgRef("two")


@pytest.mark.parametrize("dates", [ENDED, LATER])
@pytest.mark.parametrize(
    ("name", "other", "kind"), [("student", "teacher", User), ("teacher", "student", Student)]
)
def test_who_is_a_student_is_said_by_current_roles(
    tmp_path: Path, dates: Any, name: str, other: str, kind: type
) -> None:
    person, roster = sent(tmp_path, at(name, "one", **dates), at(other, "two"))

    assert type(person) is kind
    assert codes(roster) == {}


def test_all_roles_are_sent_with_their_dates(tmp_path: Path) -> None:
    person, _ = sent(tmp_path, at("teacher", "one", **ENDED), at("aide", "two", **LATER))

    assert [(each.role, each.begin_date, each.end_date) for each in person.roles] == [
        ("teacher", UNSET, TODAY),
        ("aide", TOMORROW, UNSET),
    ]


@pytest.mark.parametrize("dates", [ENDED, LATER])
def test_a_link_is_of_the_type_of_a_current_role(tmp_path: Path, dates: Any) -> None:
    people = modern(child("s-1", "x-1")), modern(adult("x-1"))
    roles = [role("s-1"), at("parent", "school", **dates), at("guardian", "school")]

    roster = read(tmp_path, school(*people, version="1.2", roles=roles), today=TODAY)

    link = records(roster)["s-1+x-1"]
    assert isinstance(link, AgentLink)
    assert link.relationship_type == "guardian"


@pytest.mark.parametrize("dates", [ENDED, LATER])
def test_who_has_no_current_role_is_sent_by_the_others_with_a_warning(
    tmp_path: Path, dates: Any
) -> None:
    person, roster = sent(tmp_path, at("teacher", "two", **dates))

    assert person.primary_org == OrgRef("two")
    (only,) = wrong(roster)
    assert only.startswith("role-not-current users.csv:2: role: the person has no role today")


@pytest.mark.parametrize("field", ["beginDate", "endDate"])
@pytest.mark.parametrize(
    ("text", "code"), [("Canary", "value-left-out"), ("4/2/2024", "date-ambiguous")]
)
def test_a_date_that_cannot_be_read_costs_the_date_alone(
    tmp_path: Path, field: str, text: str, code: str
) -> None:
    roles = at("teacher", "two", **{field: text}), at("aide", "one", **ENDED)
    person, roster = sent(tmp_path, *roles)

    assert person.primary_org == OrgRef("two")
    assert [(each.role, each.end_date) for each in person.roles][1] == ("aide", TODAY)
    (only,) = wrong(roster)
    assert only.startswith(f"{code} users.csv:2: {field}: ")


def test_the_roles_of_school_data_sync_have_terms_too(tmp_path: Path) -> None:
    people = [{"sourcedId": "x-1", "username": "x", "givenName": "A", "familyName": "B"}]
    terms = [("one", "true", "2023-08-01", "2025-09-10"), ("two", "false", "2025-09-10", "")]
    columns = ("orgSourcedId", "isPrimary", "roleStartDate", "roleEndDate")
    roles = [
        {"userSourcedId": "x-1", "role": "student"} | dict(zip(columns, term, strict=True))
        for term in terms
    ]
    files = school(*people, version="", roles=roles, orgs=ORGS)

    person = records(read(tmp_path, files, today=TODAY))["x-1"]

    assert isinstance(person, Student)
    assert person.primary_org == OrgRef("two")


def test_an_org_chosen_among_current_roles_is_looked_up_among_these(tmp_path: Path) -> None:
    over, *others = at("student", "one", **ENDED), at("student", "two"), at("student", "three")

    _, roster = sent(tmp_path, over, *others, orgs=[])

    ((*_, gaps),) = roster.database.people()
    assert b'"orgs":["two","three"]' in gaps


# -- the day


def test_the_day_is_the_local_one_unless_given() -> None:
    assert ReadOptions().loaded().today == date.today()  # noqa: DTZ011 - the local day
    assert ReadOptions(today=TODAY).loaded().today == TODAY


def test_the_day_changes_no_mapping(tmp_path: Path) -> None:
    path = folder(tmp_path / "roster", school(child("s-1")))

    one, other = (opened(path, today=day).fingerprint for day in (TODAY, TOMORROW))

    assert one == other


async def test_a_role_that_begins_is_sent_on_its_first_day(
    district: District, server: MockServer
) -> None:
    pupil = modern(child("x-1"))
    roles = [at("student", "one", **LASTS), at("student", "two", **LATER)]
    files = school(pupil, version="1.2", roles=roles, orgs=ORGS)
    nights = []

    for day in (TODAY, TODAY, TOMORROW, TOMORROW):
        running = await district.sync(files, today=day)
        nights.append((running.report.planned, server.students["x-1"]["primaryOrg"]["sourcedId"]))

    assert nights == [(1, "one"), (0, "one"), (1, "two"), (0, "two")]


@pytest.mark.parametrize("orgs", [ORGS, []], ids=["schools", "no orgs.csv"])
async def test_a_role_that_ends_is_followed_though_the_org_is_looked_up(
    district: District, server: MockServer, orgs: Any
) -> None:
    pupil = modern(child("x-1"))
    roles = [at("student", "one", **LASTS), at("student", "two"), at("student", "three")]
    files = school(pupil, version="1.2", roles=roles, orgs=orgs)

    for day in (TODAY, TOMORROW):
        await district.sync(files, today=day)

    assert server.students["x-1"]["primaryOrg"]["sourcedId"] == "two"
