"""What can be told only when all files of a roster are read: duplicates, strays and links."""

from .load import chunks
from .roster import CHUNK, Count, Roster

__all__ = ["Resolver"]


ENDED = "ended"
# Each reference with the link it would be, and what hinders it, causes before consequences.
REFERENCES = """
    SELECT *, CASE
        WHEN unknown IS NOT NULL THEN 'agent-unknown'
        WHEN '' IN (one_kind, other_kind) THEN 'agent-left-out'
        WHEN one_is_student = other_is_student THEN 'agent-neither'
        WHEN 'tobedeleted' IN (one_status, other_status) THEN 'ended'
        WHEN relation IS NULL THEN 'agent-role'
    END AS hindrance
    FROM (
        SELECT r.person, r.agent, r.relation AS said, r.file, r.line,
            iif(one.is_student, r.person, r.agent) AS student,
            iif(one.is_student, r.agent, r.person) AS user,
            coalesce(
                nullif(r.relation, ''),
                nullif(iif(one.is_student, other.relation, one.relation), ''),
                ?
            ) AS relation,
            CASE
                WHEN one.is_student IS NULL THEN r.person
                WHEN other.is_student IS NULL THEN r.agent
            END AS unknown,
            one.kind AS one_kind, one.is_student AS one_is_student, one.status AS one_status,
            other.kind AS other_kind, other.is_student AS other_is_student,
            other.status AS other_status
        FROM refs AS r
            LEFT JOIN people AS one ON one.id = r.person
            LEFT JOIN people AS other ON other.id = r.agent
    )"""


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
        # With all that links ask of people, whose records lie too far apart to be looked at.
        self._db.execute(
            "CREATE INDEX people_id ON people (id, kind, is_student, relation, status)"
        )
        self._find_duplicates()
        self._find_strays()
        self._find_same_people()
        self._link()
        one = self._db.execute(
            """SELECT total(kind = 'student'), total(kind IN ('user', 'person')),
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
        for said in ("<>", "="):
            self._db.execute(
                f"""INSERT OR IGNORE INTO links SELECT student, user, '', relation, file, line
                    FROM ({REFERENCES}) WHERE said {said} '' AND hindrance IS NULL""",  # noqa: S608
                (self._relationship,),
            )
        loose = self._db.execute(
            f"""SELECT person, agent, file, line, hindrance, user, unknown FROM ({REFERENCES})
                WHERE hindrance IS NOT NULL""",  # noqa: S608
            (self._relationship,),
        )
        for chunk in chunks(loose, CHUNK):
            self._db.executemany(
                "INSERT INTO loose VALUES (?,?,?,?,?)",
                [(*reference[:4], reference[-1] is not None) for reference in chunk],
            )
            for reference in chunk:
                self._tell_hindrance(*reference)

    def _tell_hindrance(
        self, _: str, agent: str, file: str, line: int, why: str, user: str, unknown: str | None
    ) -> None:
        if why == ENDED or (unknown and self._roster.sources[file].mode == "delta"):
            return  # it ends with its people; or the state may know more
        own = unknown or (user if why == "agent-role" else agent)
        self._tell(why, file, line, "agentSourcedIds", own)
