"""Bring the rows of each kind of file into a roster."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from .codes import Severity
from .database import ROLE_FIELDS
from .options import LoadedOptions
from .people import PeopleMapper
from .records import PersonRow, Reference
from .roles import RoleRow
from .roster import ROWS_AT_ONCE, Roster, Source
from .rows import Rows
from .values import DIFFERENT, listed, user_ids

__all__ = ["Loader"]


class Loader:
    """Fills a roster. Orgs, roles, profiles and demographics have to be read before the people.

    Args:
        roster: The roster to fill.
        options: How it is read.
        mode: Returns "bulk" or "delta" for a target.
        claims_bulk: Whether the manifest says that the people are a full set.
    """

    def __init__(
        self, roster: Roster, options: LoadedOptions, mode: Callable[[str], str], claims_bulk: bool
    ) -> None:
        self._roster, self._options = roster, options
        self._mode, self._claims_bulk = mode, claims_bulk
        self._database, self._report = roster.database, roster.findings.add
        self._orgs: dict[str, str] | None = None
        self._birth_form: str | None = None
        self._role_form: str | None = None

    def read_orgs(self, rows: Rows) -> None:
        """Read the types of orgs."""
        orgs = self._orgs = self._orgs or {}
        for _, row in rows:
            orgs[row.get("sourcedId", "")] = row.get("type", "").lower()

    def read_roles(self, rows: Rows) -> None:
        """Read rows of roles.csv."""
        self._roster.files["roles"] = rows.file
        self._role_form = rows.layout.dates.get("beginDate") or rows.layout.dates.get("endDate")
        self._database.add_roles(
            [*(row.get(field, "") for field in ROLE_FIELDS), line] for line, row in rows
        )
        has_strays = self._database.has_roles_without_user()
        if rows.broken or has_strays or self._mode("roles") == "delta":
            self._roster.has_all_roles = False

    def read_profiles(self, rows: Rows) -> None:
        """Read usernames from userProfiles.csv."""
        self._database.add_profiles(
            (row.get("userSourcedId", ""), row["username"]) for _, row in rows if "username" in row
        )

    def read_demographics(self, rows: Rows) -> None:
        """Read birth dates from demographics.csv."""
        self._roster.files["demographics"] = rows.file
        self._birth_form = rows.layout.dates.get("birthDate")
        self._database.add_demographics(
            (row.get("sourcedId", ""), row.get("birthDate", ""), line)
            for line, row in rows
            if row.get("status", "").lower() != "tobedeleted"
        )
        is_there = self._database.has_rows("demographics")
        has_strays = self._database.has_demographics_without_id()
        self._roster.has_births |= is_there
        is_whole = is_there and not has_strays and not rows.broken
        self._roster.has_all_births = is_whole and self._mode("demographics") == "bulk"

    def read_relationships(self, rows: Rows) -> None:
        """Read the links of School Data Sync v2.1."""
        source = self._source(rows, "relationships")
        source.has_agents = True
        for line, row in rows:
            one, other = row.get("userSourcedId"), row.get("relationshipUserSourcedId")
            if one is None or other is None:
                source.unreadable += 1
                self._report("id-missing", rows.file, line, "userSourcedId")
                continue
            relation = row.get("relationshipRole", "")
            self._database.add_references([(one, other, relation, rows.file, line)])
        source.unreadable += rows.broken

    def _source(self, rows: Rows, target: str) -> Source:
        source = self._roster.sources[rows.file] = Source(rows.name, self._mode(target))
        return source

    def read_people(self, rows: Rows) -> None:
        """Map the people, with what the other files say about them."""
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
        database = self._database
        has_roles, has_profiles, has_births = map(
            database.has_rows, ("roles", "profiles", "demographics")
        )
        dated = total = 0
        for chunk in chunks(rows, ROWS_AT_ONCE):
            ids = msgspec.json.encode([row.get("sourcedId") for _, row in chunk]).decode()
            roles = database.roles_of(ids) if has_roles else {}
            births = database.birth_dates_of(ids) if has_births else {}
            names = database.usernames_of(ids) if has_profiles else {}
            ended = {} if self._roster.has_all_roles else database.ended_roles_of(ids)
            for line, row in chunk:
                total += 1
                dated += "status" in row and "dateLastModified" in row
                sourced_id = row.get("sourcedId")
                if sourced_id is None:
                    source.unreadable += 1
                    self._report("id-missing", rows.file, line, "sourcedId")
                    continue
                if names.get(sourced_id, DIFFERENT) != DIFFERENT:
                    row.setdefault("username", names[sourced_id])
                role_rows = roles.get(sourced_id, None if "role" in row else ())
                birth = births.get(sourced_id, ""), self._birth_form
                people.take(line, row, role_rows, birth, ended.get(sourced_id, ()))
            people.write()
        source.unreadable += rows.broken
        source.rows = total + rows.broken
        if not source.rows:
            self._report("file-empty", rows.file)
        if self._claims_bulk and dated * 2 > total:
            source.is_doubtful = True
            self._report("mode-doubtful", rows.file)


class _People:
    """Maps rows of people, and writes the results in batches."""

    def __init__(self, roster: Roster, rows: Rows, mapper: PeopleMapper) -> None:
        self._database, self._report, self._mapper = roster.database, roster.findings.add, mapper
        self._file, self._own_form = rows.file, rows.layout.dates.get("birthDate")
        self._people: list[PersonRow] = []
        self._references: list[Reference] = []
        self._identities: list[tuple[str, str]] = []

    def take(
        self,
        line: int,
        row: dict[str, str],
        roles: Sequence[RoleRow] | None,
        birth: tuple[str, str | None],
        ended: Sequence[tuple[str, str]],
    ) -> None:
        """Map one row; `birth` is the date in demographics.csv and its form."""

        def add(code: str, field: str, detail: str) -> Severity:
            return self._report(code, self._file, line, field, detail)

        if "birthDate" in row:
            birth = row["birthDate"], self._own_form
        sourced_id = row["sourcedId"]
        person = self._mapper.person(row, roles, *birth, add, ended)
        self._people.append(
            (sourced_id, person.kind, person.is_student, person.relation, person.status,
             self._file, line, person.body, row.get("username", ""), person.gaps)
        )  # fmt: skip
        if "agentSourcedIds" in row:
            agents = listed(row["agentSourcedIds"])
            self._references += [(sourced_id, agent, "", self._file, line) for agent in agents]
        if "userIds" in row:
            known = user_ids(row["userIds"])
            self._identities += [(identity, sourced_id) for identity in known if ":" in identity]
        if "userMasterIdentifier" in row:
            self._identities.append((row["userMasterIdentifier"], sourced_id))

    def write(self) -> None:
        """Write the rows mapped since the last time."""
        self._database.add_people(self._people)
        self._database.add_references(self._references)
        self._database.add_identities(self._identities)
        for written in (self._people, self._references, self._identities):
            written.clear()


def chunks(rows: Any, size: int) -> Iterator[Sequence[Any]]:
    """Yield rows in lists of at most `size`."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk
