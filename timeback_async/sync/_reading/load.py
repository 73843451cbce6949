"""Bring the rows of each kind of file into a roster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec
from msgspec import UNSET

from ..._wire.validate import checked
from ...errors import RecordError
from ...models import AgentLink
from .files import DataFile, reading
from .findings import Severity
from .gaps import Gaps
from .options import Resolved
from .people import DIFFERENT, PeopleMapper
from .roles import RoleRow
from .roster import CHUNK, RECORDS, WIRE, Roster, Source
from .rows import Rows
from .values import listed, user_ids

__all__ = ["Loader"]

FAILURE = "_failure"  # what a file of failures adds to a record


class Loader:
    """Fills a roster. Orgs, roles, profiles and demographics come before the people.

    Args:
        roster: What is filled.
        options: What the user has said.
        mode: Returns "bulk" or "delta" for a target.
        claims_bulk: Whether the manifest says that the people are a full set.
    """

    def __init__(
        self, roster: Roster, options: Resolved, mode: Callable[[str], str], claims_bulk: bool
    ) -> None:
        self._roster, self._options = roster, options
        self._mode, self._claims_bulk = mode, claims_bulk
        self._db, self._tell = roster.db, roster.findings.tell
        self._orgs: dict[str, str] | None = None
        self._birth_form: str | None = None
        self._role_form: str | None = None

    def read_orgs(self, rows: Rows) -> None:
        orgs = self._orgs = self._orgs or {}
        for _, row in rows:
            orgs[row.get("sourcedId", "")] = row.get("type", "").lower()

    def read_roles(self, rows: Rows) -> None:
        self._roster.files["roles"] = rows.file
        self._role_form = rows.layout.dates.get("beginDate") or rows.layout.dates.get("endDate")
        names = ("userSourcedId", "roleType", "role", "orgSourcedId", "beginDate", "endDate",
                 "userProfileSourcedId", "grade", "status")  # fmt: skip
        self._db.executemany(
            "INSERT INTO roles VALUES (?,?,?,?,?,?,?,?,?,?)",
            ((*(row.get(name, "") for name in names), line) for line, row in rows),
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS roles_user ON roles (user)")
        strays = self._db.execute("SELECT EXISTS (SELECT 1 FROM roles WHERE user = '')").fetchone()
        if rows.broken or strays[0] or self._mode("roles") == "delta":
            self._roster.has_all_roles = False

    def read_profiles(self, rows: Rows) -> None:
        self._db.executemany(
            "INSERT INTO profiles VALUES (?,?)",
            (
                (row.get("userSourcedId", ""), row["username"])
                for _, row in rows
                if "username" in row
            ),
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS profiles_user ON profiles (user)")

    def read_births(self, rows: Rows) -> None:
        self._roster.files["births"] = rows.file
        self._birth_form = rows.layout.dates.get("birthDate")
        self._db.executemany(
            "INSERT INTO births VALUES (?,?,?)",
            (
                (row.get("sourcedId", ""), row.get("birthDate", ""), line)
                for line, row in rows
                if row.get("status", "").lower() != "tobedeleted"
            ),
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS births_id ON births (id)")
        query = "SELECT EXISTS (SELECT 1 FROM births), EXISTS (SELECT 1 FROM births WHERE id = '')"
        is_there, has_strays = self._db.execute(query).fetchone()
        self._roster.has_births |= bool(is_there)
        is_whole = is_there and not has_strays and not rows.broken
        self._roster.has_all_births = bool(is_whole) and self._mode("demographics") == "bulk"

    def read_relationships(self, rows: Rows) -> None:
        source = self._source(rows, "relationships")
        source.has_agents = True
        for line, row in rows:
            pair = row.get("userSourcedId"), row.get("relationshipUserSourcedId")
            if None in pair:
                source.unreadable += 1
                self._tell("id-missing", rows.file, line, "userSourcedId")
                continue
            ref = (*pair, row.get("relationshipRole", ""), rows.file, line)
            self._db.execute("INSERT INTO refs VALUES (?,?,?,?,?)", ref)
        source.unreadable += rows.broken

    def _source(self, rows: Rows, target: str) -> Source:
        source = self._roster.sources[rows.file] = Source(rows.name, self._mode(target))
        return source

    def read_people(self, rows: Rows) -> None:
        source = self._source(rows, "users")
        source.has_agents = "agentSourcedIds" in rows.columns.places
        if "birthDate" in rows.columns.places:
            self._roster.has_births = self._roster.has_all_births = True
        lacks_roles = source.is_delta and "roles" not in self._roster.files
        mapper = PeopleMapper(
            self._options,
            self._orgs,
            self._role_form,
            has_all_births=self._roster.has_all_births,
            has_all_roles=self._roster.has_all_roles and not lacks_roles,
        )
        people = _People(self._roster, rows, mapper)
        has_roles, has_profiles, has_births = map(self._has, ("roles", "profiles", "births"))
        dated = total = 0
        for chunk in chunks(rows, CHUNK):
            ids = msgspec.json.encode([row.get("sourcedId") for _, row in chunk]).decode()
            roles = self._roles_of(ids) if has_roles else {}
            births = self._pairs_of("births", "id", "birth", ids) if has_births else {}
            names = self._pairs_of("profiles", "user", "username", ids) if has_profiles else {}
            ended = {} if self._roster.has_all_roles else self._ended_roles_of(ids)
            for line, row in chunk:
                total += 1
                dated += "status" in row and "dateLastModified" in row
                own = row.get("sourcedId")
                if own is None:
                    source.unreadable += 1
                    self._tell("id-missing", rows.file, line, "sourcedId")
                    continue
                if names.get(own, DIFFERENT) != DIFFERENT:
                    row.setdefault("username", names[own])
                own_roles = roles.get(own, None if "role" in row else ())
                birth = births.get(own, ""), self._birth_form
                people.take(line, row, own_roles, birth, ended.get(own, ()))
            people.write()
        source.unreadable += rows.broken
        if not total and not rows.broken:
            self._tell("file-empty", rows.file)
        if self._claims_bulk and dated * 2 > total:
            source.is_doubtful = True
            self._tell("mode-doubtful", rows.file)

    def _has(self, table: str) -> bool:
        return bool(self._db.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0])  # noqa: S608

    def _roles_of(self, ids: str) -> dict[str, list[RoleRow]]:
        found: dict[str, list[RoleRow]] = {}
        query = """SELECT user, lower(role_type), role, org, begin, end, profile, grade FROM roles
                   WHERE user IN (SELECT value FROM json_each(?)) AND lower(status) <> 'tobedeleted'
                   ORDER BY rowid"""
        for user, *rest in self._db.execute(query, (ids,)):
            found.setdefault(user, []).append(RoleRow(*rest))
        return found

    def _ended_roles_of(self, ids: str) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        query = """SELECT user, role, org FROM roles
                   WHERE user IN (SELECT value FROM json_each(?)) AND lower(status) = 'tobedeleted'
                   ORDER BY rowid"""
        for user, *role in self._db.execute(query, (ids,)):
            found.setdefault(user, []).append((role[0], role[1]))
        return found

    def _pairs_of(self, table: str, key: str, value: str, ids: str) -> dict[str, str]:
        """Return values by key; where rows with one key differ, the value is DIFFERENT."""
        query = f"""SELECT {key}, CASE WHEN min({value}) = max({value}) THEN {value} ELSE ? END
                    FROM {table} WHERE {key} IN (SELECT value FROM json_each(?)) AND {value} <> ''
                    GROUP BY {key}"""  # noqa: S608
        return dict(self._db.execute(query, (DIFFERENT, ids)))

    # -- JSON Lines

    def read_json_lines(self, file: DataFile) -> None:
        source = self._roster.sources[file.name] = Source(RECORDS, self._options.mode or "delta")
        source.has_agents = True
        with reading(file) as lines:
            for number, line in enumerate(lines, 1):
                text = line.removeprefix(b"\xef\xbb\xbf").strip()
                if text and not self._read_json(file.name, number, text):
                    source.unreadable += 1

    def _read_json(self, file: str, line: int, text: bytes) -> bool:
        """Take one record in; return whether it is known whose it is."""
        kind, inner = "", None
        with suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            record = msgspec.json.decode(text)
            if isinstance(record, dict):
                record.pop(FAILURE, None)
                if len(record) == 1:
                    ((kind, inner),) = record.items()
        if kind not in WIRE or not isinstance(inner, dict):
            self._tell("json-broken", file, line)
            return False
        try:
            value, body = checked(inner, WIRE[kind])
        except RecordError as error:
            self._tell("value-invalid", file, line, error.field, error.reason)
            own = inner.get("sourcedId")
            if kind == "agent" or not isinstance(own, str):
                return False
            self._db.execute(
                "INSERT INTO people VALUES (?,'',?,'','',?,?,NULL,'','')",
                (own, kind == "student", file, line),
            )
            return True
        if isinstance(value, AgentLink):
            self._db.execute(
                """INSERT OR REPLACE INTO links (student, user, agent_id, relation, file, line)
                   VALUES (?,?,?,?,?,?)""",
                (
                    value.student_id,
                    value.user_id,
                    value.agent_id,
                    value.relationship_type,
                    file,
                    line,
                ),
            )
            return True
        gaps = Gaps(birth=value.demographics is UNSET)
        self._roster.has_births |= not gaps.birth
        self._db.execute(
            "INSERT INTO people VALUES (?,?,?,?,?,?,?,?,?,?)",
            (value.sourced_id, kind, kind == "student", "", value.status, file, line, body,
             value.username or "", gaps.as_json()),
        )  # fmt: skip
        return True


class _People:
    """Maps rows of people, and writes what comes of them together."""

    def __init__(self, roster: Roster, rows: Rows, mapper: PeopleMapper) -> None:
        self._db, self._tell, self._mapper = roster.db, roster.findings.tell, mapper
        self._file, self._own_form = rows.file, rows.layout.dates.get("birthDate")
        self._people: list[Any] = []
        self._refs: list[Any] = []
        self._identities: list[Any] = []

    def take(
        self,
        line: int,
        row: dict[str, str],
        roles: Sequence[RoleRow] | None,
        birth: tuple[str, str | None],
        ended: Sequence[tuple[str, str]],
    ) -> None:
        """Map one row; `birth` is the date in demographics.csv, and its form."""

        def tell(code: str, field: str, detail: str) -> Severity:
            return self._tell(code, self._file, line, field, detail)

        if "birthDate" in row:
            birth = row["birthDate"], self._own_form
        own = row["sourcedId"]
        person = self._mapper.person(row, roles, *birth, tell, ended)
        self._people.append(
            (own, person.kind, person.is_student, person.relation, person.status,
             self._file, line, person.body, row.get("username", ""), person.gaps)
        )  # fmt: skip
        if "agentSourcedIds" in row:
            agents = listed(row["agentSourcedIds"])
            self._refs += [(own, agent, "", self._file, line) for agent in agents]
        if "userIds" in row:
            known = user_ids(row["userIds"])
            self._identities += [(identity, own) for identity in known if ":" in identity]
        if "userMasterIdentifier" in row:
            self._identities.append((row["userMasterIdentifier"], own))

    def write(self) -> None:
        """Write what has been taken in."""
        self._db.executemany("INSERT INTO people VALUES (?,?,?,?,?,?,?,?,?,?)", self._people)
        self._db.executemany("INSERT INTO refs VALUES (?,?,?,?,?)", self._refs)
        self._db.executemany("INSERT INTO identities VALUES (?,?)", self._identities)
        for written in (self._people, self._refs, self._identities):
            written.clear()


def chunks(rows: Any, size: int) -> Iterator[Sequence[Any]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk
