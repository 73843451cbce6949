"""Read relationships, and find out what people are who have no role of their own.

Microsoft's formats have parents and guardians without a role: the relationship to a student says
what they are. So relationships are read before the people. Version 1 names the other person by
e-mail, which is looked up among those without a role.

Source: Microsoft School Data Sync, CSV formats v1 (parent and guardian files) and v2.1.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from .database import RosterDatabase
from .lists import listed_ids
from .options import LoadedOptions
from .records import Reference
from .roles import RELATIONS, RoleRow
from .roster import ROWS_AT_ONCE, Roster, Source
from .rows import Rows

__all__ = ["Relatives", "gives_role"]

OTHER = "other"  # Microsoft's word for a relation that is not said
WORDS = (*RELATIONS, OTHER)


class Relatives:
    """The relationships of a roster.

    Attributes:
        is_complete: Whether `finish` was called: people without a role can be looked up.

    Args:
        roster: Takes the references and the findings.
        options: How it is read.
    """

    def __init__(self, roster: Roster, options: LoadedOptions) -> None:
        self._database: RosterDatabase = roster.database
        self._report = roster.findings.add
        self._default_org, self._relationship = options.default_org, options.relationship
        self._sources: dict[str, Source] = {}
        self.is_complete = False

    def is_needed(self, files: Sequence[Rows]) -> bool:
        """Whether to look ahead into these files of people before they are read."""
        # A contact may also be a teacher: then another file holds the same id, with a role.
        return bool(self._sources) or len({gives_role(rows) for rows in files}) > 1

    def read(self, rows: Rows, source: Source) -> None:
        """Read the relationships of one file."""
        source.has_agents = True
        self._sources[rows.file] = source
        references: list[Reference] = []
        contacts: list[Reference] = []
        for line, row in rows:
            one, other = row.get("userSourcedId"), row.get("relationshipUserSourcedId")
            email = row.get("relationshipUserEmail")
            relation = row.get("relationshipRole", "")
            if relation.lower() in WORDS:
                relation = relation.lower()
            if one is not None and other is not None:
                references.append((one, other, relation, rows.file, line))
            elif one is not None and email is not None:
                contacts.append((one, email.lower(), relation, rows.file, line))
            else:
                source.unreadable += 1
                self._report("id-missing", rows.file, line, "userSourcedId")
            if len(references) + len(contacts) >= ROWS_AT_ONCE:
                self._write(references, contacts)
        self._write(references, contacts)
        source.unreadable += rows.broken

    def _write(self, references: list[Reference], contacts: list[Reference]) -> None:
        self._database.add_references(references)
        self._database.add_contacts(contacts)
        references.clear()
        contacts.clear()

    def look_ahead(self, rows: Rows) -> None:
        """Note what a file of people says of roles, or of e-mails where it says no role."""
        if gives_role(rows):
            self._database.add_holders(
                (row["sourcedId"], row["role"].lower(), org, _digest(row))
                for _, row in rows
                if "sourcedId" in row and "role" in row
                for org in _orgs(row.get("orgSourcedIds", ""))
            )
        elif self._database.has_rows("contacts"):
            self._database.add_emails(
                (row["email"].lower(), row.get("sourcedId", ""))
                for _, row in rows
                if "email" in row
            )

    def finish(self) -> None:
        """Look contacts up by their e-mails; then everybody's relationships are known."""
        # Who has an e-mail of a relationship:
        #   one person               -> a reference, as if it had named the id
        #   one, but without an id   -> agent-left-out: that row has its own finding
        #   nobody, or several       -> a finding
        found = []
        for student, relation, file, line, person, number in self._database.found_contacts():
            if number == 1 and person:
                found.append((student, person, relation, file, line))
                continue
            code = "agent-left-out" if number == 1 else "contact-unclear" if number else ""
            field = "relationshipUserEmail"
            self._report(code or "contact-unknown", file, line, field, student)
            self._sources[file].unreadable += 1
        self._database.add_references(found)
        self._database.relate()
        self.is_complete = True

    def held(self, ids: Iterable[str]) -> set[str]:
        """Return those of some people whom another file holds with a role."""
        return set(self._database.holders_of(_json(ids)))

    def roles_of(
        self, ids: Iterable[str], is_usable: Callable[[str], bool]
    ) -> dict[str, list[RoleRow]]:
        """Return the roles that follow from relationships to students, by the person's id.

        Args:
            ids: Those of the people.
            is_usable: Tells whether anybody can be sent with an org.
        """
        related = self._database.relatives_of(_json(ids))
        schools = self._schools({other for each in related.values() for other, _ in each})
        found = {}
        for person, relatives in related.items():
            words = {relation for other, relation in relatives if other in schools}
            role = next((word for word in RELATIONS if word in words), "")
            if words & {"", OTHER} and self._relationship in RELATIONS:
                role = role or self._relationship
            orgs = {org for other, _ in relatives for org in schools.get(other, ()) if org}
            # An org that is wrong in one child's row costs nobody whose other children have one.
            orgs = set(filter(is_usable, orgs)) or orgs
            if self._default_org is not None or not orgs:
                orgs = {""}
            if role:
                found[person] = [_role_row(role, org) for org in sorted(orgs)]
        return found

    def _schools(self, people: Iterable[str]) -> dict[str, list[str]]:
        """Return the orgs of those who are students, by their id."""
        ids = _json(people)
        schools: dict[str, list[str]] = {}
        for person, held in self._database.holders_of(ids).items():
            if orgs := [org for role, org in held if role == "student"]:
                schools[person] = orgs
        for person, rows in self._database.roles_of(ids).items():
            learns = [row for row in rows if row.role.lower() == "student"]
            if learns:
                primary = [row for row in learns if row.role_type == "primary"]
                schools[person] = [row.org for row in primary or learns]
        return schools


def gives_role(rows: Rows) -> bool:
    """Whether a file of people says their roles."""
    return "role" in rows.columns.places or "role" in rows.layout.constants


def _digest(row: Mapping[str, str]) -> int:
    """Return a number that differs if rows differ in more than their orgs."""
    return hash(frozenset(pair for pair in row.items() if pair[0] != "orgSourcedIds"))


def _orgs(text: str) -> list[str]:
    """Return the orgs in a cell; a blank one for what is reported where its row is read."""
    codes: list[str] = []
    found = listed_ids(text, codes.append)
    return [""] if not found or "id-damaged" in codes else found


def _role_row(role: str, org: str) -> RoleRow:
    return RoleRow(role_type="primary", role=role, org=org, begin="", end="", profile="", grade="")


def _json(ids: Iterable[str]) -> str:
    return msgspec.json.encode(list(ids)).decode()
