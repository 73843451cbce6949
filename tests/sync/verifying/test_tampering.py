"""Whatever is changed at the server is found and named, and nothing else is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import wire_agent, wire_role, wire_student, wire_user
from tests.support.verifying import KEY, RECORDS, TEACHING, TEXTS, School, Told, told
from timeback_async.testing import MockServer

Tamper = Callable[[MockServer], object]
S1, U1, U2 = "s-1", "u-1", "u-2"
LINK = f"{S1} with {U1}"
OTHER_ORG = {"sourcedId": "org-2", "type": "org"}


@pytest.fixture
async def school(server: MockServer, tmp_path: Path) -> School:
    own = School(server, tmp_path)
    own.write(*RECORDS)
    await own.sync()
    return own


def person(own: str, **changes: Any) -> Tamper:
    def tamper(server: MockServer) -> None:
        found = server.person(own)
        assert found is not None
        found |= changes

    return tamper


def without(own: str, field: str) -> Tamper:
    def tamper(server: MockServer) -> None:
        found = server.person(own)
        assert found is not None
        del found[field]

    return tamper


def both(*tampers: Tamper) -> Tamper:
    return lambda server: [tamper(server) for tamper in tampers]


def is_other(kind: str, own: str, *fields: str) -> list[Told]:
    return [("different", kind, own, fields)]


def roles(*found: dict[str, Any]) -> Tamper:
    return person(U1, roles=list(found))


FIRST, SECOND = TEACHING
HAS_LEARNT = [wire_role(role="student", endDate="2015-07-31"), wire_role(role="teacher")]
# What is done at the server, and what is to be found.
TAMPERS: dict[str, tuple[Tamper, list[Told]]] = {
    **{
        f"{field} of a student": (person(S1, **{field: "Other"}), is_other("student", S1, field))
        for field in ("username", "givenName", "familyName", "status", *TEXTS)
    },
    **{
        f"{field} of a user": (person(U1, **{field: "Other"}), is_other("user", U1, field))
        for field in ("username", "givenName", "familyName", "status", *TEXTS)
    },
    **{
        f"no {field}": (without(S1, field), is_other("student", S1, field))
        for field in ("email", "middleName", "grades", "primaryOrg", "metadata", "enabledUser")
    },
    "a field that is null": (person(S1, email=None), is_other("student", S1, "email")),
    "a value where there was null": (
        person("s-2", username="ada"), is_other("student", "s-2", "username"),
    ),
    "disabled": (person(S1, enabledUser="false"), is_other("student", S1, "enabledUser")),
    "another org": (person(S1, primaryOrg=OTHER_ORG), is_other("student", S1, "primaryOrg")),
    "another org of a user": (person(U1, primaryOrg=None), is_other("user", U1, "primaryOrg")),
    "a grade more": (person(S1, grades=["5", "6", "7"]), is_other("student", S1, "grades")),
    "a grade less": (person(S1, grades=["5"]), is_other("student", S1, "grades")),
    "no grade": (person(U1, grades=None), is_other("user", U1, "grades")),
    "another birth date": (
        person(S1, demographics={"birthDate": "2013-02-04"}),
        is_other("student", S1, "demographics"),
    ),
    "a birth date that is null": (
        person(S1, demographics=None), is_other("student", S1, "demographics"),
    ),
    "other metadata": (person(S1, metadata={"house": "cat"}), is_other("student", S1, "metadata")),
    "a type that no field has": (person(S1, phone=555), is_other("student", S1, "phone")),
    "a role less": (roles(FIRST), is_other("user", U1, "roles")),
    "a role more": (roles(*TEACHING, wire_role(role="aide")), is_other("user", U1, "roles")),
    "no roles": (without(U1, "roles"), is_other("user", U1, "roles")),
    "a role of another type": (
        roles(FIRST, SECOND | {"roleType": "primary"}), is_other("user", U1, "roles"),
    ),
    "another role": (roles(FIRST, SECOND | {"role": "aide"}), is_other("user", U1, "roles")),
    "a role elsewhere": (roles(FIRST, SECOND | {"org": OTHER_ORG}), is_other("user", U1, "roles")),
    "a role that begins later": (
        roles(FIRST | {"beginDate": "2026-10-01"}, SECOND), is_other("user", U1, "roles"),
    ),
    "a role without an end": (
        roles(FIRST | {"endDate": None}, SECOND), is_other("user", U1, "roles"),
    ),
    "a role of another profile": (
        roles(FIRST | {"userProfile": "p-2"}, SECOND), is_other("user", U1, "roles"),
    ),
    "a student who is one no longer": (
        person(S1, roles=HAS_LEARNT), is_other("student", S1, "roles"),
    ),
    "roles of a student in an unknown form": (
        person(S1, roles=["teacher"]), is_other("student", S1, "roles"),
    ),
    "roles of a user in an unknown form": (
        roles(FIRST | {"org": {}}, SECOND), is_other("user", U1, "roles"),
    ),
    "a birth date in an unknown form": (
        person(S1, demographics="2013-02-03"), is_other("student", S1, "demographics"),
    ),
    "pronouns in an unknown form": (
        person(S1, pronouns=["they"]), is_other("student", S1, "pronouns"),
    ),
    "a student who is a teacher there": (
        person(S1, roles=[wire_role(role="teacher")]), is_other("student", S1, "roles"),
    ),
    "several fields": (
        person(S1, email="x", grades=[], givenName="y"),
        is_other("student", S1, "givenName", "email", "grades"),
    ),
    "a student less": (
        lambda server: server.students.pop("s-2"), [("missing", "student", "s-2", ())],
    ),
    "a user less, and the link to them": (
        both(lambda server: server.users.pop(U1), lambda server: server.agents.pop(KEY)),
        [("missing", "user", U1, ()), ("missing", "agent", LINK, ())],
    ),
    "a student more": (
        lambda server: server.students.update({"x-1": wire_student("x-1")}),
        [("only_there", "student", "x-1", ())],
    ),
    "somebody more whose roles have an unknown form": (
        lambda server: server.users.update({"x-2": wire_user("x-2", roles=["teacher"])}),
        [("only_there", "user", "x-2", ())],
    ),
    "a teacher more who has been a student": (
        lambda server: server.users.update({"x-2": wire_user("x-2", roles=HAS_LEARNT)}),
        [("only_there", "user", "x-2", ())],
    ),
    "a user more": (
        lambda server: server.users.update({"x-2": wire_user("x-2")}),
        [("only_there", "user", "x-2", ())],
    ),
    "a link less": (lambda server: server.agents.pop(KEY), [("missing", "agent", LINK, ())]),
    "another relation": (
        lambda server: server.agents.update({KEY: wire_agent(U1, relationshipType="aunt")}),
        is_other("agent", LINK, "relationshipType"),
    ),
    "another relation under an id of the server": (
        both(
            lambda server: server.agents.pop(KEY),
            lambda server: server.agents.update(
                {(S1, "new"): wire_agent(U1, relationshipType="aunt")}
            ),
        ),
        is_other("agent", LINK, "relationshipType"),
    ),
    "a link twice, under ids of the server": (
        both(
            lambda server: server.agents.update(
                {(S1, "a"): wire_agent(U1, relationshipType="aunt")}
            ),
            lambda server: server.agents.update({(S1, "b"): server.agents.pop(KEY)}),
        ),
        [("only_there", "agent", LINK, ())],
    ),
    "another person in a link": (
        lambda server: server.agents.update({KEY: wire_agent("u-3")}),
        is_other("agent", LINK, "user"),
    ),
    "another id of a link that the files choose": (
        lambda server: server.agents.update({(S1, "new"): server.agents.pop((S1, "own-id"))}),
        is_other("agent", f"{S1} with {U2}", "agentId"),
    ),
    "a link more": (
        lambda server: server.agents.update({("s-2", "more"): wire_agent(U2)}),
        [("only_there", "agent", f"s-2 with {U2}", ())],
    ),
    "a link twice": (
        lambda server: server.agents.update({(S1, "twice"): wire_agent(U1)}),
        [("only_there", "agent", LINK, ())],
    ),
    "a link more to nobody": (
        lambda server: server.agents.update({("s-2", "more"): {"relationshipType": "parent"}}),
        [("only_there", "agent", "s-2", ())],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERS)
async def test_what_was_tampered_with_is_found_and_named_and_nothing_else(
    school: School, what: str
) -> None:
    tamper, expected = TAMPERS[what]
    tamper(school.server)

    report = await school.verify()

    assert sorted(map(told, report.differences)) == sorted(expected)
    assert report.number == len(expected)
    assert not report.ok


# Whatever says the same, or nothing, about what the files say.
HARMLESS: dict[str, Tamper] = {
    "nothing": lambda server: None,
    "grades in another order": person(S1, grades=["6", "5", "5"]),
    "roles in another order": roles(SECOND, FIRST),
    "a date with a time": roles(FIRST | {"beginDate": "2026-09-01T00:00:00.000Z"}, SECOND),
    "a birth date with a time": person(S1, demographics={"birthDate": "2013-02-03T00:00:00Z"}),
    "no birth date shown": person(S1, demographics={}),
    "no demographics shown": without(S1, "demographics"),
    "no pronouns shown": without(S1, "pronouns"),
    "another password": person(S1, password="Other"),
    "a value that the files leave open": person("s-2", email="x", phone="y", metadata={"a": 1}),
    "grades that the files leave open": person(U2, grades=["1"], primaryOrg=OTHER_ORG),
    "null for nothing": person("s-2", middleName=None),
    "nothing for null": without("s-2", "username"),
    "a bool": person(S1, enabledUser=True),
    "another spelling of a bool": person(S1, enabledUser="True"),
    "an unknown field": person(S1, shoeSize=42),
    "roles that show a student": person(S1, roles=[wire_role(role="student")]),
    "roles that show somebody who has become a student": person(
        S1, roles=[wire_role(role="aide", endDate="2015-07-31"), wire_role(role="student")]
    ),
    "an unknown form of what the files leave open": person("s-2", phone=5, metadata=[]),
    "somebody deleted who is in no file": lambda server: server.students.update(
        {"x-1": wire_student("x-1", status="tobedeleted")}
    ),
    "another id of a link that is derived": lambda server: server.agents.update(
        {(S1, "new"): server.agents.pop(KEY)}
    ),
}


@pytest.mark.parametrize("what", HARMLESS)
async def test_what_says_the_same_is_no_difference(school: School, what: str) -> None:
    HARMLESS[what](school.server)

    report = await school.verify()

    assert report.differences == []
    assert report.ok
    assert (report.people.same, report.links.same) == (4, 2)


def test_there_are_enough_of_them() -> None:
    assert len(TAMPERS) >= 30
