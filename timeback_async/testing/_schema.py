"""The schema of the mock server, independent of the client's structs.

If both used the same structs, the server would accept a wrong encoding of the client. Each check
yields a pair for every problem: the field, and what is wrong with it.

Source: TimeBack onboarding guide and `PUT /rostering/1.0/students` reference.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

__all__ = ["agent_problems", "id_problems", "student_problems", "user_problems"]

Problems = Iterator[tuple[str, str]]
Check = Callable[[Any, str], Problems]

ROLES = {
    "student", "teacher", "parent", "guardian", "relative", "aide", "counselor", "principal",
    "proctor", "districtAdministrator", "siteAdministrator", "systemAdministrator",
}  # fmt: skip
DATE = re.compile(r"\d{4}-\d\d-\d\d")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _text(value: Any, field: str) -> Problems:
    if not isinstance(value, str):
        yield field, "must be a string"


def _text_or_null(value: Any, field: str) -> Problems:
    if value is not None:
        yield from _text(value, field)


def id_problems(value: Any, field: str) -> Problems:
    """Yield the problems of an id in a body or in a path."""
    if not isinstance(value, str) or not 1 <= len(value) <= 255 or CONTROL.search(value):
        yield field, "must be an id of 1 to 255 characters"


def _one_of(*values: str) -> Check:
    def check(value: Any, field: str) -> Problems:
        if value not in values:
            yield field, f"must be one of {', '.join(sorted(values))}"

    return check


def _texts(value: Any, field: str) -> Problems:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        yield field, "must be an array of strings"


def _texts_or_null(value: Any, field: str) -> Problems:
    if value is not None:
        yield from _texts(value, field)


def _object_or_null(value: Any, field: str) -> Problems:
    if not isinstance(value, dict | None):
        yield field, "must be an object"


def _date_or_null(value: Any, field: str) -> Problems:
    if value is None:
        return
    try:
        date.fromisoformat(value)
    except (TypeError, ValueError):
        yield field, "must be a date"
    else:
        if not DATE.fullmatch(value):
            yield field, "must be a date"


def _members(
    value: Any, field: str, required: dict[str, Check], optional: dict[str, Check]
) -> Problems:
    """Check an object that has these members and no others."""
    if not isinstance(value, dict):
        yield field, "must be an object"
        return
    prefix = f"{field}." if field else ""
    for name, check in required.items():
        if name not in value:
            yield prefix + name, "is required"
        else:
            yield from check(value[name], prefix + name)
    for name in sorted(value.keys() - required.keys()):
        if name in optional:
            yield from optional[name](value[name], prefix + name)
        else:
            yield prefix + name, "is not known"


def _reference(kind: str) -> Check:
    def check(value: Any, field: str) -> Problems:
        yield from _members(
            value, field, {"sourcedId": id_problems, "type": _one_of(kind)}, {"href": _text}
        )

    return check


def _reference_or_null(value: Any, field: str) -> Problems:
    if value is not None:
        yield from _reference("org")(value, field)


def _demographics(value: Any, field: str) -> Problems:
    if value is not None:
        yield from _members(value, field, {}, {"birthDate": _date_or_null})


def _roles(value: Any, field: str) -> Problems:
    if not isinstance(value, list) or not value:
        yield field, "must be an array with at least one role"
        return
    required = {
        "roleType": _one_of("primary", "secondary"),
        "role": _one_of(*ROLES),
        "org": _reference("org"),
    }
    optional: dict[str, Check] = {
        "userProfile": _text_or_null,
        "beginDate": _date_or_null,
        "endDate": _date_or_null,
    }
    for number, role in enumerate(value):
        yield from _members(role, f"{field}[{number}]", required, optional)


_PERSON: dict[str, Check] = {
    "sourcedId": id_problems,
    "status": _one_of("active", "inactive", "tobedeleted"),
    "enabledUser": _one_of("true", "false"),
    "givenName": _text,
    "familyName": _text,
}
_TEXTS = (
    "email", "middleName", "preferredFirstName", "preferredMiddleName", "preferredLastName",
    "pronouns", "phone", "sms", "identifier", "userMasterIdentifier", "password",
)  # fmt: skip
_PERSON_OPTIONAL: dict[str, Check] = dict.fromkeys(_TEXTS, _text_or_null) | {
    "demographics": _demographics,
    "metadata": _object_or_null,
}


def student_problems(student: Any) -> Problems:
    """Yield the problems of a student, without its envelope."""
    required = _PERSON | {
        "username": _text_or_null,
        "primaryOrg": _reference("org"),
        "grades": _texts,
    }
    yield from _members(student, "", required, _PERSON_OPTIONAL)


def user_problems(user: Any) -> Problems:
    """Yield the problems of a user, without its envelope."""
    optional = _PERSON_OPTIONAL | {
        "username": _text_or_null,
        "primaryOrg": _reference_or_null,
        "grades": _texts_or_null,
    }
    yield from _members(user, "", _PERSON | {"roles": _roles}, optional)


def agent_problems(agent: Any) -> Problems:
    """Yield the problems of an agent link, whose body has no envelope."""
    required = {"user": _reference("user"), "relationshipType": _text}
    yield from _members(agent, "", required, {})
