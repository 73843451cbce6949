"""What of a package is read, and what is said of the rest."""

from pathlib import Path

import pytest

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
    school,
    users,
    wrong,
    zipped,
)
from timeback_async import AgentLink, Student
from timeback_async.errors import ConfigError
from timeback_async.sync import Roster

PEOPLE = csv_text([child()])


def files_of(roster: Roster, code: str) -> list[str]:
    return sorted(cause.file for cause in roster.findings.causes if cause.code == code)


# -- OneRoster 1.0


def one_point_zero() -> dict[str, str]:
    header = (
        "sourcedId,status,dateLastModified,orgSourcedIds,role,username,userId,givenName,"
        "familyName,identifier,email,sms,phone,agents"
    )
    people = [
        "s-1,active,2015-01-01,10,student,canary,x,Canary,Canary,,,,,p-1",
        "s-2,inactive,2015-01-01,10,student,canary2,,Canary,Canary,,,,,p-1",
        "p-1,active,2015-01-01,10,parent,canary3,,Canary,Canary,,,,,",
    ]
    return {
        "orgs.csv": csv_text([org("10")]),
        "users.csv": "\n".join([header, *people, ""]),
        "demographics.csv": "userSourcedId,status,birthdate,sex\ns-1,active,2010-04-01,Female\n",
    }


def test_a_set_of_oneroster_1_0_gives_people_and_links(tmp_path: Path) -> None:
    roster = read(tmp_path, one_point_zero())

    found = records(roster)
    assert list(found) == ["s-1", "s-2", "p-1", "s-1+p-1", "s-2+p-1"]
    assert isinstance(first := found["s-1"], Student)
    assert isinstance(second := found["s-2"], Student)
    assert isinstance(link := found["s-1+p-1"], AgentLink)
    assert (first.enabled_user, second.enabled_user) == ("true", "true")
    assert (first.status, second.status) == ("active", "inactive")
    assert str(first.demographics.birth_date) == "2010-04-01"  # type: ignore[union-attr]
    assert link.relationship_type == "parent"
    assert wrong(roster) == []
    assert codes(roster)["enabled-assumed"] == 1


def test_a_blank_enabled_user_is_still_a_required_value(tmp_path: Path) -> None:
    roster = read(tmp_path, school(child(enabledUser=""), child("s-2"), version=""))

    assert list(records(roster)) == ["s-2"]
    assert "enabled-assumed" not in codes(roster)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_later_versions_without_enabled_user_are_told_once(tmp_path: Path, version: str) -> None:
    rows = [child(f"s-{number}") for number in range(3)]
    for row in rows:
        del row["enabledUser"]

    roster = read(tmp_path, school(*rows, version=version))

    assert len(records(roster)) == 3
    (only,) = wrong(roster)
    assert only.startswith("enabled-missing users.csv: the column enabledUser is missing")


def test_a_map_without_enabled_user_is_told_once(tmp_path: Path) -> None:
    layout = mapping(
        tmp_path / "map.toml", '[a]\ntarget = "users"\n[a.columns]\nsourcedId = "sourcedId"\n'
    )
    row = child()
    del row["enabledUser"]

    roster = opened(users(tmp_path, csv_text([row])), layout=layout)

    assert list(records(roster)) == ["s-1"]
    assert [text.split()[0] for text in wrong(roster)] == ["enabled-missing"]


def test_strict_refuses_a_file_without_enabled_user(tmp_path: Path) -> None:
    row = child()
    del row["enabledUser"]

    with pytest.raises(ConfigError, match=r"the column enabledUser is missing"):
        read(tmp_path, school(row), strict=True)


# -- files that are not read


def test_data_files_that_are_not_read_are_noted_once_each(tmp_path: Path) -> None:
    more = {
        "parents.csv": csv_text([adult()]),
        "students.CSV": PEOPLE,
        "old.jsonl": "{}\n",
        "staff.xlsx": "x",
        "bus.tsv": "a\tb\n",
        "contacts.txt": "id;name;phone\n",
        "users.csv.gz": "x",
    }

    roster = read(tmp_path, school(child()) | more)

    assert codes(roster) == {"file-unread": len(more)}
    assert files_of(roster, "file-unread") == sorted(more)
    assert list(records(roster)) == ["s-1"]


def test_files_that_hold_no_people_are_no_noise(tmp_path: Path) -> None:
    quiet = ("classes", "enrollments", "academicSessions", "courses", "lineItems", "results")
    more = {f"{name}.csv": "sourcedId\n1\n" for name in quiet}
    more |= {"READ ME.txt": "Exported on Monday, for you\n", "logo.png": "x", ".hidden.csv": "x"}

    assert codes(read(tmp_path, school(child()) | more)) == {}


def test_files_that_a_map_does_not_name_are_noted(tmp_path: Path) -> None:
    layout = mapping(tmp_path / "map.toml", '[pupils]\ntarget = "users"\n')
    files = {"pupils.csv": PEOPLE, "users.csv": PEOPLE, "orgs.csv": csv_text([org()])}

    roster = opened(folder(tmp_path / "roster", files), layout=layout)

    assert files_of(roster, "file-unread") == ["orgs.csv", "users.csv"]


def test_a_folder_inside_a_zip_that_is_not_read_is_noted(tmp_path: Path) -> None:
    inside = {"older/users.csv": "no", "older/orgs.csv": "no", "pictures/logo.png": "x"}

    roster = opened(zipped(tmp_path / "roster.zip", school(child()) | inside))

    assert files_of(roster, "file-unread") == ["older/"]


def test_a_folder_without_people_says_how_to_have_its_files_read(tmp_path: Path) -> None:
    path = folder(tmp_path / "roster", {"students.csv": PEOPLE, "staff.xlsx": "x"})

    with pytest.raises(ConfigError) as caught:
        opened(path)

    assert str(caught.value) == (
        f"{path}: has no file of people; expected users.csv, found students.csv, staff.xlsx; "
        'if one of them holds people, say which column is what by layout="FILE"'
    )
