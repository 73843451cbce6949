"""Keep what was read in a temporary database; the only module of reading that holds SQL.

SQLite keeps the database on disk for its connection alone and deletes it with that, so memory
depends neither on the number of people nor on the order of the files. It is one module, though a
long one, so that the order of columns and the meaning of a table are known in one place.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ...errors import ConfigError
from .files import IS_UNWANTED
from .records import (
    HinderedReference,
    LeftOut,
    LinkRow,
    PersonRow,
    RecordRow,
    Reference,
    RepeatedId,
    RepeatedRow,
    RowPlace,
    UnresolvedReference,
    named,
)
from .roles import RoleRow
from .values import UNREADABLE

__all__ = ["ROLE_FIELDS", "RosterDatabase", "writing"]

STEPS = 1_000_000  # of SQLite's machine, between two looks whether anybody waits: some 10 ms
# What `RosterDatabase.add_roles` takes of a row of roles.csv, before the line.
ROLE_FIELDS = (
    "userSourcedId", "roleType", "role", "orgSourcedId", "beginDate", "endDate",
    "userProfileSourcedId", "grade", "status",
)  # fmt: skip
SCHEMA = """
CREATE TABLE people (
    id TEXT, kind TEXT, is_student INT, relation TEXT, status TEXT, file TEXT, line INT,
    body BLOB, username TEXT, gaps BLOB
);
CREATE TABLE roles (
    user TEXT, role_type TEXT, role TEXT, org TEXT, begin TEXT, end TEXT, profile TEXT, grade TEXT,
    status TEXT, line INT
);
CREATE TABLE demographics (id TEXT, birth_date TEXT, line INT);
CREATE TABLE profiles (user TEXT, username TEXT);
CREATE TABLE dropped (id TEXT, username TEXT);
CREATE TABLE identities (identity TEXT, person TEXT);
CREATE TABLE refs (person TEXT, agent TEXT, relation TEXT, file TEXT, line INT);
CREATE TABLE contacts (student TEXT, email TEXT, relation TEXT, file TEXT, line INT);
CREATE TABLE emails (email TEXT, person TEXT);
CREATE TABLE holders (person TEXT, role TEXT, org TEXT, rest INT);
CREATE TABLE relatives (person TEXT, other TEXT, relation TEXT);
CREATE TABLE unresolved (
    person TEXT, agent TEXT, file TEXT, line INT, student TEXT, relation TEXT, gaps BLOB
);
CREATE TABLE repeated (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE repeated_rows (
    id TEXT, file TEXT, line INT, cells BLOB, PRIMARY KEY (id, file, line)
) WITHOUT ROWID;
CREATE TABLE fragments (id TEXT PRIMARY KEY, of TEXT, line INT);
CREATE TABLE prints (file TEXT, number INT, prints BLOB, PRIMARY KEY (file, number));
CREATE TABLE left_out (file TEXT, line INT, field TEXT, reason TEXT, text BLOB);
CREATE INDEX left_out_place ON left_out (file, line);
CREATE TABLE links (
    student TEXT, user TEXT, agent_id TEXT, relation TEXT, file TEXT, line INT, gaps BLOB,
    PRIMARY KEY (student, user, agent_id)
) WITHOUT ROWID;
"""
# Of two linked people one is a student: what one of them is says it of both.
ONE_LEARNS = "coalesce(one.is_student, 1 - other.is_student)"
# Each reference with the link it would become, and what hinders it, causes before consequences.
REFERENCES = f"""
    SELECT *, coalesce(said, :relationship) AS relation, CASE
        WHEN 'tobedeleted' IN (one_status, other_status) THEN 'ended'
        WHEN '' IN (one_kind, other_kind) THEN 'agent-left-out'
        WHEN unknown IS NOT NULL THEN 'agent-unknown'
        WHEN one_is_student = other_is_student THEN 'agent-neither'
        WHEN coalesce(said, :relationship) IS NULL THEN 'agent-role'
    END AS hindrance
    FROM (
        SELECT r.person, r.agent, r.relation AS written, r.file, r.line,
            CASE {ONE_LEARNS} WHEN 1 THEN r.person WHEN 0 THEN r.agent END AS student,
            CASE {ONE_LEARNS} WHEN 1 THEN r.agent WHEN 0 THEN r.person END AS user,
            coalesce(
                nullif(r.relation, ''),
                CASE {ONE_LEARNS}
                    WHEN 1 THEN nullif(other.relation, '') WHEN 0 THEN nullif(one.relation, '')
                END
            ) AS said,
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
    )"""  # noqa: S608


class RosterDatabase:
    """The tables of one roster.

    Attributes:
        connection: For the tables that a plan adds; one thread uses it at a time.
        lock: Held by that thread.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        db = self.connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + SCHEMA)
        db.execute("PRAGMA cache_size=-32768")
        db.set_progress_handler(IS_UNWANTED.get(), STEPS)  # some statements take many seconds
        db.execute("BEGIN")  # one transaction that never ends: a commit costs more than a row

    def close(self) -> None:
        """Delete everything, as soon as no other thread uses it."""
        self.connection.interrupt()
        with self.lock:
            self.connection.close()

    # -- what the files hold

    def add_roles(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows of roles.csv: the cells of ROLE_FIELDS, then the line."""
        self._add("roles", 10, rows)
        self.connection.execute("CREATE INDEX IF NOT EXISTS roles_user ON roles (user)")

    def add_profiles(self, rows: Iterable[tuple[str, str]]) -> None:
        """Add rows of userProfiles.csv: user and username."""
        self._add("profiles", 2, rows)
        self.connection.execute("CREATE INDEX IF NOT EXISTS profiles_user ON profiles (user)")

    def add_demographics(self, rows: Iterable[tuple[str, str, int]]) -> None:
        """Add rows of demographics.csv: id, birth date as it is written, line."""
        self._add("demographics", 3, rows)
        self.connection.execute("CREATE INDEX IF NOT EXISTS demographics_id ON demographics (id)")

    def add_people(self, rows: Iterable[PersonRow]) -> None:
        """Add people in the order of the files."""
        self._add("people", 10, rows)

    def add_references(self, rows: Iterable[Reference]) -> None:
        """Add references of one person to another."""
        self._add("refs", 5, rows)

    def add_contacts(self, rows: Iterable[Sequence[object]]) -> None:
        """Add relationships that name the other one by e-mail: student, e-mail, as references."""
        self._add("contacts", 5, rows)

    def add_emails(self, rows: Iterable[tuple[str, str]]) -> None:
        """Add e-mails of people without a role, and their ids."""
        self._add("emails", 2, rows)

    def add_holders(self, rows: Iterable[tuple[str, str, str, int]]) -> None:
        """Add people who hold a role in a file of people: id, role, org, a digest of the rest."""
        self._add("holders", 4, rows)

    def add_identities(self, rows: Iterable[tuple[str, str]]) -> None:
        """Add identifiers that belong to one person alone: identifier and sourcedId."""
        self._add("identities", 2, rows)

    def relation_of(self, student: str, user: str, agent_id: str) -> str | None:
        """Return the relation of a link that was added, or None."""
        query = "SELECT relation FROM links WHERE (student, user, agent_id) = (?,?,?)"
        found: tuple[str] | None = self.connection.execute(
            query, (student, user, agent_id)
        ).fetchone()
        return found[0] if found else None

    def add_link(self, link: LinkRow) -> None:
        """Add a link; a later one of the same people and the same id replaces it."""
        self.connection.execute("INSERT OR REPLACE INTO links VALUES (?,?,?,?,?,?,?)", link)

    def add_left_out(self, row: LeftOut) -> None:
        """Add a row that is left out. Rows of a file of failures may have one first place."""
        self.connection.execute("INSERT INTO left_out VALUES (?,?,?,?,?)", row)

    def add_if_new(self, row: LeftOut) -> None:
        """Add a row that is left out, if none is known of its place: the first reason counts."""
        if not self._exists("SELECT 1 FROM left_out WHERE file = ? AND line = ?", row[:2]):
            self.add_left_out(row)

    def _add(self, table: str, width: int, rows: Iterable[Sequence[object]]) -> None:
        marks = ",".join("?" * width)
        self.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608

    # -- what the files say of some people

    def has_rows(self, table: str) -> bool:
        """Whether a table has any row."""
        return self._exists(f"SELECT 1 FROM {table}")  # noqa: S608

    def has_roles_without_user(self) -> bool:
        """Whether a row of roles.csv has no userSourcedId."""
        return self._exists("SELECT 1 FROM roles WHERE user = ''")

    def has_demographics_without_id(self) -> bool:
        """Whether a row of demographics.csv has no sourcedId."""
        return self._exists("SELECT 1 FROM demographics WHERE id = ''")

    def roles_of(self, ids: str) -> dict[str, list[RoleRow]]:
        """Return the roles of people, by their id; `ids` is a JSON list."""
        found: dict[str, list[RoleRow]] = {}
        query = """SELECT user, lower(role_type), role, org, begin, end, profile, grade FROM roles
                   WHERE user IN (SELECT value FROM json_each(?)) AND lower(status) <> 'tobedeleted'
                   ORDER BY rowid"""
        for user, *rest in self.connection.execute(query, (ids,)):
            found.setdefault(user, []).append(RoleRow(*rest))
        return found

    def ended_roles_of(self, ids: str) -> dict[str, list[tuple[str, str]]]:
        """Return role and org of the roles that end, by the person's id; `ids` is a JSON list."""
        found: dict[str, list[tuple[str, str]]] = {}
        query = """SELECT user, role, org FROM roles
                   WHERE user IN (SELECT value FROM json_each(?)) AND lower(status) = 'tobedeleted'
                   ORDER BY rowid"""
        for user, role, org in self.connection.execute(query, (ids,)):
            found.setdefault(user, []).append((role, org))
        return found

    def found_contacts(self) -> Iterator[tuple[str, str, str, int, str | None, int]]:
        """Yield each contact with one person who has the e-mail, and how many have it."""
        self.connection.execute("CREATE INDEX emails_email ON emails (email)")
        return self.connection.execute(
            """SELECT student, relation, file, line, min(person), count(DISTINCT person)
               FROM contacts LEFT JOIN emails USING (email)
               GROUP BY contacts.rowid ORDER BY contacts.rowid"""
        )

    def relate(self) -> None:
        """Make all references, which have to be those of relationships, known to `relatives_of`."""
        for statement in (
            "INSERT INTO relatives SELECT person, agent, relation FROM refs",
            "INSERT INTO relatives SELECT agent, person, relation FROM refs",
            "CREATE INDEX relatives_person ON relatives (person)",
            "CREATE INDEX holders_person ON holders (person)",
            # Rows of one id that are of different people are not sent, so that they say nothing.
            """DELETE FROM holders WHERE person IN (
                   SELECT person FROM holders GROUP BY person HAVING count(DISTINCT rest) > 1)""",
        ):
            self.connection.execute(statement)

    def relatives_of(self, ids: str) -> dict[str, list[tuple[str, str]]]:
        """Return each one's relatives: their id and the relation; `ids` is a JSON list."""
        return self._pairs_of("relatives", "other, relation", ids)

    def holders_of(self, ids: str) -> dict[str, list[tuple[str, str]]]:
        """Return role and org that files of people give somebody; see above."""
        return self._pairs_of("holders", "role, org", ids)

    def _pairs_of(self, table: str, columns: str, ids: str) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        query = f"""SELECT person, {columns} FROM {table}
                    WHERE person IN (SELECT value FROM json_each(?)) ORDER BY rowid"""  # noqa: S608
        for person, one, other in self.connection.execute(query, (ids,)):
            found.setdefault(person, []).append((one, other))
        return found

    def birth_dates_of(self, ids: str) -> dict[str, str]:
        """Return birth dates by id, or UNREADABLE if rows disagree; `ids` is a JSON list."""
        return self._values_of("demographics", "id", "birth_date", ids)

    def usernames_of(self, ids: str) -> dict[str, str]:
        """Return usernames of profiles by id, or UNREADABLE if they disagree; see above."""
        return self._values_of("profiles", "user", "username", ids)

    def _values_of(self, table: str, key: str, value: str, ids: str) -> dict[str, str]:
        query = f"""SELECT {key}, CASE WHEN min({value}) = max({value}) THEN {value} ELSE ? END
                    FROM {table} WHERE {key} IN (SELECT value FROM json_each(?)) AND {value} <> ''
                    GROUP BY {key}"""  # noqa: S608
        return dict(self.connection.execute(query, (UNREADABLE, ids)))

    def _exists(self, query: str, values: Sequence[object] = ()) -> bool:
        return bool(self.connection.execute(f"SELECT EXISTS ({query})", values).fetchone()[0])

    # -- what is known of the lines of the files

    def put_prints(self, file: str, number: int, prints: bytes) -> None:
        """Add the prints of one group of lines, or replace them."""
        self.connection.execute(
            "INSERT OR REPLACE INTO prints VALUES (?,?,?)", (file, number, prints)
        )

    def print_group(self, file: str, number: int) -> bytes | None:
        """Return the prints of one group of lines, or None."""
        query = "SELECT prints FROM prints WHERE (file, number) = (?,?)"
        found: tuple[bytes] | None = self.connection.execute(query, (file, number)).fetchone()
        return found and found[0]

    def prints(self, file: str) -> Iterator[bytes]:
        """Yield the prints of a file, in its order."""
        query = "SELECT prints FROM prints WHERE file = ? ORDER BY number"
        return (prints for (prints,) in self.connection.execute(query, (file,)))

    def forget_prints(self) -> None:
        """Delete all of them."""
        self.connection.execute("DELETE FROM prints")

    # -- what shows only when all files are read

    def index_people(self) -> None:
        """Index everything that making links reads of people, whose records lie far apart."""
        self.connection.execute(
            """CREATE INDEX IF NOT EXISTS people_id
               ON people (id, kind, is_student, relation, status)"""
        )

    def repeated_ids(self) -> list[RepeatedId]:
        """Return the ids that several rows have."""
        query = """SELECT id, count(DISTINCT body) = 1 AND count(body) = count(*), count(body) > 0
                   FROM people WHERE id IN
                   (SELECT id FROM people GROUP BY id HAVING count(*) > 1) GROUP BY id"""
        return list(named(RepeatedId, self.connection.execute(query)))

    def rows_of(self, sourced_id: str) -> list[RowPlace]:
        """Return the places of a person's rows, in the order of the files."""
        query = "SELECT rowid, file, line, kind, body FROM people WHERE id = ? ORDER BY rowid"
        return list(named(RowPlace, self.connection.execute(query, (sourced_id,))))

    def find_repeated(self, most: int) -> bool:
        """Find the ids that several rows have, all of them read; return whether there are any.

        Args:
            most: The most rows of one id.
        """
        self.connection.execute(
            """INSERT INTO repeated
               SELECT id FROM (SELECT id FROM people GROUP BY id HAVING count(*) BETWEEN 2 AND ?)
               AS several WHERE NOT EXISTS
               (SELECT 1 FROM people WHERE id = several.id AND body IS NULL)""",
            (most,),
        )
        return self.has_rows("repeated")

    def repeated_among(self, ids: str) -> set[str]:
        """Return those of some ids, a JSON list, that `find_repeated` has found."""
        query = "SELECT id FROM repeated WHERE id IN (SELECT value FROM json_each(?))"
        return {one for (one,) in self.connection.execute(query, (ids,))}

    def repeated_after(self, last: str, number: int) -> list[str]:
        """Return the first of those ids that come after one of them."""
        query = "SELECT id FROM repeated WHERE id > ? ORDER BY id LIMIT ?"
        return [one for (one,) in self.connection.execute(query, (last, number))]

    def add_repeated_rows(self, rows: Iterable[tuple[str, str, int, bytes]]) -> None:
        """Add rows of repeated ids: id, file, line, and cells by field as JSON."""
        self._add("repeated_rows", 4, rows)

    def repeated_rows(self, ids: str) -> list[RepeatedRow]:
        """Return the rows of some ids, a JSON list; those of one id together, as in the files."""
        query = """SELECT people.rowid, id, file, line, kind, body, cells
                   FROM repeated_rows JOIN people USING (id, file, line)
                   WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id, people.rowid"""
        return list(named(RepeatedRow, self.connection.execute(query, (ids,))))

    def replace_person(self, rowid: int, person: tuple[object, ...]) -> None:
        """Replace what a row was mapped to: kind, is_student, relation, status, body and gaps."""
        query = """UPDATE people SET kind = ?, is_student = ?, relation = ?, status = ?, body = ?,
                   gaps = ? WHERE rowid = ?"""
        self.connection.execute(query, (*person, rowid))

    def drop(self, rows: Iterable[RowPlace | RepeatedRow]) -> None:
        """Delete rows of people, but for their names: the next night they may be all there is."""
        rowids = [(row.rowid,) for row in rows]
        query = "INSERT INTO dropped SELECT id, username FROM people WHERE rowid = ?"
        self.connection.executemany(query, rowids)
        self.connection.executemany("DELETE FROM people WHERE rowid = ?", rowids)

    def leave_out(self, sourced_id: str) -> None:
        """Leave a person out, but keep the id as one that is in the files."""
        query = "UPDATE people SET kind = '', body = NULL WHERE id = ?"
        self.connection.execute(query, (sourced_id,))

    def strays(self, table: str) -> Iterator[tuple[str, int]]:
        """Yield id and line of the rows of demographics or roles whose person is in no file."""
        key = "user" if table == "roles" else "id"
        query = f"SELECT {key}, line FROM {table} WHERE {key} NOT IN (SELECT id FROM people)"  # noqa: S608
        return self.connection.execute(query)

    def find_fragments(self, tables: Iterable[str]) -> None:
        """Find the people of whom there are rows of roles or demographics alone."""
        for table in tables:
            key = "user" if table == "roles" else "id"
            self.connection.execute(
                f"""INSERT OR IGNORE INTO fragments SELECT {key}, ?, min(line) FROM {table}
                    WHERE {key} <> '' AND {key} NOT IN (SELECT id FROM people)
                    GROUP BY {key} ORDER BY min(line)""",  # noqa: S608
                (table,),
            )

    def fragments(self) -> Iterator[tuple[str, str, int]]:
        """Yield id, table and first line of each person that `find_fragments` has found."""
        return self.connection.execute("SELECT id, of, line FROM fragments ORDER BY rowid")

    def shared_usernames(self) -> Iterator[tuple[str, int]]:
        """Yield one sourcedId, and how many there are, for each username of several people."""
        return self._shared("people", "username", "id")

    def shared_identities(self) -> Iterator[tuple[str, int]]:
        """Yield the same for each identifier of several people."""
        return self._shared("identities", "identity", "person")

    def _shared(self, table: str, value: str, person: str) -> Iterator[tuple[str, int]]:
        # To count the people of each value, of which nearly all have one, would take much longer.
        query = f"""SELECT min({person}), count(DISTINCT {person}) FROM {table} WHERE {value} IN
                    (SELECT {value} FROM {table} WHERE {value} <> ''
                     GROUP BY {value} HAVING min({person}) < max({person}))
                    GROUP BY {value}"""  # noqa: S608
        return self.connection.execute(query)

    def sharing(self) -> Iterator[str]:
        """Yield everybody who has a username or an identifier of somebody else."""
        for table, value, person in (
            ("people", "username", "id"),
            ("identities", "identity", "person"),
        ):
            query = f"""SELECT {person} FROM {table} WHERE {value} IN
                        (SELECT {value} FROM {table} WHERE {value} <> ''
                         GROUP BY {value} HAVING min({person}) < max({person}))"""  # noqa: S608
            for (one,) in self.connection.execute(query):
                yield one

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield usernames and identifiers, marked by their first letter, and whose they are.

        Those that do not count are among them: of a profile, because of another one, and of rows
        that are dropped.
        """
        return self.connection.execute(
            """SELECT 'u' || username, id FROM people WHERE username <> ''
               UNION ALL SELECT 'u' || username, id FROM dropped WHERE username <> ''
               UNION ALL SELECT 'u' || username, user FROM profiles WHERE username <> '' AND
               NOT EXISTS (SELECT 1 FROM people WHERE id = user AND username = profiles.username)
               UNION ALL SELECT 'i' || identity, person FROM identities"""
        )

    def contradicting_relations(self) -> Iterator[tuple[str, int, str]]:
        """Yield file, line and agent for each pair of people with several written relations."""
        query = """SELECT min(file), min(line), agent FROM refs WHERE relation <> ''
                   GROUP BY min(person, agent), max(person, agent)
                   HAVING count(DISTINCT relation) > 1"""
        return self.connection.execute(query)

    def link(self, relationship: str | None) -> None:
        """Make links of all references that nothing hinders; the first one of a pair counts.

        Args:
            relationship: Of agents who are not parent, guardian or relative; None for no link.
        """
        for written in ("<>", "="):  # references that say their relation come first
            self.connection.execute(
                f"""INSERT OR IGNORE INTO links
                    SELECT student, user, '', relation, file, line, x'' FROM
                    ({REFERENCES}) WHERE written {written} '' AND hindrance IS NULL""",  # noqa: S608
                {"relationship": relationship},
            )

    def hindered(self, relationship: str | None) -> Iterator[HinderedReference]:
        """Yield the references that `link` left out."""
        query = f"""SELECT person, agent, file, line, hindrance, student, user, unknown,
                    coalesce(said, '') FROM ({REFERENCES}) WHERE hindrance IS NOT NULL"""  # noqa: S608
        return named(
            HinderedReference, self.connection.execute(query, {"relationship": relationship})
        )

    def add_unresolved(self, rows: Iterable[UnresolvedReference]) -> None:
        """Add references without a link."""
        self._add("unresolved", 7, rows)

    def totals(self) -> tuple[int, int, int, int]:
        """Return how many students, other people, links and left-out rows there are."""
        query = """SELECT total(kind = 'student'), total(kind IN ('user', 'person')),
                   (SELECT count(*) FROM links), total(body IS NULL) FROM people"""
        students, users, links, left_out = map(int, self.connection.execute(query).fetchone())
        return students, users, links, left_out

    # -- what came of it

    def records(self) -> Iterator[tuple[str, bytes]]:
        """Yield kind and record of every person that is whole."""
        return self.connection.execute(
            "SELECT kind, body FROM people WHERE kind IN ('student', 'user') ORDER BY rowid"
        )

    def people(self) -> Iterator[RecordRow]:
        """Yield every person, those left out too, in the order of the files."""
        query = "SELECT id, rowid, kind, status, file, line, body, gaps FROM people ORDER BY rowid"
        return self.connection.execute(query)

    def links(self) -> Iterator[LinkRow]:
        """Yield every link."""
        return self.connection.execute(
            "SELECT student, user, agent_id, relation, file, line, gaps FROM links"
        )

    def left_out(self) -> Iterator[LeftOut]:
        """Yield every row that is left out, in the order in which that was found."""
        query = "SELECT file, line, field, reason, text FROM left_out ORDER BY rowid"
        return named(LeftOut, self.connection.execute(query))

    def unresolved(self) -> Iterator[UnresolvedReference]:
        """Yield every reference without a link."""
        query = "SELECT person, agent, file, line, student, relation, gaps FROM unresolved"
        return named(UnresolvedReference, self.connection.execute(query))


@contextmanager
def writing() -> Iterator[None]:
    """Explain why the database cannot be written, for example because the disk is full.

    Raises:
        ConfigError: SQLite failed.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise ConfigError(
            f"the temporary database could not be written ({error}); free disk space, or set "
            "SQLITE_TMPDIR to a folder that has some"
        ) from None
