"""The rows that a roster's database takes and gives."""

from typing import NamedTuple

__all__ = [
    "HinderedReference",
    "LeftOut",
    "LinkRow",
    "PersonRow",
    "RecordRow",
    "Reference",
    "RepeatedId",
    "RowPlace",
    "UnresolvedReference",
]


class PersonRow(NamedTuple):
    """One row of a person; the fields are those of `MappedRow`, and where the row stands."""

    id: str
    kind: str
    is_student: bool | None
    relation: str
    status: str
    file: str
    line: int
    body: bytes | None
    username: str
    gaps: bytes


class RecordRow(NamedTuple):
    """What a comparison needs of a person; see `PersonRow`."""

    id: str
    kind: str
    status: str
    file: str
    line: int
    body: bytes | None
    gaps: bytes


class LinkRow(NamedTuple):
    """A link; `agent_id` is "" if it is derived from both people."""

    student: str
    user: str
    agent_id: str
    relation: str
    file: str
    line: int


class LeftOut(NamedTuple):
    """A row or line that is left out, or whose link is; its first reason.

    Attributes:
        file: The file's name.
        line: The line it begins on, from 1.
        field: The field that is wrong, or "".
        reason: What is wrong with it. It may hold ids, never another value.
        text: The line itself, if it is of JSON Lines and could be read; it may be personal.
    """

    file: str
    line: int
    field: str
    reason: str
    text: str = ""


class Reference(NamedTuple):
    """A person's row that names another person; `relation` is "" if the row does not say it."""

    person: str
    agent: str
    relation: str
    file: str
    line: int


class HinderedReference(NamedTuple):
    """A reference that cannot become a link.

    Attributes:
        why: The code of the finding; "ended" if the link ends with one of its people.
        user: The one of both who is not a student.
        unknown: The one of both who is in no file, or None.
    """

    person: str
    agent: str
    file: str
    line: int
    why: str
    user: str
    unknown: str | None


class UnresolvedReference(NamedTuple):
    """A reference without a link, for the comparison; `is_unknown`: one of both is in no file."""

    person: str
    agent: str
    file: str
    line: int
    is_unknown: bool


class RepeatedId(NamedTuple):
    """A sourcedId of several rows: whether all are the same, and whether any could be read."""

    id: str
    is_same: bool
    is_any_read: bool


class RowPlace(NamedTuple):
    """Where a row of a person stands."""

    rowid: int
    file: str
    line: int
