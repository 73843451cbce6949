"""Parents and guardians who have no role of their own: a relationship says what they are."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.rosters import codes, csv_text, folder, mapping, opened, org, wrong
from timeback_async import AgentLink, User
from timeback_async.errors import ConfigError
from timeback_async.sync import Roster
from timeback_async.sync._reading.gaps import Gaps

Row = dict[str, str]


def user(own: str) -> Row:
    return {"sourcedId": own, "username": own, "givenName": "Canary", "familyName": "Canary"}


def holds(own: str, name: str, school: str = "school", primary: str = "true") -> Row:
    return {"userSourcedId": own, "orgSourcedId": school, "role": name, "isPrimary": primary}


def relation(student: str, other: str, name: str = "guardian") -> Row:
    return {
        "userSourcedId": student,
        "relationshipUserSourcedId": other,
        "relationshipRole": name,
    }


def two_point_one(
    path: Path,
    people: Iterable[str],
    roles: Iterable[Row],
    relations: Iterable[Row],
    **options: Any,
) -> Roster:
    files = {
        "orgs.csv": csv_text([org("school"), org("other")]),
        "users.csv": csv_text([user(own) for own in people]),
        "roles.csv": csv_text(list(roles)),
        "relationships.csv": csv_text(list(relations)),
    }
    return opened(folder(path / "sds", files), **options)


def roles_of(roster: Roster) -> dict[str, list[tuple[str, str, str]]]:
    return {
        each.sourced_id: [(role.role_type, role.role, role.org.sourced_id) for role in each.roles]
        for each in roster.records()
        if isinstance(each, User)
    }


def links_of(roster: Roster) -> dict[str, str]:
    return {
        f"{each.student_id}+{each.user_id}": each.relationship_type
        for each in roster.records()
        if isinstance(each, AgentLink)
    }


PUPILS = [holds("s-1", "student"), holds("s-2", "student", "other")]


@pytest.mark.parametrize("name", ["parent", "guardian", "relative", "Guardian", "PARENT"])
@pytest.mark.parametrize("people", [["s-1", "g-1"], ["g-1", "s-1"]])
def test_a_relative_without_a_role_is_what_the_relationship_says(
    tmp_path: Path, name: str, people: list[str]
) -> None:
    roster = two_point_one(tmp_path, people, PUPILS[:1], [relation("s-1", "g-1", name)])

    assert roles_of(roster) == {"g-1": [("primary", name.lower(), "school")]}
    assert links_of(roster) == {"s-1+g-1": name.lower()}
    assert (codes(roster), roster.count[:4]) == ({"role-related": 1}, (1, 1, 1, 0))


def test_a_relationship_that_names_the_relative_first_is_the_same(tmp_path: Path) -> None:
    roster = two_point_one(tmp_path, ["s-1", "g-1"], PUPILS[:1], [relation("g-1", "s-1")])

    assert roles_of(roster) == {"g-1": [("primary", "guardian", "school")]}
    assert links_of(roster) == {"s-1+g-1": "guardian"}


def test_a_relative_of_two_pupils_belongs_to_both_schools_by_the_closest_relation(
    tmp_path: Path,
) -> None:
    relations = [relation("s-1", "g-1", "relative"), relation("s-2", "g-1", "parent")]

    roster = two_point_one(tmp_path, ["s-1", "s-2", "g-1"], PUPILS, relations)

    assert roles_of(roster) == {
        "g-1": [("primary", "parent", "other"), ("primary", "parent", "school")]
    }
    assert links_of(roster) == {"s-1+g-1": "relative", "s-2+g-1": "parent"}


@pytest.mark.parametrize("wrong_org", ["o" * 256, "<school>"])
def test_the_org_of_one_child_that_cannot_be_read_costs_no_relative_of_another(
    tmp_path: Path, wrong_org: str
) -> None:
    roles = [PUPILS[0], holds("s-2", "student", wrong_org)]
    relations = [relation("s-1", "g-1"), relation("s-2", "g-1"), relation("s-2", "g-2")]

    roster = two_point_one(tmp_path, ["s-1", "s-2", "g-1", "g-2"], roles, relations)

    assert roles_of(roster) == {"g-1": [("primary", "guardian", "school")]}
    assert links_of(roster) == {"s-1+g-1": "guardian"}


def test_the_school_of_a_pupil_is_that_of_the_primary_role(tmp_path: Path) -> None:
    roles = [holds("s-1", "student", "other", "false"), holds("s-1", "student")]

    roster = two_point_one(tmp_path, ["s-1", "g-1"], roles, [relation("s-1", "g-1")])

    assert roles_of(roster) == {"g-1": [("primary", "guardian", "school")]}


def test_the_default_org_comes_before_the_pupils_school(tmp_path: Path) -> None:
    roster = two_point_one(
        tmp_path, ["s-1", "g-1"], PUPILS[:1], [relation("s-1", "g-1")], default_org="theirs"
    )

    assert roles_of(roster) == {"g-1": [("primary", "guardian", "theirs")]}


def test_an_org_map_holds_for_relatives_too(tmp_path: Path) -> None:
    roster = two_point_one(
        tmp_path, ["s-1", "g-1"], PUPILS[:1], [relation("s-1", "g-1")], org_map={"school": "T-1"}
    )

    assert roles_of(roster) == {"g-1": [("primary", "guardian", "T-1")]}


def test_a_teacher_who_is_a_parent_stays_a_teacher_and_gets_the_link(tmp_path: Path) -> None:
    roles = [*PUPILS[:1], holds("t-1", "teacher")]

    roster = two_point_one(tmp_path, ["s-1", "t-1"], roles, [relation("s-1", "t-1", "parent")])

    assert roles_of(roster) == {"t-1": [("primary", "teacher", "school")]}
    assert links_of(roster) == {"s-1+t-1": "parent"}
    assert codes(roster) == {}


@pytest.mark.parametrize("name", ["doctor", "aide", "child", "administrator", "other", ""])
def test_a_relation_that_is_no_role_makes_nobody(tmp_path: Path, name: str) -> None:
    roster = two_point_one(tmp_path, ["s-1", "g-1"], PUPILS[:1], [relation("s-1", "g-1", name)])

    assert (roles_of(roster), links_of(roster)) == ({}, {})
    assert codes(roster) == {"role-missing": 1, "agent-left-out": 1}


@pytest.mark.parametrize("name", ["", "other", "Other"])
def test_an_unsaid_relation_is_the_one_that_the_option_says(tmp_path: Path, name: str) -> None:
    relations = [relation("s-1", "g-1", name)]

    told = two_point_one(tmp_path, ["s-1", "g-1"], PUPILS[:1], relations, relationship="parent")
    vague = two_point_one(tmp_path, ["s-1", "g-1"], PUPILS[:1], relations, relationship="mentor")

    assert roles_of(told) == {"g-1": [("primary", "parent", "school")]}
    assert links_of(told) == {"s-1+g-1": name.lower() or "parent"}
    assert roles_of(vague) == {}


def test_the_option_does_not_change_a_relation_that_is_said(tmp_path: Path) -> None:
    relations = [relation("s-1", "g-1", "doctor"), relation("s-2", "g-2", "relative")]

    roster = two_point_one(
        tmp_path, ["s-1", "s-2", "g-1", "g-2"], PUPILS, relations, relationship="parent"
    )

    assert roles_of(roster) == {"g-2": [("primary", "relative", "other")]}


def test_nobody_is_a_guardian_without_a_relationship_to_a_student(tmp_path: Path) -> None:
    roles = [*PUPILS[:1], holds("t-1", "teacher")]
    relations = [
        relation("s-9", "g-1"),  # in no file
        relation("t-1", "g-2"),  # not a student
        relation("g-4", "g-3"),  # no role, either
    ]

    people = ["s-1", "t-1", "g-1", "g-2", "g-3", "g-4", "g-5"]
    roster = two_point_one(tmp_path, people, roles, relations)

    assert roles_of(roster) == {"t-1": [("primary", "teacher", "school")]}
    assert codes(roster)["role-missing"] == 5


def test_a_guardian_whose_role_may_be_unreadable_is_looked_up(tmp_path: Path) -> None:
    """The broken row may be the one that makes a teacher of the guardian."""
    files = {
        "orgs.csv": csv_text([org()]),
        "users.csv": csv_text([user("s-1"), user("g-1")]),
        "roles.csv": csv_text(PUPILS[:1]) + 'g-1,school,"teacher,true\n',
        "relationships.csv": csv_text([relation("s-1", "g-1")]),
    }

    roster = opened(folder(tmp_path, files))

    assert roles_of(roster) == {"g-1": [("primary", "guardian", "school")]}
    gaps = {own: Gaps.from_json(text) for own, *_, text in roster.database.people()}
    assert gaps["g-1"].roles


def test_many_relationships_are_all_read(tmp_path: Path) -> None:
    people = [f"s-{number}" for number in range(600)]
    roles = [holds(own, "student") for own in people]
    relations = [relation(own, f"g-{own}") for own in people]

    roster = two_point_one(tmp_path, [*people, *(f"g-{own}" for own in people)], roles, relations)

    assert roster.count[:4] == (600, 600, 600, 0)


@pytest.mark.parametrize("columns", ["userSourcedId,orgSourcedId,role", "isPrimary"])
def test_the_roles_of_school_data_sync_are_known_by_what_they_lack(
    tmp_path: Path, columns: str
) -> None:
    roles = [
        {name: cell for name, cell in row.items() if name in columns or columns == "isPrimary"}
        for row in PUPILS[:1]
    ]

    roster = two_point_one(tmp_path, ["s-1", "g-1"], roles, [relation("s-1", "g-1")])

    assert roster.format == "School Data Sync v2"
    assert links_of(roster) == {"s-1+g-1": "guardian"}


def test_a_map_may_have_relatives_in_a_file_with_roles(tmp_path: Path) -> None:
    """The order of people does not matter: who learns where is known beforehand."""
    layout = mapping(
        tmp_path / "map.toml",
        '[users]\ntarget = "users"\n[kin]\ntarget = "relationships"\n',
    )
    people = [
        user("g-1") | {"enabledUser": "true"},
        user("s-1") | {"enabledUser": "true", "role": "student", "orgSourcedIds": "school,other"},
        user("t-1") | {"enabledUser": "true", "role": "teacher"},
    ]
    files = {"users.csv": csv_text(people), "kin.csv": csv_text([relation("s-1", "g-1")])}

    roster = opened(folder(tmp_path / "roster", files), layout=layout, default_org=None)

    assert roles_of(roster) == {
        "g-1": [("primary", "guardian", "other"), ("primary", "guardian", "school")]
    }
    assert {text.split()[0] for text in wrong(roster)} == {"org-missing", "org-uncertain"}


# -- Microsoft's parent and guardian files


def pupil(own: str, school: str = "10") -> Row:
    return {"SIS ID": own, "School SIS ID": school, "First Name": "Canary", "Last Name": "Canary",
            "Username": own, "Grade": "9"}  # fmt: skip


def contact(own: str, email: str) -> Row:
    return {"Email": email, "First Name": "Canary", "Last Name": "Canary", "Phone": "1",
            "SIS ID": own}  # fmt: skip


def kin(student: str, email: str, name: str = "Parent") -> Row:
    return {"SIS ID": student, "Email": email, "Role": name}


def version_one(path: Path, contacts: list[Row], relations: list[Row], **options: Any) -> Roster:
    teacher = {name: cell for name, cell in pupil("t-1").items() if name != "Grade"}
    teacher["Secondary Email"] = "both@canary.example"
    files = {
        "User.csv": csv_text(contacts),
        "Guardianrelationship.csv": csv_text(relations),
        "School.csv": csv_text([{"SIS ID": "10", "Name": "x"}, {"SIS ID": "20", "Name": "x"}]),
        "Student.csv": csv_text([pupil("s-1"), pupil("s-2", "20")]),
        "Teacher.csv": csv_text([teacher]),
    }
    return opened(folder(path / "sds", files), **options)


def test_the_parent_files_of_school_data_sync_1_give_people_and_links(tmp_path: Path) -> None:
    contacts = [contact("p-1", "A@canary.example"), contact("p-2", "b@canary.example")]
    relations = [
        kin("s-1", "a@canary.example"),
        kin("s-2", "a@Canary.example", "Guardian"),
        kin("s-1", "b@canary.example", "Relative"),
    ]

    roster = version_one(tmp_path, contacts, relations)

    assert roster.format == "School Data Sync v1"
    assert roles_of(roster) == {
        "t-1": [("primary", "teacher", "10")],
        "p-1": [("primary", "parent", "10"), ("primary", "parent", "20")],
        "p-2": [("primary", "relative", "10")],
    }
    assert links_of(roster) == {"s-1+p-1": "parent", "s-2+p-1": "guardian", "s-1+p-2": "relative"}
    assert (codes(roster), roster.count[:4]) == ({"role-related": 2}, (2, 3, 3, 0))
    (first,) = [each for each in roster.records() if getattr(each, "sourced_id", "") == "p-1"]
    assert isinstance(first, User)
    assert (first.email, first.phone) == ("A@canary.example", "1")


def test_half_of_a_number_is_no_school(tmp_path: Path) -> None:
    files = {
        "User.csv": csv_text([contact("p-1", "a@canary.example")]),
        "Guardianrelationship.csv": csv_text([kin("s-1", "a@canary.example")]),
        "Student.csv": csv_text([pupil("s-1", "1,00000E+05")]),
    }

    roster = opened(folder(tmp_path, files))

    assert roster.count[:4] == (0, 0, 0, 2)
    assert codes(roster)["org-unreadable"] == codes(roster)["role-missing"] == 1


@pytest.mark.parametrize("cell", ["\u200b10", '="10"'])
def test_the_school_of_a_contact_is_mended_as_its_childs_is(tmp_path: Path, cell: str) -> None:
    files = {
        "User.csv": csv_text([contact("p-1", "a@canary.example")]),
        "Guardianrelationship.csv": csv_text([kin("s-1", "a@canary.example")]),
        "Student.csv": csv_text([pupil("s-1", cell)]),
    }

    roster = opened(folder(tmp_path, files))

    assert roles_of(roster) == {"p-1": [("primary", "parent", "10")]}


@pytest.mark.parametrize("name", ["Canary", "Other"])
def test_a_school_of_two_different_rows_of_one_child_is_nobodys(tmp_path: Path, name: str) -> None:
    files = {
        "User.csv": csv_text([contact("p-1", "a@canary.example")]),
        "Guardianrelationship.csv": csv_text(
            [kin("s-1", "a@canary.example"), kin("s-2", "a@canary.example")]
        ),
        "Student.csv": csv_text(
            [pupil("s-1"), pupil("s-2", "20"), pupil("s-2", "30") | {"First Name": name}]
        ),
    }

    roster = opened(folder(tmp_path, files))

    schools = {org for _, _, org in roles_of(roster)["p-1"]}
    assert schools == ({"10"} if name == "Other" else {"10", "20", "30"})


def test_a_relationship_with_a_blank_cell_too_many_is_read(tmp_path: Path) -> None:
    relations = csv_text([kin("s-1", "a@canary.example"), kin("s-1", "Canary")])
    files = {
        "User.csv": csv_text([contact("p-1", "a@canary.example")]),
        "Guardianrelationship.csv": relations.replace("Parent", "Parent,"),
        "Student.csv": csv_text([pupil("s-1")]),
    }

    roster = opened(folder(tmp_path, files))

    assert links_of(roster) == {"s-1+p-1": "parent"}
    assert [each.split()[0] for each in wrong(roster)] == ["row-width", "row-wider"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_parent_files_stand_beside_the_files_of_both_versions(
    tmp_path: Path, version: str
) -> None:
    if version == "v1":
        pupils = {"Student.csv": csv_text([pupil("s-1")])}
    else:
        row = user("s-1") | {"orgSourcedIds": "10", "role": "Student", "grade": "9"}
        pupils = {"users.csv": csv_text([row]), "orgs.csv": csv_text([org("10")])}
    files = pupils | {
        "user.csv": csv_text([contact("p-1", "a@canary.example")]),
        "guardianrelationship.csv": csv_text([kin("s-1", "a@canary.example")]),
    }

    roster = opened(folder(tmp_path / version, files))

    assert roles_of(roster) == {"p-1": [("primary", "parent", "10")]}
    assert links_of(roster) == {"s-1+p-1": "parent"}


def test_the_parent_files_alone_make_nobody(tmp_path: Path) -> None:
    files = {
        "User.csv": csv_text([contact("p-1", "a@canary.example")]),
        "Guardianrelationship.csv": csv_text([kin("s-1", "a@canary.example")]),
    }

    roster = opened(folder(tmp_path, files))

    assert roster.format == "School Data Sync v1"
    assert codes(roster) == {"role-missing": 1, "agent-left-out": 1}
    assert opened(tmp_path / "User.csv").count.left_out == 1


def test_a_contact_without_an_id_is_left_out_with_the_relationship(tmp_path: Path) -> None:
    contacts = [contact("", "a@canary.example"), contact("p-2", "")]

    roster = version_one(tmp_path, contacts, [kin("s-1", "a@canary.example")])

    assert links_of(roster) == {}
    assert [text.split(": ")[0] for text in wrong(roster)] == [
        "id-missing User.csv:2",
        "role-missing User.csv:3",
        "agent-left-out Guardianrelationship.csv:2",
    ]
    assert "canary.example" not in str(wrong(roster))


@pytest.mark.parametrize(
    ("contacts", "code"),
    [
        ([contact("p-1", "b@canary.example")], "contact-unknown"),
        (
            [contact("p-1", "a@canary.example"), contact("p-2", "a@canary.example")],
            "contact-unclear",
        ),
        (
            [contact("p-1", "a@canary.example"), contact("", "a@canary.example")],
            "contact-unclear",
        ),
    ],
)
def test_an_email_that_does_not_name_one_contact_makes_no_link(
    tmp_path: Path, contacts: list[Row], code: str
) -> None:
    roster = version_one(tmp_path, contacts, [kin("s-1", "a@canary.example")])

    assert (links_of(roster), codes(roster)[code]) == ({}, 1)
    assert any(text.startswith(f"{code} Guardianrelationship.csv:2: ") for text in wrong(roster))
    assert "canary.example" not in str(wrong(roster))
    assert roster.sources["Guardianrelationship.csv"].unreadable == 1


def test_a_relationship_without_a_student_or_contact_is_told(tmp_path: Path) -> None:
    relations = [kin("", "a@canary.example"), kin("s-1", "")]

    roster = version_one(tmp_path, [contact("p-1", "a@canary.example")], relations)

    assert codes(roster) == {"id-missing": 2, "role-missing": 1}


def test_a_contact_whom_another_file_holds_stays_what_that_file_says(tmp_path: Path) -> None:
    contacts = [contact("t-1", "both@canary.example"), contact("p-1", "a@canary.example")]
    relations = [kin("s-1", "both@canary.example"), kin("s-1", "a@canary.example")]

    roster = version_one(tmp_path, contacts, relations)

    assert roles_of(roster) == {
        "t-1": [("primary", "teacher", "10")],
        "p-1": [("primary", "parent", "10")],
    }
    assert links_of(roster) == {"s-1+t-1": "parent", "s-1+p-1": "parent"}
    assert codes(roster) == {"contact-known": 1, "role-related": 1}


def test_a_teacher_whom_a_parent_file_names_without_a_relationship_stays(tmp_path: Path) -> None:
    files = {
        "Teacher.csv": csv_text([pupil("t-1")]),
        "User.csv": csv_text([contact("t-1", "a@canary.example")]),
    }

    roster = opened(folder(tmp_path, files))

    assert roles_of(roster) == {"t-1": [("primary", "teacher", "10")]}
    assert codes(roster) == {"contact-known": 1}


def test_a_relationship_to_a_teacher_makes_nobody(tmp_path: Path) -> None:
    contacts = [contact("p-1", "a@canary.example")]

    roster = version_one(tmp_path, contacts, [kin("t-1", "a@canary.example")])

    assert codes(roster) == {"role-missing": 1, "agent-left-out": 1}


def test_changes_of_parents_keep_what_timeback_knows_besides(tmp_path: Path) -> None:
    contacts = [contact("p-1", "a@canary.example")]

    roster = version_one(tmp_path, contacts, [kin("s-1", "a@canary.example")], mode="delta")

    assert links_of(roster) == {"s-1+p-1": "parent"}
    (gaps,) = [row[-1] for row in roster.database.people() if row[0] == "p-1"]
    assert Gaps.from_json(gaps).roles


def test_a_parent_file_that_is_not_one_is_refused_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^User.csv: has no column sourcedId; is it a file of p"):
        version_one(tmp_path, [{"Name": "x"}], [kin("s-1", "a@canary.example")])
