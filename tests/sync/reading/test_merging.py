"""Several rows of a person that differ only in schools, agents or grades are one person."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.districts import District
from tests.support.rosters import (
    adult,
    child,
    codes,
    csv_text,
    folder,
    mapping,
    opened,
    org,
    read,
    records,
    role,
    school,
    wrong,
)
from timeback_async import AgentLink, OrgRef, Student, User
from timeback_async.sync._reading import merging
from timeback_async.testing import MockServer

ORGS = [org("one"), org("two"), org("district", "district")]
ONE, TWO = {"orgSourcedIds": "one"}, {"orgSourcedIds": "two"}
ADULTS = adult("u-1", **ONE), adult("u-2", "guardian", **ONE)


def merged(tmp_path: Path, *people: Any, **files: Any) -> Any:
    """Return the roster of some people, and its records."""
    roster = read(tmp_path, school(*people, *ADULTS, **{"orgs": ORGS} | files))
    return roster, records(roster)


def test_a_row_for_each_school_is_one_person_in_all_of_them(tmp_path: Path) -> None:
    rows = [adult("t-1", "teacher", **where) for where in (ONE, TWO, ONE | TWO)]

    roster, found = merged(tmp_path, *rows)

    assert [each.org for each in found["t-1"].roles] == [OrgRef("one"), OrgRef("two")]
    assert found["t-1"].primary_org == OrgRef("one")
    assert codes(roster) == {"rows-merged": 2}
    assert roster.count[:4] == (0, 3, 0, 0)


def test_the_schools_of_all_rows_say_which_is_the_primary_org(tmp_path: Path) -> None:
    roster, found = merged(
        tmp_path, child("s-1", orgSourcedIds="district"), child("s-1", orgSourcedIds="two,district")
    )

    assert found["s-1"].primary_org == OrgRef("two")
    assert roster.count.left_out == 0


def test_a_row_for_each_agent_is_one_person_with_all_of_them(tmp_path: Path) -> None:
    roster, found = merged(
        tmp_path, child("s-1", "u-1", **ONE), child("s-1", "u-2", **ONE), child("s-1", **ONE)
    )

    links = {each for each in found.values() if isinstance(each, AgentLink)}
    assert {each.user_id for each in links} == {"u-1", "u-2"}
    assert codes(roster) == {"rows-merged": 2}
    (cause,) = roster.findings.causes
    assert [str(each).partition(" several rows")[0] for each in cause.examples] == [
        "users.csv:3: sourcedId:",
        "users.csv:4: sourcedId:",
    ]


def test_a_row_for_each_grade_is_one_person_in_all_of_them(tmp_path: Path) -> None:
    _, found = merged(
        tmp_path, child("s-1", **ONE), child("s-1", grades="06", **TWO), child("s-1", **TWO)
    )

    assert found["s-1"].grades == ["5", "6"]


def test_forms_of_one_value_are_no_difference(tmp_path: Path) -> None:
    rows = child("s-1", **ONE), child("s-1", enabledUser="TRUE", role="Student", **TWO)

    roster, found = merged(tmp_path, *rows)

    assert isinstance(found["s-1"], Student)
    assert codes(roster) == {"rows-merged": 1, "value-form": 2}


def test_an_administrator_of_a_school_and_of_its_district_is_one_person(tmp_path: Path) -> None:
    rows = [adult("a-1", "administrator", orgSourcedIds=own) for own in ("one", "district")]

    _, found = merged(tmp_path, *rows)

    assert isinstance(found["a-1"], User)
    assert [each.role for each in found["a-1"].roles] == [
        "siteAdministrator",
        "districtAdministrator",
    ]


def test_among_rows_that_differ_the_same_ones_count_once(tmp_path: Path) -> None:
    roster, _ = merged(tmp_path, child("s-1", **ONE), child("s-1", **ONE), child("s-1", **TWO))

    assert codes(roster) == {"duplicate-same": 1, "rows-merged": 1}


def test_the_same_record_at_another_time_counts_once(tmp_path: Path) -> None:
    rows = [
        child("s-1", status="active", dateLastModified=f"2025-01-0{n}T00:00:00.000Z", **ONE)
        for n in (1, 2)
    ]

    roster, _ = merged(tmp_path, *rows, mode="delta")

    assert codes(roster).get("duplicate-same") == 1
    assert roster.count[:4] == (1, 2, 0, 0)


@pytest.mark.parametrize(
    "other",
    [
        child("s-1", givenName="Canary", **TWO),
        child("s-1", username="canary", **TWO),
        child("s-1", email="another@canary.example", **TWO),
        child("s-1", status="tobedeleted", **TWO),
        child("s-1", enabledUser="false", **TWO),
        adult("s-1", "teacher", **TWO) | {"grades": "05"},
        child("s-1", **TWO) | {"primaryOrgSourcedId": "two"},
        child("s-1", familyName="", **TWO),
        child("s-1", orgSourcedIds="two", role="canary"),
    ],
    ids=lambda row: ",".join(row.values())[:40],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_rows_that_differ_in_anything_else_are_left_out_as_a_whole(
    tmp_path: Path, other: Any, is_first: bool
) -> None:
    row = child("s-1", "u-1", **ONE)

    roster, found = merged(tmp_path, *((other, row) if is_first else (row, other)))

    assert found.keys() == {"u-1", "u-2"}
    assert codes(roster)["duplicate-different"] == 2
    assert roster.count[:4] == (0, 2, 0, 2)


def test_teacher_here_and_aide_there_are_not_merged(tmp_path: Path) -> None:
    rows = adult("t-1", "teacher", **ONE), adult("t-1", "aide", **TWO)

    roster, found = merged(tmp_path, *rows)

    assert found.keys() == {"u-1", "u-2"}
    assert codes(roster) == {"duplicate-different": 2}


def test_rows_in_two_files_are_one_person(tmp_path: Path) -> None:
    layout = mapping(tmp_path / "map.toml", '[one]\ntarget = "users"\n[two]\ntarget = "users"\n')
    texts = {
        "one.csv": csv_text([child("s-1", "u-1", **ONE), ADULTS[0]]),
        "two.csv": csv_text([child("s-1", "u-2", **TWO), ADULTS[1]]),
    }

    found = records(opened(folder(tmp_path / "roster", texts), layout=layout))

    assert {"s-1", "s-1+u-1", "s-1+u-2"} <= found.keys()


def test_what_other_files_say_stays(tmp_path: Path) -> None:
    rows = [
        {name: cell for name, cell in child("s-1", **more).items() if name != "role"}
        | {"username": ""}
        for more in ({}, {"grades": "06"})
    ]
    profile = {"sourcedId": "p-1", "userSourcedId": "s-1", "username": "canary-profile"}
    people = [{name: cell for name, cell in row.items() if name != "orgSourcedIds"} for row in rows]
    births = [{"sourcedId": "s-1", "birthDate": "2010-05-06"}]

    roster = read(
        tmp_path,
        school(
            *people,
            version="1.2",
            roles=[role("s-1", orgSourcedId="two")],
            orgs=ORGS,
            demographics=births,
            userProfiles=[profile],
        ),
    )

    (person,) = records(roster).values()
    assert isinstance(person, Student)
    assert (person.username, person.grades) == ("canary-profile", ["5", "6"])
    assert person.primary_org == OrgRef("two")
    assert person.demographics


def test_a_birth_date_in_the_rows_themselves_keeps_its_form(tmp_path: Path) -> None:
    layout = mapping(
        tmp_path / "map.toml",
        """
        [users]
        target = "users"
        [users.columns]
        id = "sourcedId"
        first = "givenName"
        last = "familyName"
        where = "orgSourcedIds"
        born = "birthDate"
        [users.constants]
        role = "student"
        enabledUser = "true"
        username = "canary"
        [users.dates]
        birthDate = "%d.%m.%Y"
        """,
    )
    text = "id,first,last,where,born\ns-1,A,B,one,06.05.2010\ns-1,A,B,two,06.05.2010\n"

    (person,) = records(
        opened(folder(tmp_path / "roster", {"users.csv": text}), layout=layout)
    ).values()

    assert isinstance(person, Student)
    assert str(person.demographics.birth_date) == "2010-05-06"  # type: ignore[union-attr]


@pytest.mark.parametrize("most", [2, 3])
def test_many_rows_of_many_people_are_merged_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(merging, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(merging, "PEOPLE_AT_ONCE", 2)
    monkeypatch.setattr(merging, "MOST_ROWS", most)
    wheres = ({"orgSourcedIds": own} for own in ("one", "two", "district"))
    rows = [child(f"s-{n}", **where) for where in wheres for n in range(5)]

    roster, found = merged(tmp_path, *rows)

    assert roster.count[:4] == ((5, 2, 0, 0) if most == 3 else (0, 2, 0, 15))
    assert len(found) == (7 if most == 3 else 2)


def test_findings_of_rows_are_told_once(tmp_path: Path) -> None:
    rows = child("s-1", grades="canary", **ONE), child("s-1", grades="canary", **TWO)

    roster, _ = merged(tmp_path, *rows)

    assert codes(roster) == {"rows-merged": 1, "grade-unmapped": 2}
    assert len(wrong(roster)) == 2


async def test_rows_merged_are_unchanged_the_next_night(
    district: District, server: MockServer
) -> None:
    rows = child("s-1", "u-1", **ONE), child("s-1", "u-2", **TWO), *ADULTS
    await district.sync(school(*rows, orgs=ORGS))

    again = await district.sync(school(*rows, orgs=ORGS))
    one_row = await district.sync(
        school(child("s-1", "u-1,u-2", orgSourcedIds="one,two"), *ADULTS, orgs=ORGS)
    )

    assert again.report.ok
    assert (again.report.planned, one_row.report.planned) == (0, 0)
    assert len(server.agents) == 2
