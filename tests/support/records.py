"""Records for the tests: valid ones, to be varied; as structs, and as they are on the wire.

What is on the wire is written out here and not encoded, so that the mock server is held against
the guide and not against our own structs.
"""

from typing import Any

from timeback_async import AgentLink, OrgRef, Role, Student, User

Json = dict[str, Any]


def student(sourced_id: str = "s-1", **changes: Any) -> Student:
    values: dict[str, Any] = {
        "sourced_id": sourced_id,
        "username": "ada",
        "given_name": "Ada",
        "family_name": "Byron",
        "grades": ["5"],
        "primary_org": OrgRef("org-1"),
    }
    return Student(**(values | changes))


def students(number: int) -> list[Student]:
    return [student(f"s-{n}") for n in range(number)]


def user(sourced_id: str = "u-1", **changes: Any) -> User:
    values: dict[str, Any] = {
        "sourced_id": sourced_id,
        "given_name": "Annabella",
        "family_name": "Byron",
        "roles": [Role("primary", "parent", OrgRef("org-1"))],
    }
    return User(**(values | changes))


def link(student_id: str = "s-1", user_id: str = "u-1") -> AgentLink:
    return AgentLink(student_id, user_id, "parent")


def wire_student(sourced_id: str = "s-1", **changes: Any) -> Json:
    record = {
        "sourcedId": sourced_id,
        "status": "active",
        "username": "ada",
        "enabledUser": "true",
        "givenName": "Ada",
        "familyName": "Byron",
        "grades": ["5"],
        "primaryOrg": {"sourcedId": "org-1", "type": "org"},
    }
    return record | changes


def wire_user(sourced_id: str = "u-1", **changes: Any) -> Json:
    record = {
        "sourcedId": sourced_id,
        "status": "active",
        "enabledUser": "true",
        "givenName": "Annabella",
        "familyName": "Byron",
        "roles": [wire_role()],
    }
    return record | changes


def wire_role(**changes: Any) -> Json:
    org = {"sourcedId": "org-1", "type": "org"}
    return {"roleType": "primary", "role": "parent", "org": org} | changes


def wire_agent(user_id: str = "u-1", **changes: Any) -> Json:
    return {"user": {"sourcedId": user_id, "type": "user"}, "relationshipType": "parent"} | changes
