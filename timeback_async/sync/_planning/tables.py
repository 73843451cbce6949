"""Keep a plan in its roster's database; the only module of planning that holds SQL on it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from .._reading.database import RosterDatabase
from .._reading.records import named
from .entry import Group

__all__ = ["Action", "ChangeRow", "Phase", "PlanTables", "Present"]

Action = Literal["create", "update", "link", "relink", "unlink", "deactivate"]
Phase = Literal["people", "links", "unlinks", "deactivations"]


class ChangeRow(NamedTuple):
    """One record to be sent. Ids are as the files have them, `key` as the state keeps it.

    Attributes:
        sourced_id, body: Of a person in the files; `body` is the record as JSON.
        student, user, agent_id, relation: Of a link.
        hash: Of what is sent; empty for a removal.
        file, line: Where it stands in the files; "" and 0 if it is absent there.
        gaps: What has to be looked up at the server, as JSON.
    """

    phase: Phase
    action: Action
    kind: str
    key: str
    source: str
    sourced_id: str = ""
    body: bytes | None = None
    student: str = ""
    user: str = ""
    agent_id: str = ""
    relation: str = ""
    hash: bytes = b""
    file: str = ""
    line: int = 0
    gaps: bytes = b""


class Present(NamedTuple):
    """A record that is in the files, sent or not.

    Attributes:
        key: Its id as the state keeps it.
        id: The sourcedId of a person; "" for a link.
        is_left_out: Whether its row is left out.
    """

    key: str
    id: str
    is_left_out: bool


COLUMNS = ", ".join(ChangeRow._fields)
MARKS = ",".join("?" * len(ChangeRow._fields))
SCHEMA = """
CREATE TABLE changes (
    phase TEXT, action TEXT, kind TEXT, key TEXT, source TEXT, sourced_id TEXT, body BLOB,
    student TEXT, user TEXT, agent_id TEXT, relation TEXT, hash BLOB, file TEXT, line INT, gaps BLOB
);
CREATE TABLE changed_source (source TEXT, key TEXT);
CREATE TABLE absent (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE present (key TEXT PRIMARY KEY, id TEXT, is_left_out INT) WITHOUT ROWID;
"""


class PlanTables:
    """The tables of one plan, made in the database of its roster.

    Args:
        database: The roster's; it can hold one plan.
    """

    def __init__(self, database: RosterDatabase) -> None:
        self._db = database.connection
        self._db.executescript(SCHEMA)
        self._db.execute("BEGIN")  # `executescript` has ended the database's only transaction

    # -- what a comparison writes, and asks

    def add_changes(self, rows: Iterable[ChangeRow]) -> None:
        """Add changes in the order they are to be sent in."""
        # sqlite3 binds plain tuples in half the time that named ones take.
        query = f"INSERT INTO changes ({COLUMNS}) VALUES ({MARKS})"  # noqa: S608
        self._db.executemany(query, map(tuple, rows))

    def add_present(self, rows: Iterable[tuple[str, str, bool]]) -> None:
        """Add records of the files, the fields of `Present`; the first one of a key counts."""
        self._db.executemany("INSERT OR IGNORE INTO present VALUES (?,?,?)", rows)

    def add_absent(self, keys: Iterable[str]) -> None:
        """Add records that the files no longer hold."""
        self._db.executemany("INSERT INTO absent VALUES (?)", ((key,) for key in keys))

    def is_absent(self, key: str) -> bool:
        """Whether `add_absent` was given a key."""
        query = "SELECT EXISTS (SELECT 1 FROM absent WHERE key = ?)"
        return bool(self._db.execute(query, (key,)).fetchone()[0])

    def add_changed_source(self, source: str, key: str) -> None:
        """Add an unchanged record that comes from another file than before."""
        self._db.execute("INSERT INTO changed_source VALUES (?,?)", (source, key))

    def present(self, key: str) -> Present | None:
        """Return the record with a key, or None if it is in no file."""
        query = "SELECT key, id, is_left_out FROM present WHERE key = ?"
        found = self._db.execute(query, (key,)).fetchone()
        return found and Present._make(found)

    def new(self) -> Counter[Group]:
        """Return how many records were never sent, of each source and kind."""
        query = """SELECT source, kind, count(*) FROM changes WHERE action IN ('create', 'link')
                   GROUP BY source, kind"""
        return Counter({Group(*group): count for *group, count in self._db.execute(query)})

    def new_people(self, source: str, kind: str, limit: int) -> Iterator[tuple[str, str, int]]:
        """Yield id, file and line of the first people of a source who were never sent."""
        query = """SELECT sourced_id, file, line FROM changes
                   WHERE action = 'create' AND source = ? AND kind IN (?, 'person') LIMIT ?"""
        return self._db.execute(query, (source, kind, limit))

    # -- what a run reads

    def changes(self, phase: Phase) -> Iterator[ChangeRow]:
        """Yield the changes of one phase, in the order of the files."""
        query = f"SELECT {COLUMNS} FROM changes WHERE phase = ? ORDER BY rowid"  # noqa: S608
        return named(ChangeRow, self._db.execute(query, (phase,)))

    def has_gaps(self) -> bool:
        """Whether something has to be looked up at the server."""
        query = "SELECT EXISTS (SELECT 1 FROM changes WHERE length(gaps) > 0)"
        return bool(self._db.execute(query).fetchone()[0])

    def changing(self) -> Iterator[str]:
        """Yield the keys of all changes to records that may be at the server already."""
        query = "SELECT key FROM changes WHERE action NOT IN ('create', 'link') ORDER BY key"
        return (key for (key,) in self._db.execute(query))

    def changed_source(self) -> Iterator[tuple[str, str]]:
        """Yield what `add_changed_source` was given."""
        return self._db.execute("SELECT source, key FROM changed_source")
