"""Bring the rows of each kind of file into a roster."""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from .codes import Severity
from .comparison import identities_in
from .database import ROLE_FIELDS
from .lists import listed_ids
from .merging import PeopleFile, RowMerger
from .options import LoadedOptions
from .orgs import Orgs
from .people import MappedRow, PeopleMapper
from .records import PersonRow, Reference, chunks
from .relatives import Relatives, gives_role
from .reporter import AddFinding
from .roles import RoleRow
from .roster import FRAGMENTS, ROWS_AT_ONCE, Roster, Source
from .rows import Rows
from .said import OtherFiles, Said, mapped
from .values import UNREADABLE, day

__all__ = ["Loader"]

MAX_KNOWN_TURNS = 10_000
DATED = "dated"  # a row that makes its file look like a delta: all of those are counted


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
        self._people: list[PeopleFile] = []
        self._turn_of = lru_cache(MAX_KNOWN_TURNS)(self._turn)

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
            [*(row.get(field, "") for field in ROLE_FIELDS), line]
            for line, row in self._noted(rows, self._turn_of_row)
        )
        has_strays = self._database.has_roles_without_user()
        if rows.broken or has_strays or self._mode("roles") == "delta":
            self._roster.has_all_roles = False

    def _turn_of_row(self, row: Mapping[str, str]) -> int:
        return self._turn_of(row.get("beginDate", ""), row.get("endDate", ""))

    def _turn(self, begin: str, end: str) -> int:
        """Return the first day on which a role will begin or end, as a number; 0 if it has."""
        form, today = self._role_form or self._options.date_format, self._options.today
        days = (day(text, form) for text in (begin, end) if text)
        coming = [each for each in days if isinstance(each, datetime.date) and each > today]
        return min(coming).toordinal() if coming else 0

    def _noted(
        self, rows: Rows, turn: Callable[[Mapping[str, str]], int] | None = None
    ) -> Iterable[tuple[int, dict[str, str]]]:
        """Return rows; those of tonight are noted on the way."""
        night = self._roster.night
        return rows if night is None else night.noted(rows, turn)

    def read_profiles(self, rows: Rows) -> None:
        """Read usernames from userProfiles.csv."""
        self._database.add_profiles(
            (row.get("userSourcedId", ""), row["username"])
            for _, row in self._noted(rows)
            if "username" in row
        )

    def read_demographics(self, rows: Rows) -> None:
        """Read birth dates from demographics.csv."""
        self._roster.files["demographics"] = rows.file
        self._birth_form = rows.layout.dates.get("birthDate")
        is_delta = self._mode("demographics") == "delta"
        self._database.add_demographics(
            (row.get("sourcedId", ""), row.get("birthDate", ""), line)
            for line, row in self._noted(rows)
            if row.get("status", "").lower() != "tobedeleted"
            and ("birthDate" in row or not is_delta)  # nothing else of it is sent
        )
        is_there = self._database.has_rows("demographics") or rows.table.skipped > 0
        has_strays = self._database.has_demographics_without_id()
        self._roster.has_births |= is_there
        is_whole = is_there and not has_strays and not rows.broken
        self._roster.has_all_births = is_whole and not is_delta

    def read_relationships(self, rows: Rows) -> None:
        """Read the relationships of School Data Sync; before the people, see `Relatives`."""
        self.relatives.read(rows, self._source(rows, "relationships"))

    def look_ahead(self, files: Sequence[Rows]) -> None:
        """Find out what the people are to each other, if their files do not say their roles."""
        if self.relatives.is_needed(files):
            orgs = Orgs(self._options, self._orgs)
            for rows in files:
                self.relatives.look_ahead(rows, orgs)
            self.relatives.finish()

    def _source(self, rows: Rows, target: str) -> Source:
        source = self._roster.sources[rows.file] = Source(rows.name, self._mode(target))
        return source

    def read_people(self, rows: Rows) -> None:
        """Map the people, with what the other files say about them."""
        source = self._source(rows, "users")
        source.has_agents = "agentSourcedIds" in rows.columns.places
        if "birthDate" in rows.columns.places:
            self._roster.has_births = self._roster.has_all_births = True
        mapper = self._mapper(
            has_all_roles=not source.is_delta or "roles" in self._roster.files,
        )
        self._people.append(PeopleFile(rows, mapper))
        others, people = (
            self._others(),
            _People(self._roster, rows, source, mapper, self._claims_bulk),
        )
        dated, total = 0, rows.table.skipped
        for chunk in chunks(rows, ROWS_AT_ONCE):
            said = others.about(row.get("sourcedId") for _, row in chunk)
            related, held = self._without_role(rows, chunk, said)
            said = said._replace(roles={**said.roles, **related}) if related else said
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
                people.take(line, row, said)
            people.write()
        source.unreadable += rows.broken
        source.rows = rows.read
        if mapper.fields.has_swapped_dates:
            has_own = "birthDate" in rows.columns.places
            file = rows.file if has_own else self._roster.files["demographics"]
            self._report("dates-swapped", file, field="birthDate")
        if self._claims_bulk and dated * 2 > total:
            source.is_doubtful = True
            self._report("mode-doubtful", rows.file)

    def _without_role(
        self, rows: Rows, chunk: Sequence[tuple[int, dict[str, str]]], said: Said
    ) -> tuple[dict[str, list[RoleRow]], set[str]]:
        """Return the roles of relatives without one, and who of them is held by another file.

        Where a file of roles holds only changes, nothing is concluded from the others.
        """
        is_whole = self._roster.has_all_roles or self._mode("roles") == "bulk"
        if not (self.relatives.is_complete and is_whole):
            return {}, set()
        ids = (row["sourcedId"] for _, row in chunk if "role" not in row and "sourcedId" in row)
        lonely = [own for own in ids if own not in said.roles]
        held = set() if gives_role(rows) else self.relatives.held(lonely)
        orgs = Orgs(self._options, self._orgs)
        return self.relatives.roles_of(lonely, self._role_form, orgs.is_usable), held

    def finish(self) -> None:
        """Merge rows of one person, and take in people of whom the other files alone say more."""
        has_all_births = self._roster.has_all_births or "demographics" not in self._roster.files
        if self._roster.night is not None and not (self._roster.has_all_roles and has_all_births):
            self._roster.night.forgo()
        self._database.index_people()
        RowMerger(self._roster, self._others()).merge(self._people)
        if all(self._roster.sources[each.rows.file].mode == "delta" for each in self._people):
            self._read_fragments()

    def _read_fragments(self) -> None:
        """Take in the people whose roles or birth dates a delta changes, and nothing else."""
        files = {
            target: file
            for target, file in self._roster.files.items()
            if self._mode(target) == "delta"
        }
        self._database.find_fragments(files)
        for file in files.values():
            self._roster.sources[file] = Source(FRAGMENTS, "delta")
        others, mapper = self._others(), self._mapper(has_all_roles=False)
        for chunk in chunks(self._database.fragments(), ROWS_AT_ONCE):
            said = others.about(sourced_id for sourced_id, _, _ in chunk)
            people: list[PersonRow] = []
            for sourced_id, target, line in chunk:
                file = files[target]
                add = _reporting(self._report, file, line)
                person = mapper.fragment(
                    sourced_id,
                    said.roles.get(sourced_id, ()),
                    said.births.get(sourced_id, ""),
                    said.birth_form,
                    add,
                    said.ended.get(sourced_id, ()),
                )
                people.append(_person_row(sourced_id, person, file, line, ""))
            self._database.add_people(people)

    def _mapper(self, *, has_all_roles: bool) -> PeopleMapper:
        return PeopleMapper(
            self._options,
            self._orgs,
            self._role_form,
            has_all_births=self._roster.has_all_births,
            has_all_roles=self._roster.has_all_roles and has_all_roles,
        )

    def _others(self) -> OtherFiles:
        has_all_roles = self._roster.has_all_roles
        return OtherFiles(self._database, self._birth_form, has_all_roles=has_all_roles)


class _People:
    """Maps rows of people, and writes the results in batches."""

    def __init__(
        self, roster: Roster, rows: Rows, source: Source, mapper: PeopleMapper, claims_bulk: bool
    ) -> None:
        self._database, self._report, self._mapper = roster.database, roster.findings.add, mapper
        self._source, self._night = source, roster.night
        self._claims_bulk = claims_bulk
        self._file, self._birth_form = rows.file, rows.layout.dates.get("birthDate")
        self._people: list[PersonRow] = []
        self._references: list[Reference] = []
        self._identities: list[tuple[str, str]] = []

    def take(self, line: int, row: dict[str, str], said: Said) -> None:
        """Map one row."""
        add = _reporting(self._report, self._file, line)
        person, night = mapped(self._mapper, row, self._birth_form, said, add), self._night
        sourced_id, username = row["sourcedId"], row.get("username", "")
        self._people.append(_person_row(sourced_id, person, self._file, line, username))
        if "agentSourcedIds" in row:
            self._references += [
                (sourced_id, agent, "", self._file, line)
                for agent in self._agents(row["agentSourcedIds"], add)
                if night is None or night.is_to_be_linked(sourced_id, agent)
            ]
        self._identities += [(identity, sourced_id) for identity in identities_in(row)]
        if night is not None:
            is_counted = self._claims_bulk and "status" in row and "dateLastModified" in row
            night.settle(self._file, line, row, sourced_id, DATED if is_counted else person.kind)

    def _agents(self, text: str, add: AddFinding) -> list[str]:
        def report(code: str) -> None:
            if add(code, "agentSourcedIds", "") == "error":
                self._source.has_unreadable_agents = True

        return listed_ids(text, report)

    def write(self) -> None:
        """Write the rows mapped since the last time."""
        self._database.add_people(self._people)
        self._database.add_references(self._references)
        self._database.add_identities(self._identities)
        for written in (self._people, self._references, self._identities):
            written.clear()


def _reporting(report: Callable[..., Severity], file: str, line: int) -> AddFinding:
    def add(code: str, field: str, detail: str) -> Severity:
        return report(code, file, line, field, detail)

    return add


def _person_row(
    sourced_id: str, person: MappedRow, file: str, line: int, username: str
) -> PersonRow:
    # The module sqlite3 looks for an adapter of every bool and bytes, which costs more than to
    # write the rest of the row; but not of these.
    is_student = None if person.is_student is None else int(person.is_student)
    body = None if person.body is None else bytearray(person.body)
    username = "" if username == UNREADABLE else username
    return (
        sourced_id, person.kind, is_student, person.relation, person.status, file, line, body,
        username, bytearray(person.gaps),
    )  # fmt: skip
