"""The records of the mock server, and how a list of them is filtered, sorted and paged."""

import re
from collections.abc import Callable
from operator import ge, gt, le, lt, ne
from typing import Any

__all__ = ["Stores", "select"]

Json = dict[str, Any]

_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "!=": ne, ">=": ge, "<=": le, "=": lambda a, b: a == b, ">": gt, "<": lt,
    "~": lambda a, b: b.casefold() in a.casefold(),
}  # fmt: skip
_PREDICATE = r"\s*([\w.]+)\s*(!=|>=|<=|=|>|<|~)\s*'((?:[^']|'')*)'\s*"
_expression = re.compile(rf"{_PREDICATE}(?:(AND|OR)\s{_PREDICATE})?").fullmatch


class Stores:
    """The records in memory, each a JSON object as it was last sent.

    Attributes:
        students: Students by sourcedId.
        users: Users by sourcedId.
        agents: Links by (student's sourcedId, agentId): `{"user": …, "relationshipType": …}`.
        orgs: Organisations by sourcedId.
    """

    def __init__(self) -> None:
        self.students: dict[str, Json] = {}
        self.users: dict[str, Json] = {}
        self.agents: dict[tuple[str, str], Json] = {}
        self.orgs: dict[str, Json] = {
            "org-district": _org("org-district", "District", "district", None),
            "org-1": _org("org-1", "First School", "school", "org-district"),
            "org-2": _org("org-2", "Second School", "school", "org-district"),
        }

    def put_student(self, student: Json) -> None:
        """Keep a student; who was a user until now is one no longer."""
        self.users.pop(student["sourcedId"], None)
        self.students[student["sourcedId"]] = student

    def put_user(self, user: Json) -> None:
        """Keep a user; who was a student until now is one no longer."""
        self.students.pop(user["sourcedId"], None)
        self.users[user["sourcedId"]] = user

    def person(self, sourced_id: str) -> Json | None:
        """Return the user or student with this id, or None."""
        return self.users.get(sourced_id) or self.students.get(sourced_id)

    def agents_of(self, student_id: str) -> list[Json]:
        """Return the links of a student, each with its `agentId`, as the API lists them."""
        return [
            {"agentId": agent_id, **agent}
            for (student, agent_id), agent in self.agents.items()
            if student == student_id
        ]


def _org(sourced_id: str, name: str, kind: str, parent: str | None) -> Json:
    org: Json = {"sourcedId": sourced_id, "status": "active", "name": name, "type": kind}
    org["parent"] = parent and {"sourcedId": parent, "type": "org", "href": ""}
    return org


def select(records: list[Json], query: dict[str, str]) -> tuple[list[Json], int, int, int]:
    """Return one page of records, its limit and offset, and the number of records on all pages.

    Raises:
        ValueError: A parameter is not valid; the argument is the parameter's name.
    """
    limit, offset = _number(query, "limit", 10), _number(query, "offset", 0)
    if not 1 <= limit <= 100:
        raise ValueError("limit")
    if expression := query.get("filter"):
        matches = _filter(expression)
        records = [record for record in records if matches(record)]
    order = query.get("orderBy", "ASC").upper()
    if order not in ("ASC", "DESC"):
        raise ValueError("orderBy")
    if field := query.get("sort"):
        records = sorted(records, key=lambda r: _value(r, field), reverse=order == "DESC")
    page = records[offset : offset + limit]
    if fields := query.get("fields"):
        wanted = {"sourcedId", *fields.split(",")}
        page = [{k: v for k, v in record.items() if k in wanted} for record in page]
    return page, limit, offset, len(records)


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise ValueError(name)
    return int(text)


def _filter(expression: str) -> Callable[[Json], bool]:
    match = _expression(expression)
    if match is None:
        raise ValueError("filter")
    field, operator, text, joined, *other = match.groups()
    predicates = [(field, operator, text)] + ([tuple(other)] if joined else [])
    combine = any if joined == "OR" else all

    def matches(record: Json) -> bool:
        return combine(
            _OPERATORS[operator](_value(record, field), text.replace("''", "'"))
            for field, operator, text in predicates
        )

    return matches


def _value(record: Json, field: str) -> str:
    value: Any = record
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)
