"""The rows that a roster's database takes and gives."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

__all__ = [
    "HinderedReference",
    "LeftOut",
    "LinkRow",
    "PersonRow",
    "RecordRow",
    "Reference",
    "RepeatedId",
    "RepeatedRow",
    "RowPlace",
    "UnresolvedReference",
    "chunks",
    "named",
]


# Plain tuples, of which there are millions: NamedTuples made reading and planning 5 % slower.
#   id, kind, is_student, relation, status, file, line, body, username, gaps; see `MappedRow`
PersonRow = tuple[
    str, str, int | None, str, str, str, int, bytes | bytearray | None, str, bytes | bytearray
]
#   id, rowid, kind, status, file, line, body, gaps: what a comparison needs of a person
RecordRow = tuple[str, int, str, str, str, int, bytes | None, bytes]
#   student, user, agent_id ("" if it is derived from both people), relation, file, line, gaps
LinkRow = tuple[str, str, str, str, str, int, bytes]
#   person, agent (whom the person's row names), relation ("" if it does not say it), file, line
Reference = tuple[str, str, str, str, int]


class LeftOut(NamedTuple):
    """A row or line that is left out, or whose link is; its first reason.

    Attributes:
        file: The file's name.
        line: The line it begins on, from 1.
        field: The field that is wrong, or "".
        reason: What is wrong with it. It may hold ids, never another value.
        text: The line itself, if it is of JSON Lines; it may be personal.
    """

    file: str
    line: int
    field: str
    reason: str
    text: bytes = b""

    def __repr__(self) -> str:
        return f"<LeftOut {self.file}:{self.line}: {self.field}: {self.reason}>"


def named(row_type: Any, rows: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """Yield rows as a NamedTuple."""
    # `_make` would run Python code for each row.
    return map(partial(tuple.__new__, row_type), rows)


def chunks(rows: Any, size: int) -> Iterator[Sequence[Any]]:
    """Yield rows in lists of at most `size`."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


class HinderedReference(NamedTuple):
    """A reference that cannot become a link.

    Attributes:
        why: The code of the finding; "ended" if the link ends with one of its people.
        student, user: Both, by which of them is a student; None if the files say it of neither.
        unknown: The first of both of whom they do not say it, mostly one in no file; or None.
        relation: What the files say of it, or "".
    """

    person: str
    agent: str
    file: str
    line: int
    why: str
    student: str | None
    user: str | None
    unknown: str | None
    relation: str


class UnresolvedReference(NamedTuple):
    """A reference of which the files alone make no link, for the comparison.

    Attributes:
        student: Which of both is the student; "" if the files do not say it.
        relation: What the files say of it, or "".
        gaps: What TimeBack may know that makes it a link, as JSON; empty for nothing.
    """

    person: str
    agent: str
    file: str
    line: int
    student: str
    relation: str
    gaps: bytes


class RepeatedId(NamedTuple):
    """A sourcedId of several rows: whether all are the same, and whether any could be read."""

    id: str
    is_same: bool
    is_any_read: bool


class RowPlace(NamedTuple):
    """The place of one row of a person, and its record; None if it is left out."""

    rowid: int
    file: str
    line: int
    kind: str
    body: bytes | None


class RepeatedRow(NamedTuple):
    """One of several rows of a person, with its record, and its cells as JSON."""

    rowid: int
    id: str
    file: str
    line: int
    kind: str
    body: bytes
    cells: bytes
