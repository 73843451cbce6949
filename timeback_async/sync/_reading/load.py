"""Bring the rows of each kind of file into a roster."""

from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from .codes import Severity
from .database import ROLE_FIELDS
from .lists import listed_ids, user_ids
from .options import LoadedOptions
from .orgs import Orgs
from .people import PeopleMapper
from .records import PersonRow, Reference
from .relatives import Relatives, gives_role
from .roles import RoleRow
from .roster import ROWS_AT_ONCE, Roster, Source
from .rows import Rows
from .values import UNREADABLE

__all__ = ["Loader"]


class Loader:
    """Fills a roster. Everything else has to be read before the people.

    Attributes:
        relatives: The relationships.

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
        self.relatives = Relatives(roster, options)
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
        """Read the relationships of School Data Sync; before the people, see `Relatives`."""
        self.relatives.read(rows, self._source(rows, "relationships"))

    def _source(self, rows: Rows, target: str) -> Source:
        source = self._roster.sources[rows.file] = Source(rows.name, self._mode(target))
        return source

    def read_people(self, rows: Rows) -> None:
        """Map the people, with what the other files say about them."""
        source = self._source(rows, "users")
        source.has_agents = "agentSourcedIds" in rows.columns.places
        if "birthDate" in rows.columns.places:
            self._roster.has_births = self._roster.has_all_births = True
        orgs = Orgs(self._options, self._orgs)
        lacks_roles = source.is_delta and "roles" not in self._roster.files
        mapper = PeopleMapper(
            self._options,
            self._orgs,
            self._role_form,
            has_all_births=self._roster.has_all_births,
            has_all_roles=self._roster.has_all_roles and not lacks_roles,
        )
        people = _People(self._roster, rows, source, mapper)
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
            related, held = self._without_role(rows, chunk, roles, orgs)
            roles |= related
            for line, row in chunk:
                total += 1
                dated += "status" in row and "dateLastModified" in row
                sourced_id = row.get("sourcedId")
                if sourced_id is None:
                    source.unreadable += 1
                    self._report("id-missing", rows.file, line, "sourcedId")
                    continue
                if sourced_id in held:
                    self._report("contact-known", rows.file, line, "sourcedId", sourced_id)
                    continue
                if sourced_id in related:
                    self._report("role-related", rows.file, line, "role")
                if sourced_id in names:
                    row.setdefault("username", names[sourced_id])
                role_rows = roles.get(sourced_id, None if "role" in row else ())
                birth = births.get(sourced_id, ""), self._birth_form
                people.take(line, row, role_rows, birth, ended.get(sourced_id, ()))
            people.write()
        source.unreadable += rows.broken
        if mapper.has_swapped_dates:
            has_own = "birthDate" in rows.columns.places
            file = rows.file if has_own else self._roster.files["demographics"]
            self._report("dates-swapped", file, field="birthDate")
        if self._claims_bulk and dated * 2 > total:
            source.is_doubtful = True
            self._report("mode-doubtful", rows.file)

    def _without_role(
        self,
        rows: Rows,
        chunk: Sequence[tuple[int, dict[str, str]]],
        roles: Container[str],
        orgs: Orgs,
    ) -> tuple[dict[str, list[RoleRow]], set[str]]:
        """Return the roles of relatives without one, and who of them is held by another file.

        Where a file of roles holds only changes, nothing is concluded from the others.
        """
        is_whole = self._roster.has_all_roles or self._mode("roles") == "bulk"
        if not (self.relatives.is_complete and is_whole):
            return {}, set()
        ids = (row["sourcedId"] for _, row in chunk if "role" not in row and "sourcedId" in row)
        lonely = [own for own in ids if own not in roles]
        held = set() if gives_role(rows) else self.relatives.held(lonely)
        return self.relatives.roles_of(lonely, orgs.is_usable), held


class _People:
    """Maps rows of people, and writes the results in batches."""

    def __init__(self, roster: Roster, rows: Rows, source: Source, mapper: PeopleMapper) -> None:
        self._database, self._report, self._mapper = roster.database, roster.findings.add, mapper
        self._source = source
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
        sourced_id, username = row["sourcedId"], row.get("username", "")
        person = self._mapper.person(row, roles, *birth, add, ended)
        self._people.append(
            (sourced_id, person.kind, person.is_student, person.relation, person.status,
             self._file, line, person.body, "" if username == UNREADABLE else username, person.gaps)
        )  # fmt: skip
        if "agentSourcedIds" in row:

            def add_of_agents(code: str) -> None:
                if add(code, "agentSourcedIds", "") == "error":
                    self._source.has_unreadable_agents = True

            agents = listed_ids(row["agentSourcedIds"], add_of_agents)
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
