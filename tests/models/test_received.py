from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import amount
from timeback_async import (
    UNSET,
    AgentRecord,
    Demographics,
    OrgRecord,
    OrgRef,
    Reference,
    Role,
    RoleRecord,
    Student,
    StudentRecord,
    User,
    UserRecord,
)
from timeback_async._wire.codec import upsert
from timeback_async.errors import RecordError

STUDENT: dict[str, Any] = {
    "sourcedId": "s-1",
    "status": "active",
    "dateLastModified": "2025-09-01T12:00:00.000Z",
    "username": "ada",
    "userIds": ["id-1"],
    "enabledUser": "true",
    "givenName": "Ada",
    "familyName": "Byron",
    "middleName": None,
    "email": "ada@example.com",
    "grades": ["5"],
    "password": "canary",
    "primaryOrg": {"href": "", "sourcedId": "org-1", "type": "academicSession"},
    "roles": [{"roleType": "primary", "role": "student", "org": {"sourcedId": "org-1"}}],
    "userProfiles": [{"profileId": "p-1", "credentials": [{"password": "canary"}]}],
    "agents": [{"sourcedId": "u-1"}],
    "resources": [],
    "demographics": {"birthDate": "2014-02-28", "sex": "female"},
    "metadata": {"house": "north"},
}


def received(**changes: Any) -> StudentRecord:
    return StudentRecord.from_wire(STUDENT | changes)


def without(name: str) -> StudentRecord:
    return StudentRecord.from_wire({k: v for k, v in STUDENT.items() if k != name})


def test_the_documented_fields_have_names_of_their_own() -> None:
    record = received()

    assert (record.sourced_id, record.given_name, record.middle_name) == ("s-1", "Ada", None)
    assert record.primary_org == Reference("org-1", "academicSession", "")
    assert record.roles == [RoleRecord(role_type="primary", role="student", org=Reference("org-1"))]
    assert record.agents == [Reference("u-1")]
    assert record.user_ids == ["id-1"]
    assert record.metadata == {"house": "north"}
    assert record.date_last_modified == "2025-09-01T12:00:00.000Z"
    assert record.extra == {}


def test_a_field_that_was_not_sent_is_unset_and_false() -> None:
    record = StudentRecord.from_wire({"sourcedId": "s-1"})

    assert record.email is UNSET
    assert not record.email


@pytest.mark.parametrize("record", [StudentRecord, UserRecord, OrgRecord, AgentRecord])
def test_an_empty_answer_is_a_record_with_nothing_in_it(record: Any) -> None:
    empty = record.from_wire({})

    assert empty.extra == {}
    assert empty == record()


@pytest.mark.parametrize("record", [StudentRecord, UserRecord, OrgRecord, AgentRecord])
def test_unknown_fields_are_kept_under_their_wire_names(record: Any) -> None:
    wire = {"newField": {"a": [1]}, "other": None, "extra": 5, "sourced_id": "x"}

    assert record.from_wire(wire).extra == wire


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("sourcedId", "sourced_id", 5),
        ("status", "status", 1),
        ("enabledUser", "enabled_user", 1),
        ("givenName", "given_name", ["Ada"]),
        ("grades", "grades", "5"),
        ("grades", "grades", [5]),
        ("primaryOrg", "primary_org", "org-1"),
        ("primaryOrg", "primary_org", {"href": ""}),
        ("roles", "roles", [{"role": 5}]),
        ("agents", "agents", {}),
        ("userIds", "user_ids", "id-1"),
        ("userProfiles", "user_profiles", ["p-1"]),
        ("demographics", "demographics", "2014-02-28"),
        ("metadata", "metadata", []),
    ],
)
def test_a_field_of_an_odd_type_is_kept_beside_the_others(
    name: str, attribute: str, value: object
) -> None:
    record = received(**{name: value})

    assert record.extra == {name: value}
    assert not getattr(record, attribute)
    assert record.family_name == "Byron"


@pytest.mark.parametrize("value", ["archived", "transferred", ""])
def test_an_unknown_enum_value_is_kept(value: str) -> None:
    assert received(status=value).status == value
    assert OrgRecord.from_wire({"type": value}).type == value


@pytest.mark.parametrize(
    ("value", "kept"),
    [(True, "true"), (False, "false"), ("True", "true"), ("yes", "yes"), (None, None)],
)
def test_an_enabled_user_is_a_text_even_where_the_server_sends_a_bool(
    value: object, kept: object
) -> None:
    assert received(enabledUser=value).enabled_user == kept


@pytest.mark.parametrize("ids", [["id-1"], [{"type": "sis", "identifier": "1"}], None])
def test_user_ids_come_in_either_form(ids: object) -> None:
    assert received(userIds=ids).user_ids == ids


def test_two_records_do_not_share_what_is_extra() -> None:
    first, second = OrgRecord.from_wire({}), OrgRecord.from_wire({})

    first.extra["a"] = 1

    assert second.extra == {}


def test_an_org_has_its_parent_and_children() -> None:
    wire = {"sourcedId": "org-1", "name": "North", "parent": {"sourcedId": "org-0"}, "children": []}

    org = OrgRecord.from_wire(wire)

    assert (org.name, org.parent, org.children) == ("North", Reference("org-0"), [])


def test_an_agent_may_have_an_id_of_its_own_or_not() -> None:
    wire = {"user": {"sourcedId": "u-1", "type": "user"}, "relationshipType": "parent"}

    known, unknown = AgentRecord.from_wire(wire | {"agentId": "a-1"}), AgentRecord.from_wire(wire)

    assert (known.agent_id, unknown.agent_id) == ("a-1", None)
    assert known.user == Reference("u-1", "user")
    assert known.relationship_type == "parent"


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (received(canary="canary"), "StudentRecord(sourced_id='s-1', …)"),
        (UserRecord.from_wire(STUDENT), "UserRecord(sourced_id='s-1', …)"),
        (OrgRecord.from_wire({"sourcedId": "o", "name": "canary"}), "OrgRecord(sourced_id='o', …)"),
        (
            AgentRecord(user=Reference("u-1"), relationship_type="canary", agent_id="a-1"),
            "AgentRecord(user_id='u-1', agent_id='a-1', …)",
        ),
        (AgentRecord(extra={"a": "canary"}), "AgentRecord(user_id=None, agent_id=None, …)"),
    ],
)
def test_the_repr_of_a_record_shows_ids_alone(record: Any, text: str) -> None:
    pretty = repr(list(record.__rich_repr__()))

    assert repr(record) == text
    assert "canary" not in pretty
    assert "Byron" not in pretty


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["sourcedId", "role", "org", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
wires = st.dictionaries(st.sampled_from([*STUDENT, "extra", "x"]), json_values)


@pytest.mark.parametrize("record", [StudentRecord, OrgRecord, AgentRecord])
@settings(max_examples=amount(30, long=100), deadline=None)
@given(wires)
def test_whatever_is_received_no_field_is_lost(record: Any, wire: dict[str, Any]) -> None:
    received = record.from_wire(wire)

    names = {field.encode_name: field.name for field in msgspec.structs.fields(record)}
    for name in wire:
        assert name in received.extra or getattr(received, names[name]) is not UNSET


# -- as_input


def test_a_student_received_can_be_sent_back_without_what_only_the_server_sets() -> None:
    sendable = received().as_input()

    assert sendable == Student(
        sourced_id="s-1",
        status="active",
        username="ada",
        enabled_user="true",
        given_name="Ada",
        family_name="Byron",
        middle_name=None,
        email="ada@example.com",
        grades=["5"],
        password="canary",
        primary_org=OrgRef("org-1"),
        demographics=Demographics(date(2014, 2, 28)),
        metadata={"house": "north"},
    )
    assert upsert(sendable).sourced_id == "s-1"


@pytest.mark.parametrize("enabled", [True, False, "true", "false"])
def test_what_comes_back_is_enabled_or_not_as_before(enabled: object) -> None:
    sendable = received(enabledUser=enabled).as_input()

    assert upsert(sendable).request.body
    assert sendable.enabled_user == str(enabled).lower()


@pytest.mark.parametrize("name", ["status", "enabledUser", "email", "demographics", "metadata"])
def test_an_optional_field_that_was_not_received_is_not_sent(name: str) -> None:
    assert upsert(without(name).as_input()).request.body


def test_a_username_that_is_null_is_sent_as_null() -> None:
    assert received(username=None).as_input().username is None


@pytest.mark.parametrize("demographics", [None, {}, {"birthDate": None}, {"sex": "female"}])
def test_demographics_without_a_birth_date_can_be_sent_back(demographics: object) -> None:
    assert upsert(received(demographics=demographics).as_input()).request.body


@pytest.mark.parametrize("name", ["username", "givenName", "familyName", "primaryOrg", "grades"])
def test_a_required_field_that_was_not_received_is_named(name: str) -> None:
    record = without(name)

    with pytest.raises(RecordError, match=rf"^{name}: is missing in the record received$"):
        record.as_input()


@pytest.mark.parametrize("name", ["givenName", "familyName", "primaryOrg", "grades"])
@pytest.mark.parametrize("value", [None, 5])
def test_a_required_field_that_is_null_or_odd_is_named(name: str, value: object) -> None:
    with pytest.raises(RecordError, match=rf"^{name}: "):
        received(**{name: value}).as_input()


@pytest.mark.parametrize("name", ["email", "status", "enabledUser", "metadata", "grades"])
def test_a_field_of_an_odd_type_is_not_left_out_of_what_is_sent_back(name: str) -> None:
    with pytest.raises(RecordError, match=f"^{name}: has another type"):
        received(**{name: 5}).as_input()


def test_a_field_that_is_not_sent_may_have_an_odd_type() -> None:
    assert upsert(received(userIds=5, unknown=5).as_input()).request.body


@pytest.mark.parametrize("time", ["T00:00:00Z", "T00:00:00.000+02:00", " 00:00:00"])
def test_of_a_date_with_a_time_the_day_is_sent_back(time: str) -> None:
    role = {"roleType": "primary", "role": "teacher", "org": {"sourcedId": "o-1"}}
    dates = {"beginDate": f"2026-08-01{time}", "endDate": f"2027-08-01{time}"}
    changes = {"demographics": {"birthDate": f"2014-02-28{time}"}, "roles": [role | dates]}

    sendable = UserRecord.from_wire(STUDENT | changes).as_input()

    assert sendable.demographics == Demographics(date(2014, 2, 28))
    assert isinstance(sendable, User)
    (sent,) = sendable.roles
    assert (sent.begin_date, sent.end_date) == (date(2026, 8, 1), date(2027, 8, 1))


@pytest.mark.parametrize("born", ["28.02.2014", "2014-02-28x", "2014-02-30", 2014, ""])
def test_a_birth_date_that_is_no_date_is_named_but_not_shown(born: object) -> None:
    with pytest.raises(RecordError) as caught:
        received(demographics={"birthDate": born}).as_input()

    assert caught.value.field == "demographics.birthDate"
    assert "2014" not in str(caught.value)


def test_a_user_received_can_be_sent_back_with_its_roles() -> None:
    org = {"sourcedId": "o-1", "type": "academicSession", "href": ""}
    role = {"roleType": "primary", "role": "teacher", "org": org, "beginDate": "2026-08-01"}

    sendable = UserRecord.from_wire({**STUDENT, "roles": [role]}).as_input()

    assert isinstance(sendable, User)
    assert sendable.roles == [
        Role("primary", "teacher", OrgRef("o-1"), begin_date=date(2026, 8, 1))
    ]
    assert upsert(sendable).request.body


@pytest.mark.parametrize(
    "role",
    [{"role": "teacher", "roleType": "primary"}, {"role": "wizard", "org": {"sourcedId": "o"}}],
)
def test_a_role_that_cannot_be_sent_is_named(role: dict[str, Any]) -> None:
    user = UserRecord.from_wire({**STUDENT, "roles": [role]})

    with pytest.raises(RecordError, match="roles: hold a role that cannot be sent"):
        user.as_input()
