"""Columns of a map: nothing that a file says is lost without a word."""

from pathlib import Path

import pytest

from tests.support.rosters import (
    child,
    codes,
    csv_text,
    folder,
    mapping,
    opened,
    org,
    records,
    role,
    wrong,
)
from timeback_async import Student, User
from timeback_async.errors import ConfigError
from timeback_async.sync import Roster

MAP = """
[pupils]
target = "users"
[pupils.columns]
"No" = "sourcedId"
"School" = "orgSourcedIds"
"First" = "givenName"
"Last" = "familyName"
"Login" = "username"
"Year" = "grades"
"Locker" = ""
[pupils.constants]
role = "student"
enabledUser = "true"
"""
PUPIL = {
    "No": "s-1",
    "School": "school",
    "First": "Canary",
    "Last": "Canary",
    "Login": "canary",
    "Year": "9",
    "Locker": "12",
}


def mapped(path: Path, row: dict[str, str], text: str = MAP, **files: str) -> Roster:
    tables = {"pupils.csv": csv_text([row])} | {f"{name}.csv": each for name, each in files.items()}
    return opened(folder(path / "roster", tables), layout=mapping(path / "map.toml", text))


def details(roster: Roster, code: str) -> list[str]:
    causes = [cause for cause in roster.findings.causes if cause.code == code]
    return [each.detail for cause in causes for each in cause.examples]


def without(row: dict[str, str], *names: str) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if name not in names}


def test_a_map_that_names_every_column_has_no_findings(tmp_path: Path) -> None:
    roster = mapped(tmp_path, PUPIL)

    assert (list(records(roster)), codes(roster)) == (["s-1"], {})


# -- headers that the map does not name


def test_a_header_that_the_map_does_not_name_is_noted_once(tmp_path: Path) -> None:
    row = PUPIL | {"Nurse": "x", "metadata.bus": "x", "Parent 1": "x", "": "x", "a@b.example": "x"}

    roster = mapped(tmp_path, row)

    assert codes(roster) == {"column-unknown": 3, "column-nameless": 1}
    assert details(roster, "column-unknown") == ["Nurse", "…", "…"]


@pytest.mark.parametrize("header", ["status", "Status", "STATUS"])
def test_a_status_that_the_map_forgets_is_not_lost(tmp_path: Path, header: str) -> None:
    gone = mapped(tmp_path / "gone", PUPIL | {header: "tobedeleted"})
    left = mapped(tmp_path / "left", PUPIL | {header: "Left"})

    (found,) = gone.records()
    assert isinstance(found, Student)
    assert found.status == "tobedeleted"
    assert details(gone, "column-unnamed") == [f"{header} is read as status"]
    assert left.count[:4] == (0, 0, 0, 1)
    assert codes(left)["value-invalid"] == 1


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("agentSourcedIds", "agentSourcedIds"),
        ("agents", "agentSourcedIds"),
        ("primaryOrg", "primaryOrgSourcedId"),
        ("email", "email"),
    ],
)
def test_other_standard_columns_that_the_map_forgets_are_read_too(
    tmp_path: Path, header: str, field: str
) -> None:
    roster = mapped(tmp_path, PUPIL | {header: "x-1"})

    assert details(roster, "column-unnamed") == [f"{header} is read as {field}"]
    assert roster.sources["pupils.csv"].has_agents == (field == "agentSourcedIds")
    (found,) = [each for each in roster.records() if isinstance(each, Student)]
    assert (found.email == "x-1") == (field == "email")
    assert (found.primary_org.sourced_id == "x-1") == (field == "primaryOrgSourcedId")


def test_a_standard_column_beside_the_one_that_the_map_names_is_not_read(tmp_path: Path) -> None:
    roster = mapped(tmp_path, PUPIL | {"grade": "3", "grades": "4"})

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.grades == ["9"]
    assert details(roster, "column-unknown") == ["grades", "grade"]


def test_of_two_spellings_of_a_field_the_standard_one_is_read(tmp_path: Path) -> None:
    row = without(PUPIL, "Year") | {"grade": "3", "grades": "4"}

    roster = mapped(tmp_path, row)

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.grades == ["4"]
    assert details(roster, "column-unnamed") == ["grades is read as grades"]
    assert details(roster, "column-unknown") == ["grade"]


def test_two_columns_of_a_standard_name_are_refused(tmp_path: Path) -> None:
    header, cells = csv_text([PUPIL | {"status": ""}]).split()
    tables = {"pupils.csv": f"{header},status\n{cells},Left\n"}
    layout = mapping(tmp_path / "map.toml", MAP)

    with pytest.raises(ConfigError, match=r"^pupils.csv: two columns are status, the second is"):
        opened(folder(tmp_path / "roster", tables), layout=layout)


def test_a_column_in_whose_place_the_map_has_a_constant_is_a_warning(tmp_path: Path) -> None:
    roster = mapped(tmp_path, PUPIL | {"enabledUser": "false", "Role": "teacher"})

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.enabled_user == "true"
    assert details(roster, "column-overruled") == ["enabledUser", "Role"]
    assert [text.split()[0] for text in wrong(roster)] == ["column-overruled"] * 2


def test_columns_that_are_never_read_are_no_noise(tmp_path: Path) -> None:
    births = '[births]\ntarget = "demographics"\n[births.columns]\nPupil = "sourcedId"\n'
    text = "Pupil,birthdate,sex,asian\ns-1,2010-04-01,female,true\n"

    row = PUPIL | {"password": "CanaryPassword", "resourceSourcedIds": "x"}
    roster = mapped(tmp_path, row, MAP + births, births=text)

    assert details(roster, "column-unnamed") == ["birthdate is read as birthDate"]
    assert codes(roster) == {"column-unnamed": 1}
    (found,) = roster.records()
    assert isinstance(found, Student)
    assert str(found.demographics.birth_date) == "2010-04-01"  # type: ignore[union-attr]


def test_a_column_that_the_map_leaves_out_by_name_is_neither_read_nor_noted(tmp_path: Path) -> None:
    text = MAP.replace('"Locker" = ""', '"Locker" = ""\nemail = ""\nenabledUser = ""')

    roster = mapped(tmp_path, PUPIL | {"Email": "x", "enabledUser": "false"}, text)

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert not found.email
    assert codes(roster) == {}


# -- columns of the map that the file lacks


def test_a_column_of_the_map_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    roster = mapped(tmp_path, without(PUPIL, "Year") | {"Form 2b": "x"})

    (first, *_) = wrong(roster)
    assert first == (
        "column-absent pupils.csv: a column of the map is not in the file "
        "(Year; the file has No, School, First, Last, Login, Locker, …)"
    )
    assert list(records(roster)) == ["s-1"]


def test_of_many_columns_that_are_there_some_are_listed(tmp_path: Path) -> None:
    more = {f"x{chr(97 + number)}": "" for number in range(20)}

    roster = mapped(tmp_path, without(PUPIL, "Year") | more)

    (detail,) = details(roster, "column-absent")
    assert detail.endswith("xm, xn and 6 more")


def test_a_left_out_column_may_be_absent(tmp_path: Path) -> None:
    assert codes(mapped(tmp_path, without(PUPIL, "Locker"))) == {}


def test_a_required_column_that_is_not_there_is_told_with_its_name_in_the_map(
    tmp_path: Path,
) -> None:
    roster = mapped(tmp_path, without(PUPIL, "First"))

    assert details(roster, "column-missing") == [
        'column "First" of the map is not there; the file has No, School, Last, Login, Year, Locker'
    ]
    with pytest.raises(ConfigError) as caught:
        mapped(tmp_path / "id", without(PUPIL, "No"))
    assert str(caught.value) == (
        'pupils.csv: has no column sourcedId; column "No" of the map is not there; '
        "the file has School, First, Last, Login, Year, Locker"
    )


def test_a_file_of_which_no_column_is_known_shows_none(tmp_path: Path) -> None:
    """Its first line may be a person's row."""
    with pytest.raises(ConfigError) as caught:
        mapped(tmp_path, {"Canaryfirst": "1", "Canarylast": "2"})

    assert "Canary" not in str(caught.value)
    assert str(caught.value).endswith("is its first line the names of its columns?")


def test_a_file_without_a_column_it_needs_is_told_with_its_name_in_the_map(tmp_path: Path) -> None:
    schools = '[schools]\ntarget = "orgs"\n[schools.columns]\nId = "sourcedId"\nKind = "type"\n'

    roster = mapped(tmp_path, PUPIL, MAP + schools, schools="Nr,Kind\nschool,school\n")

    assert details(roster, "file-unusable") == [
        'sourcedId: column "Id" of the map is not there; the file has Nr, Kind'
    ]


def test_a_table_whose_file_is_not_there_is_told(tmp_path: Path) -> None:
    roster = mapped(tmp_path, PUPIL, MAP + '[staff]\ntarget = "users"\n')

    assert details(roster, "table-absent") == ["staff"]
    assert wrong(roster)[0].startswith("table-absent package: the map has a table for a file that")


# -- maps without columns: OneRoster's own names


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('constants]\nenabledUser = "true"', "constants.enabledUser of the map: there is a column"),
        (
            'values.pronouns]\nX = "they"',
            "values.pronouns of the map: there is no such column; the file has sourcedId, status",
        ),
        ('dates]\nbirthDate = "%d.%m.%Y"', "dates.birthDate of the map: there is no such column;"),
    ],
)
def test_what_a_map_says_of_a_column_has_to_have_that_column(
    tmp_path: Path, table: str, message: str
) -> None:
    layout = mapping(tmp_path / "map.toml", f'[pupils]\ntarget = "users"\n[pupils.{table}\n')
    path = folder(tmp_path / "roster", {"pupils.csv": csv_text([child()])})

    with pytest.raises(ConfigError) as caught:
        opened(path, layout=layout)

    assert str(caught.value).startswith(f"pupils.csv: {message}")


def test_a_date_that_is_a_constant_has_a_form_too(tmp_path: Path) -> None:
    row = {name: cell for name, cell in child().items() if name not in ("role", "orgSourcedIds")}
    layout = mapping(
        tmp_path / "map.toml",
        '[users]\ntarget = "users"\n[roles]\ntarget = "roles"\n'
        '[roles.constants]\nbeginDate = "4/2/2024"\n[roles.dates]\nbeginDate = "%m/%d/%Y"\n',
    )
    roles = [{k: v for k, v in role("s-1", "aide").items() if k != "beginDate"}]
    files = {"users.csv": csv_text([row]), "roles.csv": csv_text(roles), "orgs.csv": ""}
    files["orgs.csv"] = csv_text([org()])

    (found,) = opened(folder(tmp_path / "roster", files), layout=layout).records()

    assert isinstance(found, User)
    assert str(found.roles[0].begin_date) == "2024-04-02"
