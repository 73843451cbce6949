import datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from tests.support.rosters import (
    adult,
    child,
    codes,
    mapping,
    org,
    person,
    read,
    records,
    role,
    school,
    wrong,
)
from timeback_async import Student, User
from timeback_async.models import Demographics, Role
from timeback_async.sync._reading.gaps import Gaps

DISTRICT = [
    org("district", "district"),
    org("school"),
    org("other", "school"),
    org("room", "class"),
]


def student_of(path: Path, *people: Any, own: str = "s-1", **options: Any) -> Student:
    found = records(read(path, school(*people), **options))[own]
    assert isinstance(found, Student)
    return found


def modern(own: str = "s-1", **cells: str) -> dict[str, str]:
    """Return a row of a 1.2 users.csv: roles and orgs are elsewhere."""
    row = child(own, **cells)
    return {name: cell for name, cell in row.items() if name not in ("role", "orgSourcedIds")}


def roles_of(found: object) -> list[tuple[str, str, str]]:
    assert isinstance(found, User)
    return [(each.role_type, each.role, each.org.sourced_id) for each in found.roles]


# -- fields


def test_every_field_of_a_row_arrives(tmp_path: Path) -> None:
    row = child(
        middleName="Canary M",
        identifier="canary-7",
        sms="CanarySms",
        phone="CanaryPhone",
        status="inactive",
        enabledUser="false",
    ) | {
        "userMasterIdentifier": "canary-master",
        "preferredGivenName": "CanaryG",
        "preferredMiddleName": "CanaryM",
        "preferredFamilyName": "CanaryF",
        "pronouns": "canary/canary",
    }

    found = student_of(tmp_path, row)

    assert found == Student(
        sourced_id="s-1",
        username="canary-s-1",
        given_name="Canarys-1",
        family_name="Canary",
        primary_org=found.primary_org,
        grades=["5"],
        status="inactive",
        enabled_user="false",
        email="s-1@canary.example",
        middle_name="Canary M",
        identifier="canary-7",
        sms="CanarySms",
        phone="CanaryPhone",
        user_master_identifier="canary-master",
        preferred_first_name="CanaryG",
        preferred_middle_name="CanaryM",
        preferred_last_name="CanaryF",
        pronouns="canary/canary",
    )
    assert found.primary_org.sourced_id == "school"


def test_a_blank_cell_is_no_value_and_a_password_is_never_read(tmp_path: Path) -> None:
    found = records(read(tmp_path, school(adult(email=" ", username="", grades=""))))["u-1"]

    assert isinstance(found, User)
    assert found.email is found.username is found.grades is found.demographics is UNSET
    assert "CanaryPassword" not in str(found.__struct_fields__)


@pytest.mark.parametrize("field", ["givenName", "familyName", "enabledUser"])
def test_a_required_value_that_is_blank_leaves_the_person_out(tmp_path: Path, field: str) -> None:
    roster = read(tmp_path, school(child("s-1", **{field: ""}), child("s-2")))

    assert list(records(roster)) == ["s-2"]
    assert wrong(roster) == [f"value-missing users.csv:2: {field}: a required value is blank"]


@pytest.mark.parametrize("cells", [{"username": ""}, {"username": "NULL"}])
def test_a_student_without_a_username_is_sent_without_one(
    tmp_path: Path, cells: dict[str, str]
) -> None:
    roster = read(tmp_path, school(child("s-1", **cells), child("s-2")))

    found = records(roster)["s-1"]
    assert isinstance(found, Student)
    assert found.username is None
    assert codes(roster)["username-none"] == 1
    assert wrong(roster) == []


def test_an_org_of_the_map_that_cannot_be_sent_leaves_the_person_out(tmp_path: Path) -> None:
    roster = read(tmp_path, school(child(orgSourcedIds="S-1")), org_map={"S-1": ".."})

    assert roster.count[:4] == (0, 0, 0, 1)
    assert wrong(roster)[0].startswith("value-invalid users.csv:2: orgSourcedIds: ")


def test_a_person_without_an_id_is_left_out(tmp_path: Path) -> None:
    roster = read(tmp_path, school(child(""), child("s-2")))

    assert codes(roster) == {"id-missing": 1}
    assert (roster.count.students, roster.count.left_out) == (1, 1)
    assert roster.sources["users.csv"].unreadable == 1


@pytest.mark.parametrize("own", ["..", "a/../b", "x" * 256])
def test_an_id_that_cannot_be_sent_leaves_the_person_out(tmp_path: Path, own: str) -> None:
    roster = read(tmp_path, school(child(own)))

    assert list(codes(roster)) == ["id-invalid"]
    assert wrong(roster)[0].endswith("as a path segment")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            {"enabledUser": "maybe"},
            "value-invalid users.csv:2: enabledUser: a value is not valid (must be true or false)",
        ),
        (
            {"status": "gone"},
            (
                "value-invalid users.csv:2: status: a value is not valid "
                "(must be one of active, inactive, tobedeleted)"
            ),
        ),
        (
            {"orgSourcedIds": ".."},
            "org-unreadable users.csv:2: orgSourcedIds: ",
        ),
    ],
)
def test_a_value_that_is_not_valid_leaves_the_person_out(
    tmp_path: Path, cells: dict[str, str], message: str
) -> None:
    files = school(child(**cells), orgs=[org(), org("..")])

    roster = read(tmp_path, files)

    assert roster.count[:4] == (0, 0, 0, 1)
    assert [text for text in wrong(roster) if text.startswith(message)]


@pytest.mark.parametrize(
    ("cells", "is_enabled", "status"),
    [
        ({"enabledUser": "TRUE"}, "true", "active"),
        ({"enabledUser": "no"}, "false", "active"),
        ({"status": "toBeDeleted"}, "true", "tobedeleted"),
    ],
)
def test_another_form_of_a_value_is_understood_and_noted(
    tmp_path: Path, cells: dict[str, str], is_enabled: str, status: str
) -> None:
    roster = read(tmp_path, school(child(**cells)))

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert (found.enabled_user, found.status) == (is_enabled, status)
    assert codes(roster) == {"value-form": 1}


def test_a_status_of_1_0_is_sent_and_noted(tmp_path: Path) -> None:
    roster = read(tmp_path, school(child(status="inactive")))

    assert codes(roster) == {"status-inactive": 1}
    assert student_of(tmp_path, child(status="inactive")).status == "inactive"


# -- birth dates


def test_a_birth_date_comes_from_demographics(tmp_path: Path) -> None:
    births = [{"sourcedId": "s-1", "birthDate": "2010-04-01"}, {"sourcedId": "s-2", "sex": "male"}]

    roster = read(tmp_path, school(child("s-1"), child("s-2"), demographics=births))

    first, second = roster.records()
    assert isinstance(first, Student)
    assert isinstance(second, Student)
    assert first.demographics
    assert first.demographics.birth_date == datetime.date(2010, 4, 1)
    assert second.demographics is UNSET


def test_a_birth_date_that_is_to_be_deleted_is_not_read(tmp_path: Path) -> None:
    births = [{"sourcedId": "s-1", "status": "tobedeleted", "birthDate": "2010-04-01"}]

    roster = read(tmp_path, school(child(), demographics=births))

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.demographics is UNSET
    assert codes(roster) == {}


@pytest.mark.parametrize(
    ("text", "form", "code"),
    [
        ("4/2/2010", None, "date-ambiguous"),
        ("4/2/2010", "%d/%m/%Y", "value-form"),
        ("31/31/2010", None, "value-left-out"),
        ("Canary", None, "value-left-out"),
        ("2999-01-01", None, "value-left-out"),
        ("1850-01-01", None, "value-left-out"),
        ("0000-00-00", None, "value-none"),
    ],
)
def test_a_birth_date_in_another_form_is_read_only_in_one_way(
    tmp_path: Path, text: str, form: str | None, code: str
) -> None:
    births = [{"sourcedId": "s-1", "birthDate": text}]

    roster = read(tmp_path, school(child(), demographics=births), date_format=form)

    assert codes(roster) == {code: 1}
    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.demographics == (Demographics(datetime.date(2010, 2, 4)) if form else UNSET)
    assert "Canary" not in str(wrong(roster))


def test_a_birth_date_that_cannot_be_read_stays_as_timeback_has_it(tmp_path: Path) -> None:
    births = [
        {"sourcedId": "s-1", "birthDate": "40285"},
        {"sourcedId": "s-2", "birthDate": "0000-00-00"},
        {"sourcedId": "s-3", "birthDate": ""},
    ]
    people = [child(f"s-{n}") for n in (1, 2, 3)]

    roster = read(tmp_path, school(*people, demographics=births))

    gaps = [Gaps.from_json(gaps).birth for *_, gaps in roster.database.people()]
    assert gaps == [True, False, False]


@pytest.mark.parametrize("form", [None, "%m/%d/%Y"])
def test_a_date_that_cannot_be_read_names_the_form_that_was_tried(
    tmp_path: Path, form: str | None
) -> None:
    births = [{"sourcedId": "s-1", "birthDate": "Canary"}]

    roster = read(tmp_path, school(child(), demographics=births), date_format=form)

    (said,) = wrong(roster)
    assert said.endswith(f"(is not a date; tried {form or 'yyyy-mm-dd'})")


def test_rows_that_say_different_birth_dates_say_none(tmp_path: Path) -> None:
    births = [
        {"sourcedId": own, "birthDate": text}
        for own, text in [
            ("s-1", "2010-04-01"),
            ("s-1", "2011-04-01"),
            *[("s-2", "2010-04-01")] * 2,
        ]
    ]

    roster = read(tmp_path, school(child("s-1"), child("s-2"), demographics=births))

    assert list(records(roster)) == ["s-1", "s-2"]
    assert wrong(roster) == [
        (
            "value-left-out users.csv:2: birthDate: a value cannot be read, so the person was sent "
            "without it (is lost, or several rows have different ones)"
        ),
    ]


def test_profiles_that_say_different_usernames_leave_the_person_out(tmp_path: Path) -> None:
    profiles = [{"userSourcedId": "s-1", "username": name} for name in ("canary1", "canary2")]
    files = school(
        modern("s-1", username=""), version="1.2", roles=[role("s-1")], userProfiles=profiles
    )

    roster = read(tmp_path, files)

    assert wrong(roster) == [
        (
            "value-invalid users.csv:2: username: "
            "a value is not valid (is lost, or several rows have different ones)"
        )
    ]


def test_a_1_2_role_that_is_not_known_leaves_the_person_out(tmp_path: Path) -> None:
    roster = read(tmp_path, school(modern(), version="1.2", roles=[role("s-1", "ext:coach")]))

    assert list(codes(roster)) == ["role-unknown"]
    assert roster.count[:4] == (0, 0, 0, 1)


def test_demographics_of_nobody_are_told(tmp_path: Path) -> None:
    births = [{"sourcedId": "s-9", "birthDate": "2010-04-01"}]

    roster = read(tmp_path, school(child(), demographics=births))

    assert wrong(roster) == [
        (
            "demographics-alone demographics.csv:2: "
            "demographics of a person who is not in users.csv (s-9)"
        ),
    ]


# -- grades


@pytest.mark.parametrize(
    ("cell", "grades"),
    [
        ("KG", ["K"]),
        ("PK", ["PK"]),
        ("05", ["5"]),
        ("5", ["5"]),
        ("09,10", ["9", "10"]),
        ('["11", "12"]', ["11", "12"]),
        ("", []),
    ],
)
def test_grades_become_timebacks(tmp_path: Path, cell: str, grades: list[str]) -> None:
    assert student_of(tmp_path, child(grades=cell)).grades == grades


@pytest.mark.parametrize(
    ("cell", "grades"),
    [
        ("kg", ["K"]),
        ("Kg", ["K"]),
        ("k", ["K"]),
        ("pk", ["PK"]),
        ("Kindergarten", ["K"]),
        ("prekindergarten", ["PK"]),
        ("9.0", ["9"]),
        ("09.00", ["9"]),
        ("12.", ["12"]),
        ("009", ["9"]),
        (" 9 ,  10.0", ["9", "10"]),
    ],
)
def test_a_grade_in_another_form_of_its_code_is_read_with_a_note(
    tmp_path: Path, cell: str, grades: list[str]
) -> None:
    roster = read(tmp_path, school(child(grades=cell)))

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.grades == grades
    assert codes(roster) == {"value-form": 1}


@pytest.mark.parametrize(
    "cell", ["13", "13.0", "0", "00", "-1", "9.5", "9-12", "Grade 9", "9th", "UG", "TK", "Canary"]
)
def test_a_grade_without_a_counterpart_is_sent_as_it_is_with_a_warning(
    tmp_path: Path, cell: str
) -> None:
    roster = read(tmp_path, school(child(grades=cell)))

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.grades == [cell]
    assert wrong(roster) == [
        (
            "grade-unmapped users.csv:2: grades: "
            "a grade is not one that TimeBack is known to use, and is sent as it is"
        )
    ]


def test_grades_stay_as_they_are_when_told(tmp_path: Path) -> None:
    assert student_of(tmp_path, child(grades="05,Canary"), grades="none").grades == ["05", "Canary"]


def test_a_grade_map_of_the_users_own_is_the_only_one(tmp_path: Path) -> None:
    pairs = mapping(tmp_path / "grades.toml", '"Y9" = "9"\n"none" = ""')

    found = student_of(tmp_path, child(grades="Y9,05,kg,none"), grades=pairs)

    assert found.grades == ["9", "05", "kg", ""]


# -- roles


@pytest.mark.parametrize(
    ("text", "name"), [("parent", "parent"), ("Teacher", "teacher"), ("PRINCIPAL", "principal")]
)
def test_a_1_1_role_is_one_of_timebacks_in_any_case(tmp_path: Path, text: str, name: str) -> None:
    roster = read(tmp_path, school(adult(role=text)))

    assert roles_of(records(roster)["u-1"]) == [("primary", name, "school")]
    assert codes(roster) == ({} if text == name else {"value-form": 1})


@pytest.mark.parametrize(
    ("orgs", "name"),
    [("district", "districtAdministrator"), ("school", "siteAdministrator")],
)
def test_an_administrator_is_one_of_the_district_or_of_the_site(
    tmp_path: Path, orgs: str, name: str
) -> None:
    files = school(adult(role="administrator", orgSourcedIds=orgs), orgs=DISTRICT)

    roster = read(tmp_path, files)

    assert roles_of(records(roster)["u-1"]) == [("primary", name, orgs)]
    assert codes(roster) == {"role-administrator": 1}


def test_an_administrator_of_an_org_that_is_not_known_is_one_of_the_site(tmp_path: Path) -> None:
    roster = read(tmp_path, school(adult(role="administrator"), orgs=[]))

    assert roles_of(records(roster)["u-1"]) == [("primary", "siteAdministrator", "school")]


@pytest.mark.parametrize("text", ["headmaster", "ext:coach", "Canary"])
def test_a_role_that_timeback_does_not_know_leaves_the_person_out(
    tmp_path: Path, text: str
) -> None:
    roster = read(tmp_path, school(adult(role=text)))

    assert roster.count[:4] == (0, 0, 0, 1)
    assert wrong(roster) == [
        "role-unknown users.csv:2: role: the role is not one that TimeBack knows"
    ]


def test_a_person_without_a_role_is_left_out(tmp_path: Path) -> None:
    roster = read(tmp_path, school(adult(role="")))

    assert wrong(roster) == ["role-missing users.csv:2: role: the person has no role"]


def test_a_1_2_user_has_the_roles_of_roles_csv_primary_and_schools_first(tmp_path: Path) -> None:
    rows = [
        role("u-1", "guardian", "secondary"),
        role("u-1", "teacher", orgSourcedId="district"),
        role("u-1", "aide", "Primary", userProfileSourcedId="urn:p", beginDate="2024-08-01",
             endDate="21/6/2025"),
    ]  # fmt: skip
    files = school(modern("u-1"), version="1.2", roles=rows, orgs=DISTRICT)

    roster = read(tmp_path, files)

    found = records(roster)["u-1"]
    assert roles_of(found) == [
        ("primary", "aide", "school"),
        ("primary", "teacher", "district"),
        ("secondary", "guardian", "school"),
    ]
    assert isinstance(found, User)
    first: Role = found.roles[0]
    assert (first.user_profile, str(first.begin_date), str(first.end_date)) == (
        "urn:p",
        "2024-08-01",
        "2025-06-21",
    )
    assert wrong(roster) == []


def test_roles_that_are_to_be_deleted_do_not_count(tmp_path: Path) -> None:
    rows = [role("s-1", status="tobedeleted"), role("s-1", "parent")]

    roster = read(tmp_path, school(modern(), version="1.2", roles=rows))

    assert roles_of(records(roster)["s-1"]) == [("primary", "parent", "school")]


def test_a_student_with_other_roles_is_sent_as_a_student_with_a_warning(tmp_path: Path) -> None:
    rows = [role("s-1", "aide", "secondary"), role("s-1")]

    roster = read(tmp_path, school(modern(), version="1.2", roles=rows))

    assert roster.count.students == 1
    assert codes(roster) == {"role-left-out": 1}


def test_who_is_a_student_only_besides_is_none(tmp_path: Path) -> None:
    rows = [role("s-1", "aide"), role("s-1", "student", "secondary")]

    roster = read(tmp_path, school(modern(), version="1.2", roles=rows))

    assert roster.count[:4] == (0, 1, 0, 0)


def test_a_1_2_user_without_roles_is_left_out_and_roles_of_nobody_are_told(tmp_path: Path) -> None:
    roster = read(tmp_path, school(modern(), version="1.2", roles=[role("s-9")]))

    assert wrong(roster) == [
        "role-missing users.csv:2: role: the person has no role",
        "roles-alone roles.csv:2: a role of a person who is not in users.csv (s-9)",
    ]


def test_a_role_that_is_not_valid_leaves_the_person_out(tmp_path: Path) -> None:
    roles = [role("s-1", kind="main")]

    roster = read(tmp_path, school(modern(), version="1.2", roles=roles))

    assert wrong(roster) == [
        "value-invalid users.csv:2: roleType: a value is not valid (must be primary or secondary)"
    ]
    assert roster.count[:4] == (0, 0, 0, 1)


def test_a_1_2_username_may_stand_in_the_profile(tmp_path: Path) -> None:
    profiles = [
        {"sourcedId": "p-1", "userSourcedId": "s-1", "profileType": "x", "vendorId": "v",
         "credentialType": "x", "username": "canary-profile", "password": "CanaryPassword"},
        {"sourcedId": "p-2", "userSourcedId": "s-2", "username": "canary-2"},
        {"sourcedId": "p-3", "userSourcedId": "s-1", "username": ""},
    ]  # fmt: skip
    people = modern("s-1", username=""), modern("s-2")
    files = school(*people, version="1.2", roles=[role("s-1"), role("s-2")], userProfiles=profiles)

    roster = read(tmp_path, files)

    names = [each.username for each in roster.records() if isinstance(each, Student)]
    assert names == ["canary-profile", "canary-s-2"]


# -- orgs


@pytest.mark.parametrize(
    ("orgs", "primary"),
    [
        ("school", "school"),
        ("district,other,school", "other"),
        ("gone,district", "district"),
        ("gone,room", "room"),
        ("gone,lost", "gone"),
    ],
)
def test_the_primary_org_is_a_school_else_one_that_is_known_else_the_first(
    tmp_path: Path, orgs: str, primary: str
) -> None:
    roster = read(tmp_path, school(child(orgSourcedIds=orgs), orgs=DISTRICT))

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.primary_org.sourced_id == primary
    unknown = sum(name in orgs for name in ("gone", "lost"))
    uncertain = (
        {"org-uncertain": 1} if "school" not in (orgs, primary) and primary != "other" else {}
    )
    assert codes(roster) == ({"org-unknown": unknown} if unknown else {}) | uncertain


def test_a_primary_org_that_is_named_wins(tmp_path: Path) -> None:
    row = modern() | {"primaryOrgSourcedId": "district"}
    files = school(row, version="1.2", roles=[role("s-1")], orgs=DISTRICT)

    (found,) = read(tmp_path, files).records()

    assert isinstance(found, Student)
    assert found.primary_org.sourced_id == "district"


@pytest.mark.parametrize(
    ("cells", "options", "primary", "code"),
    [
        ({}, {}, "T-1", ""),
        ({"orgSourcedIds": "other"}, {}, None, "org-unmapped"),
        ({"orgSourcedIds": "other"}, {"default_org": "T-9"}, "T-9", ""),
        ({"orgSourcedIds": ""}, {"default_org": "T-9"}, "T-9", ""),
        ({"orgSourcedIds": ""}, {}, None, "org-missing"),
    ],
)
def test_orgs_become_timebacks(
    tmp_path: Path, cells: dict[str, str], options: dict[str, str], primary: str | None, code: str
) -> None:
    pairs = mapping(tmp_path / "orgs.toml", 'school = "T-1"')

    roster = read(tmp_path, school(child(**cells)), org_map=pairs, **options)

    found = [each.primary_org.sourced_id for each in roster.records() if isinstance(each, Student)]
    assert found == ([primary] if primary else [])
    assert list(codes(roster)) == ([code] if code else [])


def test_a_primary_org_that_is_not_in_the_map_leaves_the_person_out(tmp_path: Path) -> None:
    pairs = mapping(tmp_path / "orgs.toml", 'school = "T-1"')
    row = modern() | {"primaryOrgSourcedId": "other"}

    roster = read(tmp_path, school(row, version="1.2", roles=[role("s-1")]), org_map=pairs)

    assert wrong(roster) == [
        (
            "org-unmapped users.csv:2: primaryOrgSourcedId: "
            "the org (a school) is not in the org map, the list of what TimeBack calls each (other)"
        )
    ]


def test_thousands_of_one_role_in_one_org_are_all_told_of_what_is_wrong_with_it(
    tmp_path: Path,
) -> None:
    people = [person(f"u-{number}", "Parent", orgSourcedIds="gone") for number in range(3)]

    roster = read(tmp_path, school(*people))

    assert codes(roster) == {"value-form": 3, "org-unknown": 3}


def test_a_finding_is_told_once_for_a_person(tmp_path: Path) -> None:
    row = child(orgSourcedIds="gone,gone", grades="Canary,Canary2")

    roster = read(tmp_path, school(row))

    assert codes(roster) == {"org-unknown": 1, "grade-unmapped": 1}


def test_who_has_a_student_among_several_primary_roles_is_a_student(tmp_path: Path) -> None:
    rows = [role("s-1", "aide"), role("s-1", "student")]

    roster = read(tmp_path, school(modern(), version="1.2", roles=rows))

    assert roster.count[:4] == (1, 0, 0, 0)


def test_a_user_keeps_the_grades_of_the_file(tmp_path: Path) -> None:
    found = records(read(tmp_path, school(adult("t-1", "teacher", grades="05,06"))))["t-1"]

    assert isinstance(found, User)
    assert found.grades == ["5", "6"]


@pytest.mark.parametrize(
    ("cells", "is_told"),
    [
        ({"email": "s-1@canary.example", "sms": "5550100@sms.example"}, False),
        ({"email": "", "phone": "555-0100"}, False),
        ({"email": "Canary"}, True),
        ({"email": "555-0100"}, True),
        ({"email": "", "identifier": "s-1@canary.example"}, True),
        ({"identifier": "s-1@canary.example"}, False),
        ({"email": "", "givenName": "s-1@canary.example"}, True),
    ],
)
def test_an_email_that_is_none_is_told(
    tmp_path: Path, cells: dict[str, str], is_told: bool
) -> None:
    roster = read(tmp_path, school(child(**{"sms": "", "phone": ""} | cells)))

    assert roster.count.students == 1
    assert codes(roster).get("row-doubtful", 0) == is_told


@pytest.mark.parametrize(
    ("cell", "email", "code"),
    [
        ("mailto:ada@canary.example", "ada@canary.example", "value-form"),
        ("Ada <ada@canary.example>", "ada@canary.example", "value-form"),
        ("ada@canary.example, b@canary.example", "ada@canary.example, b@canary.example",
         "email-doubtful"),
    ],
)  # fmt: skip
def test_an_email_is_taken_out_of_what_is_around_it(
    tmp_path: Path, cell: str, email: str, code: str
) -> None:
    roster = read(tmp_path, school(child(email=cell)))

    (found,) = roster.records()
    assert isinstance(found, Student)
    assert found.email == email
    assert codes(roster) == {code: 1}


@pytest.mark.parametrize("file", ["users.csv", "demographics.csv"])
@pytest.mark.parametrize("other", ["25/12/2010", "12/25/2010", "2010-12-25", "never"])
def test_dates_with_day_and_month_swapped_make_the_others_doubtful(
    tmp_path: Path, file: str, other: str
) -> None:
    births = {"s-1": "04/02/2010", "s-2": other}
    options: dict[str, Any] = {"date_format": "%m/%d/%Y"}
    if file == "users.csv":
        files = school(*[child(own, birthDate=text) for own, text in births.items()])
        text = '[users]\ntarget = "users"\ncolumns.birthDate = "birthDate"\n'
        options["layout"] = mapping(tmp_path / "map.toml", text)
    else:
        rows = [{"sourcedId": own, "birthDate": text} for own, text in births.items()]
        files = school(*map(child, births), demographics=rows)

    roster = read(tmp_path, files, **options)

    assert roster.count.students == 2
    told = [each.split(":")[0] for each in wrong(roster) if each.startswith("dates-swapped")]
    assert told == ([f"dates-swapped {file}"] if other == "25/12/2010" else [])


def test_a_birth_date_is_not_hidden_by_a_row_without_one(tmp_path: Path) -> None:
    births = [{"sourcedId": "s-1", "birthDate": text} for text in ("2010-04-01", "")]

    roster = read(tmp_path, school(child(), demographics=births))

    assert roster.count.students == 1
    assert wrong(roster) == []


@pytest.mark.parametrize("kind", ["district", "local", "state", "national"])
def test_an_administrator_of_anything_above_a_school_is_one_of_the_district(
    tmp_path: Path, kind: str
) -> None:
    roster = read(tmp_path, school(adult(role="administrator"), orgs=[org(kind=kind)]))

    assert roles_of(records(roster)["u-1"]) == [("primary", "districtAdministrator", "school")]


@pytest.mark.parametrize(
    ("cell", "orgs"),
    [
        ("o1,o2", ["o1", "o2"]),
        ("['o1', 'o2']", ["o1", "o2"]),
        ("o1;o2", ["o1", "o2"]),
        ('["o1"]', ["o1"]),
        ('="o1"', ["o1"]),
        ("\u200bo1", ["o1"]),
        ("School 1", ["School 1"]),
    ],
)
@pytest.mark.parametrize("has_orgs", [True, False])
def test_orgs_are_read_in_each_notation(
    tmp_path: Path, cell: str, orgs: list[str], has_orgs: bool
) -> None:
    known = [org(own) for own in ("o1", "o2", "School 1")]
    files = school(adult(role="teacher", orgSourcedIds=cell), orgs=known)
    if not has_orgs:
        del files["orgs.csv"]
        orgs = [] if " " in orgs[0] else orgs

    found = records(read(tmp_path, files)).get("u-1")

    roles = found.roles if isinstance(found, User) else []
    assert [each.org.sourced_id for each in roles] == orgs


@pytest.mark.parametrize(
    "cell",
    ["o1 o2", "o1 and o2", "<o1>", "[o1", "1;#o1", "a:1:{s:2:o1;}", "1.0E+11", "o1\ufffd", "o1:o2"],
)
def test_an_org_that_is_no_id_is_never_sent(tmp_path: Path, cell: str) -> None:
    cells = [
        school(child(orgSourcedIds=cell)),
        school(child(orgSourcedIds=f"school,{cell}")),
        school(child(primaryOrgSourcedId=cell)),
        school(modern(), version="1.2", roles=[role("s-1", orgSourcedId=cell)]),
    ]
    for number, files in enumerate(cells):
        for name, options in {"none": {}, "default": {"default_org": "d1"}}.items():
            roster = read(tmp_path / f"{number}{name}", files, **options)

            for found in roster.records():
                assert isinstance(found, Student)
                assert found.primary_org.sourced_id in ("d1", "school")
            assert roster.count.students == 0 or name == "default" or number == 2
            assert codes(roster).keys() & {"org-unreadable", "value-left-out", "id-damaged",
                                           "role-missing"}  # fmt: skip


@pytest.mark.parametrize("cell", ["[0]", "{O1}", "['o1','o9']", "o1;9"])
def test_a_list_in_another_notation_is_believed_where_its_orgs_are_known(
    tmp_path: Path, cell: str
) -> None:
    roster = read(tmp_path, school(child(orgSourcedIds=cell), orgs=[org("o1"), org("000")]))

    assert codes(roster)["org-unreadable"] == 1
    assert roster.count.students == 0


def test_several_known_orgs_are_no_unknown_one(tmp_path: Path) -> None:
    known = [org("o1"), org("o2")]
    people = [child("s-1", orgSourcedIds="o1/o2"), child("s-2", orgSourcedIds="o1/o9")]

    roster = read(tmp_path, school(*people, orgs=known))

    assert list(records(roster)) == ["s-2"]
    assert codes(roster) == {"org-unreadable": 1, "org-unknown": 1}


def test_an_org_that_is_nearly_a_known_one_is_not_sent(tmp_path: Path) -> None:
    known = [org("001"), org("000"), org("10"), org("Oak-1")]
    cells = ("1", "[1]", "0", "01", "10", "2", "OAK-1", "Oak-1")
    people = [child(f"s-{n}", orgSourcedIds=cell) for n, cell in enumerate(cells)]

    roster = read(tmp_path / "none", school(*people, orgs=known))
    other = read(tmp_path / "default", school(*people, orgs=known), default_org="10")

    assert list(records(roster)) == ["s-4", "s-5", "s-7"]
    assert codes(roster) == {
        "id-damaged": 4,
        "org-unreadable": 1,
        "value-form": 1,
        "org-unknown": 1,
    }
    assert other.count.students == 8
    assert codes(other)["value-left-out"] == 5


def test_a_primary_org_that_is_nearly_a_known_one_costs_nothing_else(tmp_path: Path) -> None:
    row = modern() | {"primaryOrgSourcedId": "SCHOOL"}

    roster = read(tmp_path, school(row, version="1.2", roles=[role("s-1")]))

    assert roster.count.students == 1
    assert codes(roster) == {"value-left-out": 1}


@pytest.mark.parametrize("cell", ["o" * 256, "..", "../o1", "o1/./o2", "o1/.."])
def test_an_org_that_no_address_can_hold_is_not_sent(tmp_path: Path, cell: str) -> None:
    row = modern() | {"primaryOrgSourcedId": cell}
    other = read(tmp_path / "1.2", school(row, version="1.2", roles=[role("s-1")]))
    assert other.count.students == 1

    roster = read(tmp_path / "1.1", school(child("s-1", orgSourcedIds=cell)))

    assert codes(roster) == {"org-unreadable": 1}
