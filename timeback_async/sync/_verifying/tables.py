"""What a comparison with TimeBack looks up in a roster's database, and what it keeps there.

The only module of verifying that holds SQL. What is kept is on disk with the roster, so memory
does not grow with the number of people.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from .._reading.database import RosterDatabase
from .._reading.records import LinkRow, named

__all__ = ["Person", "VerifyTables"]

AT_ONCE = 500
TABLES = {
    "seen": "person INTEGER PRIMARY KEY",  # rows of people whom TimeBack has listed
    "wanted": "person INTEGER PRIMARY KEY",  # those who are to be looked up one by one
    "asked": "student TEXT PRIMARY KEY",  # students whose links are read
    "strangers": "id TEXT PRIMARY KEY, kind TEXT",  # listed, and in no file
    "aliases": "id TEXT PRIMARY KEY, own TEXT",  # ids that TimeBack has in place of our own
}
# Students whose links are read though the files have none: not those who leave.
STAYING = """SELECT id FROM people
             WHERE kind = 'student' AND body IS NOT NULL AND status <> 'tobedeleted'"""


class Person(NamedTuple):
    """A person of the files.

    Attributes:
        rowid: The number of the row in the database.
        is_seen: Whether TimeBack has listed this person.
    """

    rowid: int
    id: str
    kind: str
    status: str
    file: str
    line: int
    body: bytes | None
    gaps: bytes
    is_seen: bool


class VerifyTables:
    """The tables of one comparison; those of an earlier one are deleted.

    Args:
        database: The roster's.
    """

    def __init__(self, database: RosterDatabase) -> None:
        self._db = database.connection
        for table, columns in TABLES.items():
            self._db.execute(f"DROP TABLE IF EXISTS {table}")
            is_by_id = "TEXT PRIMARY KEY" in columns
            self._db.execute(
                f"CREATE TABLE {table} ({columns}){' WITHOUT ROWID' if is_by_id else ''}"
            )
        self._db.execute("CREATE INDEX IF NOT EXISTS open_links ON unresolved (person, agent)")

    def _number(self, query: str) -> int:
        number: int = self._db.execute(query).fetchone()[0]
        return number

    # -- people

    def number_of_people(self) -> int:
        """Return how many people can be compared."""
        return self._number("SELECT count(*) FROM people WHERE body IS NOT NULL")

    def people_among(self, ids: Iterable[str]) -> dict[str, Person]:
        """Return those of some people who are in the files, by id; left-out ones, too."""
        query = """SELECT rowid, id, kind, status, file, line, body, gaps,
                   EXISTS (SELECT 1 FROM seen WHERE person = people.rowid)
                   FROM people WHERE id IN (SELECT value FROM json_each(?))"""
        rows = self._db.execute(query, (msgspec.json.encode(list(ids)).decode(),))
        return {person.id: person for person in named(Person, rows)}

    def add_seen(self, people: Iterable[Person]) -> None:
        """Note that TimeBack has listed people."""
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ((p.rowid,) for p in people))

    def want_unseen(self) -> None:
        """Note that everybody is to be looked up whom TimeBack has not listed."""
        self._db.execute(
            """INSERT INTO wanted SELECT rowid FROM people
               WHERE body IS NOT NULL AND rowid NOT IN (SELECT person FROM seen)"""
        )

    def want_some(self, number: int) -> None:
        """Note that some people, chosen at random, are to be looked up."""
        self._db.execute(
            """INSERT INTO wanted SELECT rowid FROM people WHERE body IS NOT NULL
               ORDER BY random() LIMIT ?""",
            (number,),
        )

    def number_wanted(self) -> int:
        """Return how many people are to be looked up."""
        return self._number("SELECT count(*) FROM wanted")

    def wanted(self) -> Iterator[str]:
        """Yield the ids of those to be looked up, in the order of the files."""
        query = """SELECT rowid, id FROM people
                   WHERE rowid IN (SELECT person FROM wanted) AND rowid > ?
                   ORDER BY rowid LIMIT ?"""
        for rows in self._pages(query, 0):
            yield from (own for _, own in rows)

    # -- people who are in no file

    def add_strangers(self, people: Iterable[tuple[str, str]]) -> None:
        """Note people by id and kind whom TimeBack has listed, and no file has."""
        self._db.executemany("INSERT OR IGNORE INTO strangers VALUES (?,?)", people)

    def add_alias(self, there: str, own: str) -> None:
        """Note that TimeBack has somebody under another id."""
        self._db.execute("DELETE FROM strangers WHERE id = ?", (there,))
        self._db.execute("INSERT OR REPLACE INTO aliases VALUES (?,?)", (there, own))

    def own_id(self, there: str) -> str:
        """Return the id in the files of somebody whom TimeBack has under an id."""
        found = self._db.execute("SELECT own FROM aliases WHERE id = ?", (there,)).fetchone()
        return found[0] if found else there

    def strangers(self) -> Iterator[list[tuple[str, str]]]:
        """Yield id and kind of people who are in no file, some at once."""
        query = "SELECT id, kind FROM strangers WHERE id > ? ORDER BY id LIMIT ?"
        return self._pages(query, "")

    def _pages(self, query: str, last: str | int) -> Iterator[list[Any]]:
        """Yield rows, some at once: each query goes on behind the first column of the last row."""
        while rows := self._db.execute(query, (last, AT_ONCE)).fetchall():
            yield rows
            last = rows[-1][0]

    # -- links

    def ask_students(self, *, all_of_them: bool, only_wanted: bool) -> int:
        """Choose the students whose links are read; return how many there are.

        Args:
            all_of_them: Whether to choose those without a link in the files, too.
            only_wanted: Whether to choose none but those who are looked up.
        """
        chosen = "SELECT id FROM people WHERE rowid IN (SELECT person FROM wanted)"
        of_links, of_people = "SELECT student FROM links", STAYING
        if only_wanted:
            of_links += f" WHERE student IN ({chosen})"
            of_people += " AND rowid IN (SELECT person FROM wanted)"
        for query in (of_links, of_people) if all_of_them else (of_links,):
            self._db.execute(f"INSERT OR IGNORE INTO asked {query}")
        return self._number("SELECT count(*) FROM asked")

    def asked(self) -> Iterator[str]:
        """Yield the ids of the students whose links are read."""
        query = "SELECT student FROM asked WHERE student > ? ORDER BY student LIMIT ?"
        for rows in self._pages(query, ""):
            yield from (student for (student,) in rows)

    def links_of(self, student: str) -> list[LinkRow]:
        """Return the links of a student in the files."""
        query = """SELECT student, user, agent_id, relation, file, line, gaps FROM links
                   WHERE student = ?"""
        return self._db.execute(query, (student,)).fetchall()

    def is_open(self, one: str, other: str) -> bool:
        """Whether the files leave open if two people are linked, or one of both is left out."""
        query = """SELECT EXISTS (SELECT 1 FROM unresolved WHERE (person, agent) = (:one, :other)
                   OR (person, agent) = (:other, :one))
                   OR EXISTS (SELECT 1 FROM people WHERE id IN (:one, :other) AND body IS NULL)"""
        return bool(self._db.execute(query, {"one": one, "other": other}).fetchone()[0])
