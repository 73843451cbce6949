from datetime import date
from typing import Any

import msgspec
import pytest

from tests.support.records import link, student, user
from timeback_async import (
    UNSET,
    AgentKey,
    AgentLink,
    Demographics,
    OrgRef,
    Role,
    Student,
    User,
    UserRef,
)

OPTIONAL_TEXTS = {
    "email": "email",
    "middle_name": "middleName",
    "preferred_first_name": "preferredFirstName",
    "preferred_middle_name": "preferredMiddleName",
    "preferred_last_name": "preferredLastName",
    "pronouns": "pronouns",
    "phone": "phone",
    "sms": "sms",
    "identifier": "identifier",
    "user_master_identifier": "userMasterIdentifier",
    "password": "password",
}


def wire(record: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(record))


def test_a_student_has_the_names_of_the_api_on_the_wire() -> None:
    assert wire(student()) == {
        "sourcedId": "s-1",
        "status": "active",
        "username": "ada",
        "enabledUser": "true",
        "givenName": "Ada",
        "familyName": "Byron",
        "primaryOrg": {"sourcedId": "org-1", "type": "org"},
        "grades": ["5"],
    }


def test_a_user_has_the_names_of_the_api_on_the_wire() -> None:
    role = Role(
        "secondary",
        "districtAdministrator",
        OrgRef("org-1", href="https://host/orgs/org-1"),
        user_profile="profile-1",
        begin_date=date(2025, 8, 1),
        end_date=None,
    )

    assert wire(user(roles=[role], primary_org=None, grades=[])) == {
        "sourcedId": "u-1",
        "status": "active",
        "enabledUser": "true",
        "givenName": "Annabella",
        "familyName": "Byron",
        "primaryOrg": None,
        "grades": [],
        "roles": [
            {
                "roleType": "secondary",
                "role": "districtAdministrator",
                "org": {"sourcedId": "org-1", "type": "org", "href": "https://host/orgs/org-1"},
                "userProfile": "profile-1",
                "beginDate": "2025-08-01",
                "endDate": None,
            }
        ],
    }


@pytest.mark.parametrize(("name", "wire_name"), OPTIONAL_TEXTS.items())
@pytest.mark.parametrize("build", [student, user])
def test_an_optional_text_is_left_out_or_null_or_text(
    build: Any, name: str, wire_name: str
) -> None:
    left_out, null, text = (wire(build(**{name: value})) for value in (UNSET, None, "x"))

    assert wire_name not in left_out
    assert null[wire_name] is None
    assert text[wire_name] == "x"


@pytest.mark.parametrize("build", [student, user])
def test_objects_are_sent_as_they_are(build: Any) -> None:
    record = build(
        demographics=Demographics(date(2014, 2, 28)), metadata={"house": {"name": "north"}}
    )

    assert wire(record)["demographics"] == {"birthDate": "2014-02-28"}
    assert wire(record)["metadata"] == {"house": {"name": "north"}}


def test_a_birth_date_may_be_null() -> None:
    assert wire(Demographics(None)) == {"birthDate": None}


def test_a_username_may_be_null_but_is_never_left_out() -> None:
    assert wire(student(username=None))["username"] is None
    assert "username" not in wire(user())


@pytest.mark.parametrize(
    ("given", "sent"), [(True, "true"), (False, "false"), ("true", "true"), ("false", "false")]
)
@pytest.mark.parametrize("build", [student, user])
def test_whether_a_user_is_enabled_is_a_text_on_the_wire(
    build: Any, given: object, sent: str
) -> None:
    record = build(enabled_user=given)

    assert record.enabled_user == sent
    assert wire(record)["enabledUser"] == sent


def test_references_carry_their_type() -> None:
    assert wire(OrgRef("org-1")) == {"sourcedId": "org-1", "type": "org"}
    assert wire(UserRef("u-1")) == {"sourcedId": "u-1", "type": "user"}


@pytest.mark.parametrize("struct", [Student, User])
def test_a_record_is_built_by_keyword_only(struct: Any) -> None:
    with pytest.raises(TypeError):
        struct("s-1")


@pytest.mark.parametrize("missing", ["username", "given_name", "grades", "primary_org"])
def test_a_student_cannot_be_built_without_what_is_required(missing: str) -> None:
    values = msgspec.structs.asdict(student())
    del values[missing]

    with pytest.raises(TypeError, match=missing):
        Student(**values)


def test_a_record_cannot_be_changed() -> None:
    record: Any = student()

    with pytest.raises(AttributeError):
        record.given_name = "Augusta"


def test_a_link_left_without_an_id_gets_one_that_both_ids_decide() -> None:
    assert link().agent_id == "1ee8dc9c-702a-5dd1-b4de-61ba861fa102"
    assert link() == link()
    assert link("s-2").agent_id != link("s-3").agent_id


def test_a_link_keeps_the_id_it_is_given() -> None:
    assert AgentLink("s-1", "u-1", "parent", agent_id="a-1").agent_id == "a-1"
    assert AgentKey("s-1", "a-1").agent_id == "a-1"


@pytest.mark.parametrize("value", ["", "..", "\ud800", 5, None])
def test_building_a_link_checks_nothing(value: Any) -> None:
    built = AgentLink(value, value, value)

    assert built.student_id == value


@pytest.mark.parametrize("build", [student, user])
def test_the_repr_of_a_person_shows_the_id_alone(build: Any) -> None:
    canaries = dict.fromkeys(OPTIONAL_TEXTS, "canary")
    demographics = Demographics(date(2014, 2, 28))
    person = build(**canaries, demographics=demographics, metadata={"note": "canary"})

    assert repr(person) == f"{type(person).__name__}(sourced_id={person.sourced_id!r}, …)"
    assert list(person.__rich_repr__()) == [("sourced_id", person.sourced_id)]


def test_neither_repr_nor_pretty_printer_shows_a_birth_date() -> None:
    demographics = Demographics(date(2014, 2, 28))

    pretty = repr(list(demographics.__rich_repr__()))

    assert repr(demographics) == "Demographics(…)"
    assert "2014" not in pretty
