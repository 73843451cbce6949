"""Records for the tests: valid ones, to be varied."""

from typing import Any

from timeback_async import AgentLink, OrgRef, Role, Student, User


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
