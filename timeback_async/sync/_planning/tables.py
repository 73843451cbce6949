"""Keep a plan in its roster's database; the only module of planning that holds SQL on it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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
        key: "" of a new record, if the state knows nothing with which it had to be compared.
        source: The same.
        student, user, agent_id, relation: Of a link.
        hash: Of what is sent, empty for a removal; None if it had to be compared with nothing.
        gaps: What has to be looked up at the server, as JSON.
        file, line: Where it stands in the files; "" and 0 if it is absent there.
        sourced_id, body: Of a person in the files; `body` is the record as JSON.
        unsaid: What the files do not say of the person, as JSON.
    """

    phase: Phase
    action: Action
    kind: str
    key: str
    source: str
    student: str
    user: str
    agent_id: str
    relation: str
    hash: bytes | None
    gaps: bytes
    file: str
    line: int
    sourced_id: str | None
    body: bytes | None
    unsaid: bytes | None


# What a comparison writes of a change: phase, action, kind, key and source; the rowid of a person
# in the files; student, user, agent_id and relation of a link; hash, gaps, file and line. They are
# plain tuples, which sqlite3 binds in half the time that named ones take.
NewRow = tuple[
    Phase, Action, str, str, str, int | None, str, str, str, str, bytes, bytes, str, int
]  # fmt: skip


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


SCHEMA = """
CREATE TABLE changes (
    phase TEXT, action TEXT, kind TEXT, key TEXT, source TEXT, person INT, student TEXT, user TEXT,
    agent_id TEXT, relation TEXT, hash BLOB, gaps BLOB, file TEXT, line INT
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

    def add_changes(self, rows: Iterable[NewRow]) -> None:
        """Add changes in the order they are to be sent in."""
        self._db.executemany("INSERT INTO changes VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)

    def add_everything(
        self, id_of: Callable[[str], str], gaps_of: Callable[[bytes, bool], bytes]
    ) -> None:
        """Add everybody and every link in the files, to be sent for the first time.

        Args:
            id_of: Returns an id as the state keeps it.
            gaps_of: Returns what to look up of what the files do not say, of somebody new or not.
        """
        self._db.create_function("id_of", 1, id_of)
        self._db.create_function("gaps_of", 2, gaps_of)
        self._db.execute(
            """INSERT INTO changes
               SELECT iif(is_leaver, 'deactivations', 'people'),
               iif(is_leaver, 'deactivate', 'create'), kind, iif(is_leaver, id_of(id), ''), '',
               rowid, '', '', '', '', NULL,
               iif(length(gaps), gaps_of(gaps, NOT is_leaver), gaps), file, line
               FROM (SELECT rowid, status = 'tobedeleted' AS is_leaver, * FROM people)
               WHERE body IS NOT NULL ORDER BY rowid"""
        )
        # A link without a relation is hashed when TimeBack has said it.
        self._db.execute(
            """INSERT INTO changes
               SELECT 'links', 'link', 'agent', '', '', NULL, student, user, agent_id, relation,
               iif(length(gaps) AND relation = '', x'', NULL), gaps, file, line FROM links"""
        )

    def counts(self) -> Counter[tuple[Phase, Action]]:
        """Return how many changes of each phase and action there are."""
        query = """SELECT phase, action, count(*) FROM changes
                   GROUP BY phase, action ORDER BY min(rowid)"""
        return Counter({(phase, action): n for phase, action, n in self._db.execute(query)})

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
        query = """SELECT people.id, changes.file, changes.line
                   FROM changes JOIN people ON people.rowid = person
                   WHERE action = 'create' AND source = ? AND changes.kind IN (?, 'person')
                   ORDER BY changes.rowid LIMIT ?"""
        return self._db.execute(query, (source, kind, limit))

    # -- what a run reads

    def changes(self, phase: Phase) -> Iterator[ChangeRow]:
        """Yield the changes of one phase, in the order of the files."""
        query = """SELECT phase, action, changes.kind, key, source, student, user, agent_id,
                   changes.relation, hash, changes.gaps, changes.file, changes.line, id, body,
                   people.gaps FROM changes LEFT JOIN people ON people.rowid = person
                   WHERE phase = ? ORDER BY changes.rowid"""
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
