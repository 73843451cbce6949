from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from tests.support.rosters import (
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
    users,
    wrong,
)
from timeback_async import Student, User
from timeback_async.errors import ConfigError
from timeback_async.sync import Roster

CLEVER = {
    "Student_id": "s-1",
    "School_id": "school",
    "First_name": "Canary",
    "Last_name": "Canary",
    "Grade": "Grade 5",
    "DOB": "4/2/2010",
    "Student_email": "canary@canary.example",
    "Status": "Enrolled",
}
MAP = """
[students]
target = "users"
[students.columns]
"student_ID" = "sourcedId"
School_id = "orgSourcedIds"
First_name = "givenName"
Last_name = "familyName"
Grade = "grades"
DOB = "birthDate"
Student_email = "username"
Status = "status"
[students.constants]
role = "student"
enabledUser = "true"
[students.values.grades]
"grade 5" = "05"
[students.values.status]
Enrolled = "active"
"" = "inactive"
[students.dates]
birthDate = "%m/%d/%Y"
"""


def details(roster: Roster, code: str) -> list[str]:
    causes = [cause for cause in roster.findings.causes if cause.code == code]
    return [each.detail for cause in causes for each in cause.examples]


# -- headers of OneRoster


@pytest.mark.parametrize(
    ("standard", "wild"),
    [
        ("sourcedId", "sourceId"),
        ("sourcedId", "SOURCEDID"),
        ("orgSourcedIds", "orgs"),
        ("orgSourcedIds", "orgSourcedId"),
        ("agentSourcedIds", "agents"),
        ("agentSourcedIds", "agentSourceIds"),
        ("grades", "grade"),
        ("givenName", " GivenName "),
    ],
)
def test_a_column_by_another_name_is_read_and_noted(
    tmp_path: Path, standard: str, wild: str
) -> None:
    files = school(child("s-1", "s-2"), child("s-2", "s-1"))
    plain = read(tmp_path / "plain", files)
    changed = files | {"users.csv": files["users.csv"].replace(standard, wild, 1)}

    roster = read(tmp_path / "changed", changed)

    assert records(roster) == records(plain) != {}
    expected = [f"{wild} is read as {standard}"] if wild.strip() != standard else []
    assert details(roster, "header-name") in ([f"{wild.strip()} is read as {standard}"], expected)


def test_preferred_names_go_by_three_names(tmp_path: Path) -> None:
    row = child() | {
        "prefferedGivenName": "CanaryG",
        "prefferedMiddleName": "CanaryM",
        "preferredLastName": "CanaryF",
    }

    (found,) = read(tmp_path, school(row)).records()

    assert isinstance(found, Student)
    assert (found.preferred_first_name, found.preferred_middle_name, found.preferred_last_name) == (
        "CanaryG",
        "CanaryM",
        "CanaryF",
    )


def test_the_order_of_columns_does_not_matter(tmp_path: Path) -> None:
    row = dict(reversed(child().items()))

    roster = read(tmp_path, school(row))

    assert records(roster) == records(read(tmp_path / "plain", school(child())))
    assert codes(roster) == {"header-order": 1}


def test_columns_that_are_not_known_are_noted_and_not_read(tmp_path: Path) -> None:
    row = child() | {"metadata.boarding": "x", "ext_mother": "x", "Mother 1": "x", "": "x"}

    roster = read(tmp_path, school(row))

    assert details(roster, "column-unknown") == ["ext_mother", "…"]


def test_the_standard_name_wins_over_another_one(tmp_path: Path) -> None:
    row = {"grade": "06"} | child(grades="05")

    roster = read(tmp_path, school(row))

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.grades == ["5"]
    assert details(roster, "column-unknown") == ["grade"]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = users(tmp_path, "sourcedId,givenName,familyName,sourcedId\n")

    with pytest.raises(ConfigError, match=r"^users.csv: two columns are sourcedId"):
        opened(path)


def test_a_column_that_every_person_needs_is_missed_once_as_the_cause(tmp_path: Path) -> None:
    rows = [child(f"s-{number}") for number in range(3)]
    for row in rows:
        del row["familyName"]

    roster = read(tmp_path, school(*rows))

    assert wrong(roster)[0].startswith("column-missing users.csv: familyName: a column that every")
    assert codes(roster) == {"column-missing": 1, "value-missing": 3}
    assert roster.count[:4] == (0, 0, 0, 3)


def test_a_file_that_is_another_than_its_name_says_is_not_read(tmp_path: Path) -> None:
    files = school(child()) | {"demographics.csv": "userId,born\ns-1,2010-04-01\n"}

    roster = read(tmp_path, files)

    assert "file-unusable" in codes(roster)
    assert details(roster, "file-unusable") == ["sourcedId"]
    assert list(records(roster)) == ["s-1"]


# -- layouts of users


def mapped(tmp_path: Path, text: str = MAP, **cells: str) -> Roster:
    path = folder(tmp_path / "roster", {"Students.csv": csv_text([CLEVER | cells])})
    return opened(path, layout=mapping(tmp_path / "map.toml", text))


def test_a_map_says_which_column_is_which_field(tmp_path: Path) -> None:
    roster = mapped(tmp_path)

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert (found.sourced_id, found.primary_org.sourced_id) == ("s-1", "school")
    assert (found.grades, found.status, found.enabled_user) == (["5"], "active", "true")
    assert str(found.demographics.birth_date) == "2010-04-02"  # type: ignore[union-attr]
    assert roster.format == "mapped files"
    assert codes(roster) == {"value-form": 1}


def test_a_value_map_knows_blank_cells(tmp_path: Path) -> None:
    (found,) = mapped(tmp_path, Status="").records()

    assert isinstance(found, Student)
    assert found.status == "inactive"


def test_a_value_map_makes_cells_blank(tmp_path: Path) -> None:
    text = MAP.replace("[students.dates]", '[students.values.email]\nNONE = ""\n[students.dates]')
    text = text.replace("[students.constants]", 'Mail = "email"\n[students.constants]')

    (found,) = mapped(tmp_path, text, Mail="None").records()

    assert isinstance(found, Student)
    assert found.email is UNSET


def test_the_dates_of_roles_have_a_form_of_their_own(tmp_path: Path) -> None:
    layout = mapping(
        tmp_path / "map.toml",
        '[users]\ntarget = "users"\n[roles]\ntarget = "roles"\n'
        '[roles.dates]\nbeginDate = "%m/%d/%Y"\n',
    )
    row = {name: cell for name, cell in child().items() if name not in ("role", "orgSourcedIds")}
    roles = [role("s-1", "aide", beginDate="4/2/2024")]
    files = {"users.csv": csv_text([row]), "roles.csv": csv_text(roles)}

    (found,) = opened(folder(tmp_path / "roster", files), layout=layout).records()

    assert isinstance(found, User)
    assert str(found.roles[0].begin_date) == "2024-04-02"


def test_a_lone_file_of_any_name_is_read_with_a_map_of_one_table(tmp_path: Path) -> None:
    layout = mapping(tmp_path / "map.toml", MAP)

    roster = opened(users(tmp_path, csv_text([CLEVER]), "export 7.csv"), layout=layout)

    assert list(records(roster)) == ["s-1"]
    assert next(iter(roster.sources.values())).name == "users"


def test_a_lone_file_is_read_with_the_table_of_its_name(tmp_path: Path) -> None:
    layout = mapping(tmp_path / "map.toml", MAP + '[schools]\ntarget = "orgs"\n')

    assert opened(users(tmp_path, csv_text([CLEVER]), "students.csv"), layout=layout).count.students


def test_a_lone_file_that_the_map_has_no_table_for_is_refused(tmp_path: Path) -> None:
    layout = mapping(tmp_path / "map.toml", MAP + '[schools]\ntarget = "orgs"\n')

    with pytest.raises(ConfigError, match=r"^pupils.csv: the map has no table of this name; it ha"):
        opened(users(tmp_path, csv_text([CLEVER]), "pupils.csv"), layout=layout)


def test_only_files_of_the_map_are_read(tmp_path: Path) -> None:
    layout = mapping(tmp_path / "map.toml", MAP)

    with pytest.raises(ConfigError, match=r"no file of people; expected students"):
        read(tmp_path, school(child()), layout=layout)


def test_a_map_without_columns_takes_the_names_of_oneroster(tmp_path: Path) -> None:
    layout = mapping(tmp_path / "map.toml", '[pupils]\ntarget = "users"\n')

    roster = opened(folder(tmp_path / "r", {"pupils.csv": csv_text([child()])}), layout=layout)

    assert list(records(roster)) == ["s-1"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "is not a layout"),
        ("a = " + "[" * 5000, "is not a layout: maximum recursion depth exceeded"),
        ('[a]\ntarget = "users"\n[a.dates]\nemail = "%d/%m/%Y"', "a.dates: 'email' is not one of "),
        ("a = 1", "is not a layout: Expected `object`, got `int` - at `$[...]`"),
        ("[a]", "is not a layout: Object missing required field `target`"),
        (
            '[a]\ntarget = "users"\nmore = 1',
            "is not a layout: Object contains unknown field `",
        ),
        ('[a]\ntarget = "classes"', "a.target: must be one of users, orgs, roles, userprofiles"),
        ('[a]\ntarget = "orgs"\n[a.columns]\nx = "email"', "a: 'email' is not a field of orgs"),
        ('[a]\ntarget = "orgs"\n[a.constants]\nx = "y"', "a: 'x' is not a field of orgs"),
        ('[a]\ntarget = "orgs"\n[a.values.x]\nx = "y"', "a: 'x' is not a field of orgs"),
        ('[a]\ntarget = "orgs"\n[a.dates]\nx = "y"', "a: 'x' is not a field of orgs"),
        (
            '[a]\ntarget = "users"\n[a.dates]\nbirthDate = "%d/%m/%y"',
            "a.dates.birthDate: must contain",
        ),
        (
            '[a]\ntarget = "users"\n[A]\ntarget = "users"',
            "two tables have one name: A; remove one of both",
        ),
        (
            '[a]\ntarget = "users"\n[a.columns]\nx = "email"\nX = "phone"',
            "a.columns: two columns have one name: X; remove one of both",
        ),
        (
            '[a]\ntarget = "users"\n[a.columns]\nx = "email"\n[a.values.status]\nLeft = "inactive"',
            "a.values: no column gives 'status'; name its column below columns",
        ),
        (
            '[a]\ntarget = "users"\n[a.columns]\nx = "email"\n[a.dates]\nbirthDate = "%d.%m.%Y"',
            "a.dates: no column gives 'birthDate'; name its column below columns",
        ),
        (
            '[a]\ntarget = "users"\n[a.columns]\nx = "role"\n[a.constants]\nrole = "student"',
            "a.constants: 'role' has a column, too; remove one of both",
        ),
        (
            '[a]\ntarget = "users"\n[a.constants]\nrole = "x"\n[a.values.role]\nx = "student"',
            "a.values: 'role' is a constant; write what it means as the constant",
        ),
    ],
)
def test_a_map_that_is_wrong_is_refused_with_the_place(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        mapped(tmp_path, text)

    assert str(caught.value).startswith(f"layout: {tmp_path / 'map.toml'}: {why}")


def test_a_map_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff")
    path = users(tmp_path, csv_text([child()]))

    with pytest.raises(ConfigError, match=r"binary.toml: is not UTF-8"):
        opened(path, layout=binary)
    with pytest.raises(ConfigError, match=r"none.toml: No such file"):
        opened(path, layout=tmp_path / "none.toml")


# -- what the user says besides


@pytest.mark.parametrize("form", ["%d/%m", "%m/%Y", "%y-%m-%d", "day", "%d.%m.%Y%", "%Q", "", "%x"])
def test_a_date_format_that_loses_something_is_refused(tmp_path: Path, form: str) -> None:
    with pytest.raises(ConfigError, match=r"date_format: must contain %d, %m and %Y, for example"):
        opened(users(tmp_path, csv_text([child()])), date_format=form)


@pytest.mark.parametrize("option", ["org_map", "grades"])
def test_pairs_that_are_none_are_refused(tmp_path: Path, option: str) -> None:
    path = users(tmp_path, csv_text([child()]))
    no_pairs = mapping(tmp_path / "pairs.toml", "a.b = 1")

    with pytest.raises(ConfigError, match=r'pairs.toml: must be lines of the form "from" = "to"'):
        opened(path, **{option: no_pairs})
    with pytest.raises(ConfigError, match=r"none.toml: No such file or directory"):
        opened(path, **{option: tmp_path / "none.toml"})


def test_the_fingerprint_changes_with_whatever_changes_records(tmp_path: Path) -> None:
    path = users(tmp_path, csv_text([child()]))
    pairs = mapping(tmp_path / "pairs.toml", 'school = "org"')
    choices: list[dict[str, Any]] = [
        {},
        {"grades": "none"},
        {"grades": pairs},
        {"org_map": pairs},
        {"default_org": "org"},
        {"relationship": "parent"},
        {"date_format": "%d.%m.%Y"},
        {"layout": mapping(tmp_path / "map.toml", '[a]\ntarget = "users"')},
    ]

    prints = [opened(path, **options).fingerprint for options in choices]

    assert len(set(prints)) == len(choices)
    assert prints == [opened(path, **options).fingerprint for options in choices]
    assert prints[0] == opened(path, strict=False, encoding="cp1252", mode="delta").fingerprint


# -- Microsoft School Data Sync

SDS_STUDENT = {
    "SIS ID": "13001",
    "School SIS ID": "10001",
    "First Name": "Canary",
    "Last Name": "Canary",
    "Username": "canary",
    "Password": "CanaryPassword",
    "State ID": "WA",
    "Secondary Email": "",
    "Student Number": "7",
    "Middle Name": "",
    "Grade": "9",
    "Status": "Active",
    "Birthdate": "4/2/2000",
}
SDS_21 = {
    "users.csv": csv_text(
        [
            {"sourcedId": own, "username": f"canary{own}", "givenName": "Canary",
             "familyName": "Canary", "password": "CanaryPassword"}
            for own in ("1", "2", "3")
        ]
    ),
    "orgs.csv": csv_text([org()]),
    "roles.csv": csv_text(
        [
            {"userSourcedId": own, "orgSourcedId": "school", "role": name, "sessionSourcedId": "",
             "grade": grade, "isPrimary": primary, "roleStartDate": "", "roleEndDate": ""}
            for own, name, grade, primary in (
                ("1", "student", "09", "TRUE"),
                ("2", "faculty", "", "true"),
                ("2", "guardian", "", ""),
                ("3", "guardian", "", "1"),
            )
        ]
    ),
    "relationships.csv": csv_text(
        [
            {"userSourcedId": "1", "relationshipUserSourcedId": "2", "relationshipRole": "aunt"},
            {"userSourcedId": "1", "relationshipUserSourcedId": "3", "relationshipRole": ""},
            {"userSourcedId": "1", "relationshipUserSourcedId": "9", "relationshipRole": "x"},
        ]
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "kinds"),
    [
        (["", ""], ["primary", "primary"]),
        (["true", ""], ["primary", "secondary"]),
        (["false", ""], ["primary", "secondary"]),
        (["false", "false"], ["secondary", "secondary"]),
        ([None, None], ["primary", "primary"]),
    ],
)
def test_a_role_that_is_not_said_to_be_secondary_is_primary_unless_another_is(
    tmp_path: Path, cells: list[str | None], kinds: list[str]
) -> None:
    rows = [
        {"userSourcedId": "2", "orgSourcedId": own, "role": "faculty"}
        | ({} if cell is None else {"isPrimary": cell})
        for own, cell in zip(("school", "other"), cells, strict=True)
    ]

    roster = opened(folder(tmp_path / "sds", SDS_21 | {"roles.csv": csv_text(rows)}))

    roles = getattr(records(roster)["2"], "roles", [])
    assert [each.role_type for each in roles] == kinds


def test_school_data_sync_1_is_known_by_its_headers(tmp_path: Path) -> None:
    teacher = {name: SDS_STUDENT[name] for name in list(SDS_STUDENT)[:6]} | {"SIS ID": "14001"}
    files = {
        "Student.csv": csv_text([SDS_STUDENT]),
        "Teacher.csv": csv_text([teacher]),
        "School.csv": csv_text([{"SIS ID": "10001", "Name": "x"}]),
    }

    roster = opened(folder(tmp_path / "sds", files))

    assert roster.format == "School Data Sync v1"
    assert (roster.count[:4], wrong(roster)) == ((1, 1, 0, 0), [])
    found = records(roster)["13001"]
    assert isinstance(found, Student)
    assert str(found.demographics.birth_date) == "2000-04-02"  # type: ignore[union-attr]
    assert (found.grades, found.identifier) == (["9"], "7")


def test_a_lone_file_of_school_data_sync_1_is_read(tmp_path: Path) -> None:
    roster = opened(users(tmp_path, csv_text([SDS_STUDENT]), "Student.csv"))

    assert list(records(roster)) == ["13001"]


def test_school_data_sync_2_1_has_roles_grades_and_relations_of_its_own(tmp_path: Path) -> None:
    roster = opened(folder(tmp_path / "sds", SDS_21))

    found = records(roster)
    assert roster.format == "School Data Sync v2"
    assert list(found) == ["1", "2", "3", "1+2", "1+3"]
    assert isinstance(student := found["1"], Student)
    assert student.grades == ["9"]
    links = {name: getattr(each, "relationship_type", "") for name, each in found.items()}
    assert (links["1+2"], links["1+3"]) == ("aunt", "guardian")
    roles = getattr(found["2"], "roles", [])
    assert [(each.role_type, each.role) for each in roles] == [
        ("primary", "teacher"),
        ("secondary", "guardian"),
    ]
    assert wrong(roster) == [
        "agent-unknown relationships.csv:4: agentSourcedIds: an agent is not in users.csv (9)"
    ]


def test_relations_without_a_role_in_the_file_keep_the_agents_own(tmp_path: Path) -> None:
    files = SDS_21 | {"relationships.csv": "userSourcedId,relationshipUserSourcedId\n3,1\n"}

    roster = opened(folder(tmp_path / "sds", files))

    assert getattr(records(roster)["1+3"], "relationship_type", "") == "guardian"


def test_school_data_sync_2_1_reads_birth_dates_by_the_users_id(tmp_path: Path) -> None:
    births = "userSourcedId,birthDate\n1,2010-04-01\n"

    roster = opened(folder(tmp_path / "sds", SDS_21 | {"demographics.csv": births}))

    assert isinstance(found := records(roster)["1"], Student)
    assert str(found.demographics.birth_date) == "2010-04-01"  # type: ignore[union-attr]


def test_a_1_2_set_is_not_taken_for_school_data_sync(tmp_path: Path) -> None:
    row = {name: cell for name, cell in child().items() if name not in ("role", "orgSourcedIds")}

    roster = read(tmp_path, school(row, version="1.2", roles=[role("s-1")]))

    assert roster.format == "OneRoster 1.2"
