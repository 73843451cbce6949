"""Every row of people is counted once: as a person, as a repetition, or as left out."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.packages import package
from tests.support.rosters import (
    adult,
    child,
    csv_text,
    opened,
    read,
    role,
    school,
    users,
)
from timeback_async.sync import Roster
from timeback_async.sync._reading.roster import RosterCount


def adds_up(roster: Roster) -> bool:
    count = roster.count
    links = count.links if roster.format == "JSON Lines" else 0
    return count.rows == count.students + count.users + links + count.repeated + count.left_out


@pytest.mark.parametrize(
    "name",
    [
        "one-point-one-full", "one-point-one-minimal", "one-point-two-full", "empty-template",
        "families", "prefixed", "loose", "sds-v1", "sds-v2", "sds-v2-1",
        "school-of-families/people.csv",
    ],
)  # fmt: skip
def test_the_rows_of_any_package_add_up(tmp_path: Path, name: str) -> None:
    roster = opened(package(name, tmp_path))

    assert adds_up(roster)


def test_what_becomes_of_each_row_is_counted(tmp_path: Path) -> None:
    rows = [
        child("s-1"), child("s-1"), adult("u-1"), child("s-2"), child("s-2", givenName="Other"),
        child(""), child("s-3", familyName=""),
    ]  # fmt: skip

    roster = read(tmp_path, school(*rows))

    assert roster.count == RosterCount(1, 1, 0, 4, rows=7, repeated=1)
    assert adds_up(roster)


def test_a_row_that_is_not_csv_is_counted_too(tmp_path: Path) -> None:
    text = csv_text([child("s-1"), child("s-2"), child("s-3")]).replace("Canarys-2", '"Canary"s-2')

    roster = read(tmp_path, school(child("x")) | {"users.csv": text})

    assert adds_up(roster)
    assert roster.count.rows == 3


def test_lines_of_json_are_counted_as_they_are(tmp_path: Path) -> None:
    link = '{"agent": {"studentId": "s-1", "userId": "u-1", "relationshipType": "parent"}}'
    text = f'{link}\n{link}\n\nno json\n{{"user": {{"sourcedId": "u-1"}}}}'

    roster = opened(users(tmp_path, text, "a.jsonl"))

    assert roster.count == RosterCount(rows=4, links=1, repeated=1, left_out=2)
    assert adds_up(roster)


BAD = st.sampled_from(
    [{}, {"sourcedId": ""}, {"familyName": ""}, {"role": "x"}, {"status": "x"}, {"grades": "99"}]
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(1, 6), BAD), max_size=12))
def test_any_mixture_of_rows_adds_up(
    tmp_path: Path, rows: list[tuple[int, dict[str, str]]]
) -> None:
    people = [child(f"s-{number}", f"u-{number}") | bad for number, bad in rows]

    roster = read(tmp_path, school(*(people or [adult("u-1")])))

    assert adds_up(roster)
    assert roster.count.rows == len(people or [1])


def test_a_person_of_roles_csv_is_one_row(tmp_path: Path) -> None:
    pupil = {name: cell for name, cell in child("s-1").items() if name != "role"}

    roster = read(tmp_path, school(pupil, version="1.2", roles=[role("s-1"), role("s-1", "aide")]))

    assert roster.count == RosterCount(rows=1, students=1)
