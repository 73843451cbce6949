import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import inf, nan
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.records import link, student, user
from timeback_async import AgentKey, AgentLink, Demographics, OrgRef, Role, Student, User
from timeback_async._wire.codec import upsert
from timeback_async._wire.validate import _parts_of, _record_error, checked, encoded
from timeback_async.errors import RecordError
from timeback_async.models.ids import ID_RULE
from timeback_async.models.sent import SentRecord
from timeback_async.sync._reading.gaps import Fragment, Roleless

HALF = "holds half a surrogate pair, which is not a character"
DATE = "must be a date of the form YYYY-MM-DD"
STATUS = "must be one of active, inactive, tobedeleted"
NO_JSON = "cannot be written as JSON"
NOT_FINITE = "is not a finite number, and JSON has no others"
ORG = OrgRef("org-1")

ODD: Any = 5
STUDENT: dict[str, Any] = msgspec.to_builtins(student())
USER: dict[str, Any] = msgspec.to_builtins(user())
LINK: dict[str, Any] = {"studentId": "s-1", "userId": "u-1", "relationshipType": "parent"}


def role(role_type: Any = "primary", role: Any = "parent", org: Any = ORG, **more: Any) -> Role:
    return Role(role_type, role, org, **more)


def refusal(record: object) -> RecordError | None:
    try:
        upsert(record)
    except RecordError as error:
        return error
    return None


def error_of(record: object) -> RecordError:
    with pytest.raises(RecordError) as caught:
        upsert(record)
    return caught.value


# -- what is wrong, by field


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        (student(ODD), "sourcedId", "expected str, got int"),
        (student(""), "sourcedId", ID_RULE),
        (student(".."), "sourcedId", ID_RULE),
        (student("a\nb"), "sourcedId", ID_RULE),
        (student("a" * 256), "sourcedId", ID_RULE),
        (student(given_name=None), "givenName", "expected str, got null"),
        (student(given_name="\ud800"), "givenName", HALF),
        (student(family_name=["Byron"]), "familyName", "expected str, got array"),
        (student(username=5), "username", "expected str | null, got int"),
        (student(email=b"a"), "email", "expected str | null, got bytes"),
        (student(status="gone"), "status", STATUS),
        (student(status=None), "status", "expected str, got null"),
        (student(enabled_user="yes"), "enabledUser", "must be one of true, false"),
        (student(enabled_user=1), "enabledUser", "expected bool | str, got int"),
        (student(grades=None), "grades", "expected array, got null"),
        (student(grades="5"), "grades", "expected array, got str"),
        (student(grades=["5", 6]), "grades[1]", "expected str, got int"),
        (student(grades=["\udc00"]), "grades[0]", HALF),
        (student(primary_org=None), "primaryOrg", "expected object, got null"),
        (student(primary_org="org-1"), "primaryOrg", "expected object, got str"),
        (student(primary_org=OrgRef("a/..")), "primaryOrg.sourcedId", ID_RULE),
        (student(primary_org=OrgRef("o", href=5)), "primaryOrg.href", "expected str, got int"),  # type: ignore[arg-type]
        (student(demographics=Demographics("28.2.2014")), "demographics.birthDate", DATE),  # type: ignore[arg-type]
        (student(demographics=Demographics("2014-02-30")), "demographics.birthDate", DATE),  # type: ignore[arg-type]
        (student(demographics=Demographics(datetime(2014, 2, 28))), "demographics.birthDate", "expected date | null, got datetime"),  # noqa: DTZ001, E501
        (student(metadata=[]), "metadata", "expected object | null, got array"),
        (student(metadata={"a": nan}), "metadata.a", NOT_FINITE),
        (student(metadata={"a": [inf]}), "metadata.a[0]", NOT_FINITE),
        (student(metadata={"a": b"x"}), "metadata.a", f"{NO_JSON}; it is a bytes"),
        (student(metadata={"a": {1: 2}}), "metadata.a", "has a name that is not text"),
        (student(metadata={1: 2}), "metadata", "expected str, got int"),
        (student(metadata={"a": object()}), "metadata.a", f"{NO_JSON}; it is a object"),
        (student(metadata={"a": MappingProxyType({})}), "metadata.a", f"{NO_JSON}; it is a mappingproxy"),  # noqa: E501
        (student(metadata={"\ud800": 1}), "metadata", HALF),
        (user(roles=[]), "roles", "expected array of length >= 1"),
        (user(roles=None), "roles", "expected array, got null"),
        (user(roles=[role("main")]), "roles[0].roleType", "must be one of primary, secondary"),
        (user(roles=[role(), role(org=OrgRef("."))]), "roles[1].org.sourcedId", ID_RULE),
        (user(roles=[role(begin_date="soon")]), "roles[0].beginDate", DATE),
        (AgentLink("..", "u-1", "parent"), "studentId", ID_RULE),
        (AgentLink("s-1", "a\n", "parent"), "userId", ID_RULE),
        (AgentLink("s-1", "u-1", "parent", "/.."), "agentId", ID_RULE),
        (AgentLink("s-1", "u-1", ""), "relationshipType", "expected str of length >= 1"),
        (AgentLink("s-1", "u-1", None), "relationshipType", "expected str, got null"),  # type: ignore[arg-type]
        ({"student": None}, "", "expected object, got null"),
        ({"student": []}, "", "expected object, got array"),
        ({"student": {}}, "sourcedId", "is required"),
        ({"student": STUDENT | {"primaryOrg": {}}}, "primaryOrg.sourcedId", "is required"),
        ({"student": STUDENT | {"gradess": 5}}, "gradess", "is not a field of Student"),
        ({"student": STUDENT | {"a b\n": 5}}, "a?b?", "is not a field of Student"),
        ({"student": STUDENT | {"x" * 99: 5}}, "x" * 64, "is not a field of Student"),
        ({"student": STUDENT | {5: 5}}, "", "expected str"),
        ({"student": STUDENT | {"givenName": b"x"}}, "givenName", "expected str, got bytes"),
        ({"user": USER | {"roles": [{}]}}, "roles[0].roleType", "is required"),
        ({"agent": LINK | {"userId": 5}}, "userId", "expected str, got int"),
        ({"agent": {"studentId": "s-1"}}, "userId", "is required"),
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_wrong_is_named_in_wire_form_with_its_reason(
    record: object, field: str, reason: str
) -> None:
    error = error_of(record)

    assert (error.field, error.reason) == (field, reason)


def ids_on_the_wire(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Find the ids in JSON by their names alone."""
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from ids_on_the_wire(inner, f"{path}[{number}]")
    elif isinstance(value, dict):
        for name, inner in value.items():
            field = f"{path}.{name}".removeprefix(".")
            if name in ("sourcedId", "studentId", "userId", "agentId"):
                yield field, inner
            yield from ids_on_the_wire(inner, field)


@pytest.mark.parametrize(
    "record",
    [
        student(),
        user(roles=[role(), role("secondary", org=OrgRef("org-2"))]),
        user(primary_org=OrgRef("org-3")),
        user(primary_org=None),
        link("s-1", "u-1"),
        AgentKey("s-1", "a-1"),
        Roleless(sourced_id="p-1", given_name="Ada", family_name="Byron"),
        Roleless(sourced_id="p-1", given_name="Ada", family_name="Byron", primary_org=ORG),
        Fragment(sourced_id="p-1"),
        Fragment(sourced_id="p-1", roles=[role(), role()]),
    ],
)
def test_every_id_in_a_record_is_checked(record: SentRecord) -> None:
    wire = json.loads(msgspec.json.encode(record))

    assert list(record._ids()) == list(ids_on_the_wire(wire))


def test_a_wrong_type_is_named_before_an_id_that_may_not_be_sent() -> None:
    assert error_of(student("..", given_name=5)).field == "givenName"


@pytest.mark.parametrize("name", ["sourcedId", "givenName", "familyName", "username", "primaryOrg"])
def test_a_required_field_that_is_missing_is_named(name: str) -> None:
    wire = {key: value for key, value in STUDENT.items() if key != name}

    assert str(error_of({"student": wire})) == f"{name}: is required"


def test_the_first_of_several_wrong_fields_is_named() -> None:
    assert error_of(student(given_name=5, family_name=5)).field == "givenName"


def test_a_role_that_does_not_exist_is_answered_with_those_that_do() -> None:
    error = error_of(user(roles=[role(role="king")]))

    assert error.field == "roles[0].role"
    assert error.reason.startswith("must be one of student, teacher, parent, ")


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (student(primary_org=OrgRef("o", type="school")), "primaryOrg.type"),  # type: ignore[arg-type]
        (user(roles=[role(org=OrgRef("o", type="user"))]), "roles[0].org.type"),  # type: ignore[arg-type]
    ],
)
def test_a_type_that_is_fixed_is_answered_with_what_it_is(record: object, field: str) -> None:
    assert str(error_of(record)) == f"{field}: must be org"


@pytest.mark.parametrize("name", ["metadata", "email", "primaryOrg"])
def test_what_json_cannot_hold_is_named_in_wire_form_too(name: str) -> None:
    assert error_of({"student": STUDENT | {name: object()}}).field == name


@pytest.mark.parametrize(
    "name", ["status", "enabled_user", "demographics", "primary_org", "grades"]
)
def test_half_a_character_where_no_text_belongs_is_a_wrong_value_like_any_other(name: str) -> None:
    error = error_of(student(**{name: "canary\ud800"}))

    assert error.field.lower() == name.replace("_", "")
    assert "canary" not in repr(error)


def test_a_record_that_contains_itself_is_refused() -> None:
    metadata: dict[str, Any] = {}
    metadata["me"] = metadata

    assert str(error_of(student(metadata=metadata))) == "metadata: is nested too deeply"
    assert error_of({"student": STUDENT | {"metadata": metadata}}).reason == "is nested too deeply"


class Broken(Mapping[str, Any]):
    """A mapping that cannot be read."""

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        raise OSError("canary")

    def __len__(self) -> int:
        return 1


def test_a_mapping_that_raises_when_read_is_a_wrong_record_like_any_other() -> None:
    assert str(error_of({"student": Broken()})) == f"{NO_JSON}; it is a Broken"


def test_json_made_elsewhere_is_not_let_through_unchecked() -> None:
    raw = msgspec.Raw(b'5},"canary":{"a":1')

    assert str(error_of(student(metadata={"a": raw}))) == f"metadata.a: {NO_JSON}; it is a Raw"


def test_a_reason_that_nobody_knows_is_not_passed_on() -> None:
    error = _record_error("Odd value 'canary' - at `$.email`", Student)

    assert str(error) == "email: is not valid"


# -- what is right


@pytest.mark.parametrize(("record", "struct"), [(student(), Student), (user(), User)])
def test_a_record_that_is_right_is_given_back_with_its_json(record: Any, struct: Any) -> None:
    same, body = checked(record, struct)

    assert same is record
    assert json.loads(body) == msgspec.to_builtins(record)


@pytest.mark.parametrize(
    ("record", "name", "sent"),
    [
        (student(grades=("5", "6")), "grades", ["5", "6"]),
        (student(metadata={"a": (1, 2)}), "metadata", {"a": [1, 2]}),
        (student(metadata={"on": date(2025, 1, 1)}), "metadata", {"on": "2025-01-01"}),
        (student(primary_org={"sourcedId": "o"}), "primaryOrg", {"sourcedId": "o", "type": "org"}),
        (student(demographics={"birthDate": None}), "demographics", {"birthDate": None}),
        (student(demographics=None), "demographics", None),
        (student(grades=[]), "grades", []),
        (student(metadata={"big": 2**64 - 1}), "metadata", {"big": 2**64 - 1}),
    ],
    ids=ascii,
)
def test_what_means_the_same_is_sent_as_what_it_means(
    record: Student, name: str, sent: object
) -> None:
    body = upsert(record).request.body or b""

    assert json.loads(body)["student"][name] == sent


def test_any_mapping_will_do_for_a_record() -> None:
    wire = MappingProxyType({"student": MappingProxyType(STUDENT)})

    assert upsert(wire).request == upsert(student()).request


@pytest.mark.parametrize("value", [True, False])
def test_enabled_user_in_wire_form_may_be_a_bool(value: bool) -> None:
    body = upsert({"student": STUDENT | {"enabledUser": value}}).request.body or b""

    assert json.loads(body)["student"]["enabledUser"] == str(value).lower()


def test_a_dataclass_in_the_metadata_is_sent_as_an_object() -> None:
    @dataclass
    class House:
        name: str

    body = upsert(student(metadata={"house": House("north")})).request.body or b""

    assert json.loads(body)["student"]["metadata"] == {"house": {"name": "north"}}


def test_a_dataclass_that_holds_bytes_is_refused() -> None:
    @dataclass
    class House:
        crest: bytes

    assert error_of(student(metadata={"house": House(b"x")})).field == "metadata.house.…"


@pytest.mark.parametrize("value", [None, 1, "a", {"a": [1.5, True]}])
def test_anything_json_can_hold_is_encoded(value: object) -> None:
    assert json.loads(encoded(value)) == value


@pytest.mark.parametrize("value", [object(), "\ud800", {1, object()}, Broken()])
def test_anything_else_is_refused_whole(value: object) -> None:
    with pytest.raises(RecordError) as caught:
        encoded(value)

    assert caught.value.field == ""


# -- nothing is changed on the way, and nothing is told

FIELDS: dict[str, Any] = {"student": (student, Student), "user": (user, User)}
NAMES = [
    (kind, field.name, field.encode_name)
    for kind, (_, struct) in FIELDS.items()
    for field in msgspec.structs.fields(struct)
]


def build(kind: str, **changes: Any) -> Any:
    return FIELDS[kind][0](**changes)


@pytest.mark.parametrize("binary", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: [b], lambda b: {"a": [b]}])
@pytest.mark.parametrize(("kind", "name", "wire_name"), NAMES)
def test_bytes_are_never_sent_as_text(
    kind: str, name: str, wire_name: str, wrap: Any, binary: Any
) -> None:
    error = error_of(build(kind, **{name: wrap(binary(b"2014-02-28"))}))

    assert error.field.startswith(wire_name) or error.field == ""


CANARIES = [
    "canary canary",
    "canary\ncanary",
    b"canary",
    ["canary", b"canary"],
    {"note": "canary", "more": b"canary"},
    ("canary", object()),
    {"canary", 5.5},
    {"deep": [{"canary": {1: "canary"}}], "nan": nan},
    Decimal("31337.31337"),
    31337_31337,
    OrgRef("canary\n"),
    Demographics("canary"),  # type: ignore[arg-type]
    [Role("canary", "canary", OrgRef("canary"))],  # type: ignore[arg-type]
]


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: type(canary).__name__)
@pytest.mark.parametrize(("kind", "name", "wire_name"), NAMES)
def test_no_value_is_told_in_an_error(kind: str, name: str, wire_name: str, canary: object) -> None:
    wire = (STUDENT if kind == "student" else USER) | {wire_name: canary}

    errors = [refusal(build(kind, **{name: canary})), refusal({kind: wire})]

    for error in filter(None, errors):
        assert "canary" not in repr(error)
        assert "31337" not in repr(error)
        assert error.__suppress_context__ or error.__context__ is None


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(alphabet="\ud800a\x00", max_size=3)
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)
changes = st.tuples(
    st.sampled_from(sorted(FIELDS)),
    st.dictionaries(st.sampled_from([name for _, name, _ in NAMES]), values, max_size=3)
    | st.dictionaries(
        st.sampled_from(["email", "phone", "given_name", "metadata"]),
        st.text() | st.dictionaries(st.text(max_size=3), values, max_size=3),
    ),
)


@settings(deadline=None)
@given(changes)
def test_a_record_is_refused_or_sent_with_the_values_it_has(change: tuple[str, Any]) -> None:
    kind, values = change
    known = {field.name: field.encode_name for field in msgspec.structs.fields(FIELDS[kind][1])}
    given = {name: value for name, value in values.items() if name in known}

    try:
        body = upsert(build(kind, **given)).request.body or b""
    except RecordError:
        return

    sent = json.loads(body)[kind]
    for name, value in given.items():
        expected = str(value).lower() if name == "enabled_user" else value
        assert sent[known[name]] == expected


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([wire for _, _, wire in NAMES]), values, max_size=3))
def test_a_record_in_wire_form_is_refused_or_sent_as_it_is(given: dict[str, Any]) -> None:
    wire = STUDENT | given

    try:
        body = upsert({"student": wire}).request.body or b""
    except RecordError:
        return

    expected = wire | {"enabledUser": str(wire["enabledUser"]).lower()}
    assert json.loads(body)["student"] == expected


@settings(deadline=None)
@given(values)
def test_anything_at_all_is_a_record_or_refused_as_one(value: Any) -> None:
    for record in (value, {"student": value}, {"user": value}, {"agent": value}):
        with pytest.raises(RecordError):
            upsert(record)


def test_a_link_is_checked_like_a_person() -> None:
    same, body = checked(link(), AgentLink)

    assert same == link()
    assert json.loads(body)["relationshipType"] == "parent"


def test_the_parts_of_a_value_have_their_steps() -> None:
    org = msgspec.structs.fields(OrgRef)[0].encode_name

    assert list(_parts_of([1, "a"])) == [("[0]", 1), ("[1]", "a")]
    assert (f".{org}", "org-1") in list(_parts_of(OrgRef("org-1")))
    assert list(_parts_of({"a": 1})) == [(".a", 1)]
