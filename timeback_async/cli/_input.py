"""Read records from files: JSON Lines in wire form, and a OneRoster 1.1 `users.csv`.

A line that cannot be read becomes a `RecordError` in place of its record, so it gets a result like
any other record. A file that cannot be read at all is an error before anything is sent.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from ..errors import ConfigError, RecordError
from ..models import RoleName

__all__ = ["FAILURE", "InputRecord", "read_files"]

# The member that `--failures` adds to a record; reading the file again removes it.
FAILURE = "_failure"
TRUE, FALSE = {"true", "1", "yes"}, {"false", "0", "no"}
GUARDIANS = ("parent", "guardian", "relative")
TEXTS = ("username", "givenName", "familyName", "middleName", "email", "phone", "sms", "identifier")
# Exports write roles in upper or lower case.
ROLES = {role.lower(): role for role in get_args(RoleName)}
# OneRoster's REST names, which some exports use for the columns.
ALIASES = {"orgs": "orgSourcedIds", "agents": "agentSourcedIds"}

Row = dict[str, str]


class InputRecord(msgspec.Struct, frozen=True):
    """One record of a file, and its place.

    Attributes:
        record: The mapping in wire form, or a `RecordError`.
        file: The file's name.
        line: The line on which it begins, counted from 1.
        text: The line itself if it is not a record, else "".
    """

    record: Any
    file: str
    line: int
    text: str = ""


def read_files(
    paths: Iterable[Path], primary_org: str | None, relationship: str | None
) -> tuple[Iterator[InputRecord], int]:
    """Return the records of all files in order, and their number.

    All files are opened and counted before the first record is returned.

    Args:
        paths: `.jsonl` or `.ndjson` files, or OneRoster 1.1 `users.csv` files (`.csv`).
        primary_org: TimeBack's id of the org for everybody; None to use the orgs in the file.
        relationship: Relationship type for agents who are not parent, guardian or relative.

    Raises:
        ConfigError: A file cannot be read, or is of an unknown kind.
    """
    readers = [_reader(path, primary_org, relationship) for path in paths]
    entries = (entry for reader in readers for entry in reader.entries())
    return entries, sum(reader.count for reader in readers)


def _reader(
    path: Path, primary_org: str | None, relationship: str | None
) -> "_JsonLines | _UsersCsv":
    try:
        match path.suffix.lower():
            case ".jsonl" | ".ndjson":
                return _JsonLines(path)
            case ".csv":
                return _UsersCsv(path, primary_org, relationship)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8; save the file as UTF-8 and try again") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or 'cannot be read'}") from None
    raise ConfigError(f"{path}: must be a .jsonl, .ndjson or .csv file")


class _JsonLines:
    """Records in wire form, one per line; empty lines are skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = sum(1 for _ in self._lines())

    def entries(self) -> Iterator[InputRecord]:
        """Yield every record."""
        for number, text in self._lines():
            record = _parse(text)
            raw = text.decode(errors="replace") if isinstance(record, RecordError) else ""
            yield InputRecord(record, self._path.name, number, raw)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                text = line.removeprefix(b"\xef\xbb\xbf").strip()
                if text:
                    yield number, text


def _parse(text: bytes) -> Any:
    try:
        record = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return RecordError("", "not a line of JSON")
    if isinstance(record, dict):
        failure = record.pop(FAILURE, None)
        if not record and isinstance(failure, dict):  # the original line held no record either
            return RecordError(str(failure.get("field", "")), str(failure.get("reason", "")))
    return record


class _UsersCsv:
    """A OneRoster 1.1 `users.csv`, read twice: first for the roles, then for the records.

    A link is a pair of people. Exactly one of them is a student, and either of them may name the
    other: 1.1 files do both.

    Source: OneRoster 1.1 CSV binding.
    """

    def __init__(self, path: Path, primary_org: str | None, relationship: str | None) -> None:
        self._path = path
        self._primary_org = primary_org
        self._relationship = relationship
        self._roles: dict[str, str] = {}
        self._links: dict[
            tuple[str, str], int
        ] = {}  # by both people; the line of the first mention
        rows = 0
        for line, row in self._rows():
            rows += 1
            if isinstance(row, dict):
                self._note(line, row)
        self.count = rows + len(self._links)

    def _note(self, line: int, row: Row) -> None:
        person = row.get("sourcedId", "")
        self._roles[person] = row.get("role", "").lower()
        for agent in _cells(row.get("agentSourcedIds", "")):
            if (agent, person) not in self._links:
                self._links.setdefault((person, agent), line)

    def entries(self) -> Iterator[InputRecord]:
        """Yield every person, then every link, because a link needs both its people."""
        for line, row in self._rows():
            record = row if isinstance(row, RecordError) else self._person(row)
            yield InputRecord(record, self._path.name, line)
        for (one, other), line in self._links.items():
            yield InputRecord(self._link(one, other), self._path.name, line)

    def _rows(self) -> Iterator[tuple[int, Row | RecordError]]:
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [ALIASES.get(name.strip(), name.strip()) for name in next(reader, [])]
            for name in ("sourcedId", "role"):
                if name not in header:
                    raise ConfigError(
                        f"{self._path}: column {name!r} is missing; pass a OneRoster 1.1 users.csv"
                    )
            while True:
                line = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield line, RecordError("", f"not a CSV row: {error}")
                else:
                    if any(cells):
                        yield line, _row(header, cells)

    def _person(self, row: Row) -> dict[str, Any]:
        person: dict[str, Any] = {name: row[name] for name in TEXTS if row.get(name)}
        person["sourcedId"] = row.get("sourcedId", "")
        person["status"] = row.get("status", "").lower() or "active"
        person["enabledUser"] = _boolean(row.get("enabledUser", ""))
        orgs = _cells(row.get("orgSourcedIds", ""))
        orgs = [self._primary_org] if self._primary_org else orgs
        if orgs:
            person["primaryOrg"] = {"sourcedId": orgs[0]}
        grades, role = _cells(row.get("grades", "")), row.get("role", "")
        role = ROLES.get(role.lower(), role)
        if role == "student":
            return {"student": person | {"grades": grades}}
        if grades:
            person["grades"] = grades
        person["roles"] = [
            {"roleType": "primary", "role": role, "org": {"sourcedId": org}} for org in orgs
        ]
        return {"user": person}

    def _link(self, one: str, other: str) -> Any:
        for person in (one, other):
            if person not in self._roles:
                return RecordError("agentSourcedIds", f"{person!r} is not in this file")
        is_student = self._roles[one] == "student", self._roles[other] == "student"
        if is_student not in ((True, False), (False, True)):
            why = f"exactly one of {one!r} and {other!r} must be a student"
            return RecordError("agentSourcedIds", why)
        student, agent = (one, other) if is_student[0] else (other, one)
        role = self._roles[agent]
        kind = role if role in GUARDIANS else self._relationship
        if kind is None:
            why = f"{agent!r} is not a parent, guardian or relative; pass --relationship TYPE"
            return RecordError("relationshipType", why)
        return {"agent": {"studentId": student, "userId": agent, "relationshipType": kind}}


def _row(header: list[str], cells: list[str]) -> Row | RecordError:
    if any(cell.strip() for cell in cells[len(header) :]):
        return RecordError("", "the row has more cells than the header")
    return {name: cell.strip() for name, cell in zip(header, cells, strict=False)}


def _cells(text: str) -> list[str]:
    return [cell for cell in (part.strip() for part in text.split(",")) if cell]


def _boolean(text: str) -> str:
    """Return "true" or "false"; other text is returned as it is and becomes invalid."""
    lower = text.lower()
    return "true" if lower in TRUE else "false" if lower in FALSE else text
