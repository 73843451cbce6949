"""What can be told only when all files of a roster are read: duplicates, strays and links."""

from typing import Any

from ._load import chunks
from ._roster import CHUNK, Count, Roster

__all__ = ["Resolver"]


class Resolver:
    """Finishes a roster.

    Args:
        roster: What has been read.
        relationship: Of agents who are no parent, guardian or relative; None for no link.
    """

    def __init__(self, roster: Roster, relationship: str | None) -> None:
        self._roster, self._relationship = roster, relationship
        self._db, self._tell = roster.db, roster.findings.tell
        self._dropped = 0

    def __call__(self) -> None:
        """Find duplicates and strays, and make links of references."""
        self._db.execute("CREATE INDEX people_id ON people (id)")
        self._find_duplicates()
        self._find_strays()
        self._find_same_people()
        self._link()
        one = self._db.execute(
            """SELECT total(kind = 'student'), total(kind = 'user'),
               (SELECT count(*) FROM links), total(body IS NULL) FROM people"""
        ).fetchone()
        unreadable = sum(source.unreadable for source in self._roster.sources.values())
        students, users, links, left_out = map(int, one)
        left_out += unreadable + self._dropped
        self._roster.count = Count(students, users, links, left_out)

    def _find_duplicates(self) -> None:
        query = """SELECT id, count(DISTINCT body) = 1 AND count(body) = count(*), count(body) > 0
                   FROM people GROUP BY id HAVING count(*) > 1"""
        for own, is_same, is_told in self._db.execute(query).fetchall():
            rows = self._db.execute(
                "SELECT rowid, file, line FROM people WHERE id = ? ORDER BY rowid", (own,)
            ).fetchall()
            # Rows that are left out anyway have told why.
            for _, file, line in (rows[1:] if is_same else rows) if is_told else ():
                code = "duplicate-same" if is_same else "duplicate-different"
                self._tell(code, file, line, "sourcedId", own)
            self._db.executemany(
                "DELETE FROM people WHERE rowid = ?", [row[:1] for row in rows[1:]]
            )
            if not is_same:
                self._dropped += len(rows) - 1
                self._db.execute("UPDATE people SET kind = '', body = NULL WHERE id = ?", (own,))

    def _find_strays(self) -> None:
        for table, key, code in (("births", "id", "demographics"), ("roles", "user", "roles")):
            query = f"""SELECT {key}, line FROM {table}
                        WHERE {key} NOT IN (SELECT id FROM people)"""  # noqa: S608
            for own, line in self._db.execute(query):
                self._tell(f"{code}-alone", self._roster.files[table], line, "", own)

    def _find_same_people(self) -> None:
        for field, table, value, person in (
            ("username", "people", "username", "id"),
            ("userIds", "identities", "identity", "person"),
        ):
            query = f"""SELECT min({person}), count(DISTINCT {person}) FROM {table}
                        WHERE {value} <> '' GROUP BY {value} HAVING count(DISTINCT {person}) > 1"""  # noqa: S608
            for own, count in self._db.execute(query):
                self._tell("same-person", field=field, detail=f"{own} and {count - 1} more")

    def _link(self) -> None:
        """Make links of references, whichever side names the other; said relations come first."""
        query = """SELECT min(file), min(line), agent FROM refs WHERE relation <> ''
                   GROUP BY min(person, agent), max(person, agent)
                   HAVING count(DISTINCT relation) > 1"""
        for file, line, agent in self._db.execute(query):
            self._tell("relation-differs", file, line, "relationshipRole", agent)
        query = """
            SELECT r.person, r.agent, r.relation, r.file, r.line,
                   p.kind, p.is_student, p.relation, p.status,
                   a.kind, a.is_student, a.relation, a.status
            FROM refs r LEFT JOIN people p ON p.id = r.person LEFT JOIN people a ON a.id = r.agent
            ORDER BY r.relation = '', r.rowid"""
        for chunk in chunks(self._db.execute(query), CHUNK):
            links, loose = [], []
            for one, other, said, file, line, *people in chunk:
                link = self._link_of(one, other, said, file, line, people[:4], people[4:])
                if link is not None:
                    links.append(link)
                else:
                    is_unknown = people[0] is None or people[4] is None
                    loose.append((one, other, file, line, is_unknown))
            self._db.executemany("INSERT OR IGNORE INTO links VALUES (?,?,?,?,?,?)", links)
            self._db.executemany("INSERT INTO loose VALUES (?,?,?,?,?)", loose)

    def _link_of(
        self, one: str, other: str, said: str, file: str, line: int, first: Any, second: Any
    ) -> tuple[str, str, str, str, str, int] | None:
        """Return the link of a reference, or None where there is none to be sent.

        `first` and `second` are kind, whether a student, relation and status of both people.
        """

        def tell(code: str, own: str) -> None:
            self._tell(code, file, line, "agentSourcedIds", own)

        unknown = [own for own, person in ((one, first), (other, second)) if person[0] is None]
        if unknown:
            if self._roster.sources[file].mode == "bulk":  # of a delta the state may know more
                tell("agent-unknown", unknown[0])
            return None
        if not (first[0] and second[0]):
            tell("agent-left-out", other)
            return None
        if bool(first[1]) == bool(second[1]):
            tell("agent-neither", other)
            return None
        student, agent, relation = (one, other, second[2]) if first[1] else (other, one, first[2])
        if "tobedeleted" in (first[3], second[3]):
            return None
        relation = said or relation or self._relationship
        if not relation:
            tell("agent-role", agent)
            return None
        return student, agent, "", relation, file, line  # without an id: it is derived from both
