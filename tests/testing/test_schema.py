from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.records import wire_agent, wire_role, wire_student, wire_user
from timeback_async.testing._schema import agent_problems, student_problems, user_problems

Problems = Callable[[Any], Iterator[tuple[str, str]]]

TEXTS = [
    "email", "middleName", "preferredFirstName", "preferredMiddleName", "preferredLastName",
    "pronouns", "phone", "sms", "identifier", "userMasterIdentifier", "password",
]  # fmt: skip
PEOPLE = [(student_problems, wire_student), (user_problems, wire_user)]
ORG = {"sourcedId": "org-1", "type": "org"}


def without(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != name}


def fields(problems: Problems, record: object) -> list[str]:
    return [field for field, why in problems(record)]


@pytest.mark.parametrize(
    ("problems", "record"),
    [
        (student_problems, wire_student()),
        (user_problems, wire_user()),
        (agent_problems, wire_agent()),
    ],
)
def test_each_required_member_is_missed(problems: Problems, record: dict[str, Any]) -> None:
    assert fields(problems, record) == []
    for name in record:
        assert list(problems(without(record, name))) == [(name, "is required")]


@pytest.mark.parametrize(
    ("problems", "record"),
    [
        (student_problems, wire_student()),
        (user_problems, wire_user()),
        (agent_problems, wire_agent()),
    ],
)
def test_an_unknown_member_is_refused(problems: Problems, record: dict[str, Any]) -> None:
    assert list(problems({**record, "given_name": "Ada"})) == [("given_name", "is not known")]


@pytest.mark.parametrize("problems", [student_problems, user_problems, agent_problems])
@pytest.mark.parametrize("record", [None, [], "s-1"])
def test_a_record_must_be_an_object(problems: Problems, record: object) -> None:
    assert list(problems(record)) == [("", "must be an object")]


@pytest.mark.parametrize(("problems", "record"), PEOPLE)
@pytest.mark.parametrize("name", TEXTS)
def test_an_optional_text_is_a_string_or_null(
    problems: Problems, record: Callable[..., dict[str, Any]], name: str
) -> None:
    assert fields(problems, record(**{name: "x"})) == []
    assert fields(problems, record(**{name: None})) == []
    assert list(problems(record(**{name: 5}))) == [(name, "must be a string")]


@pytest.mark.parametrize(("problems", "record"), PEOPLE)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sourcedId", "x" * 255),
        ("status", "inactive"),
        ("status", "tobedeleted"),
        ("enabledUser", "false"),
        ("username", None),
        ("grades", []),
        ("primaryOrg", ORG | {"href": ""}),
        ("demographics", None),
        ("demographics", {}),
        ("demographics", {"birthDate": None}),
        ("demographics", {"birthDate": "2015-12-10"}),
        ("metadata", None),
        ("metadata", {"anything": [1, None]}),
    ],
)
def test_a_person_may_have(
    problems: Problems, record: Callable[..., dict[str, Any]], name: str, value: object
) -> None:
    assert list(problems(record(**{name: value}))) == []


@pytest.mark.parametrize(("problems", "record"), PEOPLE)
@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("sourcedId", "", "sourcedId"),
        ("sourcedId", "x" * 256, "sourcedId"),
        ("sourcedId", "a\nb", "sourcedId"),
        ("sourcedId", 7, "sourcedId"),
        ("status", "deleted", "status"),
        ("enabledUser", True, "enabledUser"),
        ("enabledUser", "True", "enabledUser"),
        ("enabledUser", ["true"], "enabledUser"),
        ("givenName", None, "givenName"),
        ("familyName", 1, "familyName"),
        ("username", 1, "username"),
        ("grades", "5", "grades"),
        ("grades", [5], "grades"),
        ("primaryOrg", "org-1", "primaryOrg"),
        ("primaryOrg", {"sourcedId": "org-1"}, "primaryOrg.type"),
        ("primaryOrg", ORG | {"type": "user"}, "primaryOrg.type"),
        ("primaryOrg", ORG | {"href": None}, "primaryOrg.href"),
        ("primaryOrg", ORG | {"name": "x"}, "primaryOrg.name"),
        ("demographics", "2015-12-10", "demographics"),
        ("demographics", {"birth_date": None}, "demographics.birth_date"),
        ("demographics", {"birthDate": "2015-02-30"}, "demographics.birthDate"),
        ("demographics", {"birthDate": "20151210"}, "demographics.birthDate"),
        ("demographics", {"birthDate": 20151210}, "demographics.birthDate"),
        ("metadata", [], "metadata"),
    ],
)
def test_a_person_may_not_have(
    problems: Problems,
    record: Callable[..., dict[str, Any]],
    name: str,
    value: object,
    field: str,
) -> None:
    assert fields(problems, record(**{name: value})) == [field]


def test_null_grades_and_org_are_for_users_only() -> None:
    assert fields(user_problems, wire_user(grades=None, primaryOrg=None)) == []
    assert fields(student_problems, wire_student(grades=None)) == ["grades"]
    assert fields(student_problems, wire_student(primaryOrg=None)) == ["primaryOrg"]


def test_roles_are_for_users_only() -> None:
    assert fields(student_problems, wire_student(roles=[wire_role()])) == ["roles"]


@pytest.mark.parametrize(
    "name",
    [
        "student", "teacher", "parent", "guardian", "relative", "aide", "counselor", "principal",
        "proctor", "districtAdministrator", "siteAdministrator", "systemAdministrator",
    ],
)  # fmt: skip
def test_every_documented_role_is_accepted(name: str) -> None:
    assert fields(user_problems, wire_user(roles=[wire_role(role=name)])) == []


def test_a_role_may_have_a_profile_and_dates() -> None:
    full = wire_role(roleType="secondary", userProfile="p-1", beginDate="2026-08-01", endDate=None)

    assert fields(user_problems, wire_user(roles=[full])) == []


@pytest.mark.parametrize(
    ("roles", "field"),
    [
        ([], "roles"),
        (None, "roles"),
        ({"role": "parent"}, "roles"),
        (["parent"], "roles[0]"),
        ([wire_role(), wire_role(role="mother")], "roles[1].role"),
        ([wire_role(roleType="main")], "roles[0].roleType"),
        ([wire_role(org="org-1")], "roles[0].org"),
        ([wire_role(endDate="soon")], "roles[0].endDate"),
        ([wire_role(begin="2026-08-01")], "roles[0].begin"),
    ],
)
def test_a_wrong_role_is_named_by_its_number(roles: object, field: str) -> None:
    assert fields(user_problems, wire_user(roles=roles)) == [field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"user": "u-1"}, "user"),
        ({"user": {"sourcedId": "u-1", "type": "org"}}, "user.type"),
        ({"user": {"sourcedId": "", "type": "user"}}, "user.sourcedId"),
        ({"relationshipType": None}, "relationshipType"),
    ],
)
def test_a_wrong_link_is_refused(changes: dict[str, Any], field: str) -> None:
    assert fields(agent_problems, wire_agent(**changes)) == [field]


def test_every_problem_is_found() -> None:
    wrong = wire_student(status="gone", grades=None, enabledUser=True)

    assert sorted(fields(student_problems, wrong)) == ["enabledUser", "grades", "status"]
