"""OneRoster packages for the tests: rows as mappings, written as a folder or a zip."""

import csv
import io
import weakref
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from timeback_async import AgentLink, Student, User
from timeback_async.sync import Entry, ReadOptions, Roster, read_roster
from timeback_async.sync._planning.entry import line

__all__ = [
    "FAMILY",
    "adult",
    "child",
    "codes",
    "csv_text",
    "folder",
    "lines",
    "manifest",
    "mapping",
    "opened",
    "org",
    "person",
    "read",
    "records",
    "role",
    "school",
    "users",
    "wrong",
    "zipped",
]

Row = Mapping[str, str]
FILES = ("orgs", "roles", "userProfiles", "demographics", "users")


def person(own: str, role: str = "student", **cells: str) -> dict[str, str]:
    """Return a row of a 1.1 users.csv. Whatever is personal in it says so."""
    row = {
        "sourcedId": own,
        "status": "",
        "enabledUser": "true",
        "orgSourcedIds": "school",
        "role": role,
        "username": f"canary-{own}",
        "givenName": f"Canary{own}",
        "familyName": "Canary",
        "email": f"{own}@canary.example",
        "agentSourcedIds": "",
        "grades": "",
        "password": "CanaryPassword",
    }
    return row | cells


def child(own: str = "s-1", agents: str = "", **cells: str) -> dict[str, str]:
    return person(own, agentSourcedIds=agents, **{"grades": "05"} | cells)


def adult(own: str = "u-1", role: str = "parent", agents: str = "", **cells: str) -> dict[str, str]:
    return person(own, role, agentSourcedIds=agents, **cells)


FAMILY = (child("s-1", "u-1"), child("s-2", "u-1"), adult("u-1"))


def org(own: str = "school", kind: str = "school") -> dict[str, str]:
    return {"sourcedId": own, "name": f"Org {own}", "type": kind}


def role(user: str, name: str = "student", kind: str = "primary", **cells: str) -> dict[str, str]:
    """Return a row of a 1.2 roles.csv."""
    row = {
        "sourcedId": f"role-{user}-{name}",
        "userSourcedId": user,
        "roleType": kind,
        "role": name,
        "beginDate": "",
        "endDate": "",
        "orgSourcedId": "school",
        "userProfileSourcedId": "",
    }
    return row | cells


def manifest(version: str = "1.1", **modes: str) -> list[Row]:
    """Return the rows of a manifest: the mode of each file by its name."""
    properties = {"manifest.version": "1.0", "oneroster.version": version}
    properties |= {f"file.{name}": mode for name, mode in modes.items()}
    return [{"propertyName": name, "value": value} for name, value in properties.items()]


def csv_text(rows: Sequence[Row], delimiter: str = ",", end: str = "\r\n") -> str:
    """Return rows as CSV, under all the columns that any of them has."""
    stream = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(stream, columns, restval="", delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def school(*people: Row, version: str = "1.1", mode: str = "bulk", **files: Any) -> dict[str, str]:
    """Return a package: texts by file name, with a manifest and a school, unless told otherwise.

    Args:
        people: The rows of users.csv.
        version: Of OneRoster, "" for a set without a manifest.
        mode: Of every file that is there.
        files: Rows of more files, by their name without `.csv`.
    """
    tables: dict[str, Sequence[Row]] = {"orgs": [org()], "users": people} | files
    if version:
        modes = {name: mode if tables.get(name) else "absent" for name in FILES}
        tables = {"manifest": manifest(version, **modes)} | tables
    return {f"{name}.csv": csv_text(rows) for name, rows in tables.items() if rows}


def folder(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files into a folder of their own; return it."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def zipped(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files into a zip; return it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            package.writestr(name, text)
    return path


def users(path: Path, text: str | bytes, name: str = "users.csv") -> Path:
    """Write one file that is read alone; return it."""
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return path / name


def mapping(path: Path, text: str) -> Path:
    """Write a TOML file; return it."""
    path.write_text(text, "utf-8")
    return path


def read(path: Path, files: Mapping[str, str | bytes], **options: Any) -> Roster:
    """Write a folder below a path, and read it; see `opened`."""
    return opened(folder(path / "roster", files), **options)


def opened(path: Path, **options: Any) -> Roster:
    """Read a roster that is closed when the test lets go of it."""
    roster = read_roster(path, ReadOptions(**options))
    weakref.finalize(roster, roster.database.connection.close)
    return roster


def records(roster: Roster) -> dict[str, Student | User | AgentLink]:
    """Return every record by its id; a link by the ids of its student and its agent."""
    return {
        f"{each.student_id}+{each.user_id}"
        if isinstance(each, AgentLink)
        else each.sourced_id: each
        for each in roster.records()
    }


def codes(roster: Roster) -> dict[str, int]:
    """Return how often each code was found."""
    found: dict[str, int] = {}
    for cause in roster.findings.causes:
        found[cause.code] = found.get(cause.code, 0) + cause.count
    return found


def wrong(roster: Roster) -> list[str]:
    """Return the findings that are no notes, as a person reads them."""
    causes = (cause for cause in roster.findings.causes if cause.severity != "note")
    return [f"{each.code} {each}" for cause in causes for each in cause.examples]


def lines(entries: Iterable[Entry]) -> bytes:
    """Return outcomes as a state writes them."""
    return b"".join(map(line, entries))
