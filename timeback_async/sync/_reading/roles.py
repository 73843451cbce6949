"""Map the roles of one person: from the row itself, or from roles.csv.

Source: OneRoster 1.1 and 1.2 (users, roles).
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self, get_args

from msgspec import UNSET

from ...models import OrgRef, Role, RoleName, RoleType
from .orgs import SCHOOL, Orgs
from .reporter import Reporter
from .terms import begins_later, counting, is_current, is_student, past
from .values import AMBIGUOUS, day, not_a_date

__all__ = ["RoleMapper", "RoleRow", "Roles"]

RELATIONS = ("parent", "guardian", "relative")
ROLES: dict[str, RoleName] = {role.lower(): role for role in get_args(RoleName)}
UNSAID = "unsaid"  # School Data Sync may leave out which of a person's roles is the primary one
MAX_KNOWN_ROLES = 10_000


class RoleRow(NamedTuple):
    """One row of roles.csv."""

    role_type: str
    role: str
    org: str
    begin: str
    end: str
    profile: str
    grade: str


class Roles(NamedTuple):
    """A person's roles, primary ones first, and what follows from those that count today."""

    roles: list[Role]
    ended: list[tuple[str, str]]  # role and org of those that have, and are not held anew
    is_current: bool  # whether any of them is
    has_later: bool  # whether any begins after today
    has_primary: bool  # a current one
    is_student: bool
    has_other_roles: bool  # than a student's
    relation: str
    org: OrgRef
    orgs: list[str]  # those that the primary org is one of; empty if it is certain

    @classmethod
    def of(cls, held: list[tuple[Role, bool]], today: datetime.date) -> Self:
        """Return what follows from roles, each with whether its org is a school."""
        held = [*dict.fromkeys(held)]  # several orgs of the files may be one at TimeBack
        roles = [role for role, _ in held]
        count: Sequence[Role] = roles
        ended: list[tuple[str, str]] = []
        is_now, has_later = bool(roles), False
        if any(role.begin_date or role.end_date for role in roles):
            count, ended = counting(roles, today), past(roles, today)
            is_now = is_current(count[0], today)
            has_later = any(begins_later(role, today) for role in roles)
        primary = [role for role in count if role.role_type == "primary"]
        orgs = list(dict.fromkeys(role.org.sourced_id for role in primary or count))
        is_in_school = any(is_school for role, is_school in held if role is count[0])
        return cls(
            roles,
            ended,
            is_now,
            has_later,
            has_primary=is_now and bool(primary),
            is_student=is_student(count),
            has_other_roles=any(role.role != "student" for role in count),
            relation=next((role.role for role in count if role.role in RELATIONS), ""),
            org=count[0].org if count else OrgRef(""),
            orgs=[] if is_in_school or len(orgs) < 2 else orgs,
        )


class RoleMapper:
    """Maps roles of the files to roles of TimeBack.

    Args:
        orgs: The orgs of the roster.
        date_format: Form of the dates in roles.csv; None for the forms that `day` reads.
        today: The day of the run.
    """

    def __init__(self, orgs: Orgs, date_format: str | None, today: datetime.date) -> None:
        self._orgs, self._date_format, self._today = orgs, date_format, today
        # Thousands of people share one role in the same orgs; cached ones have no findings.
        self._known_roles: dict[tuple[str | RoleRow, ...], Roles] = {}

    def in_row(self, row: Mapping[str, str], report: Reporter) -> Roles:
        """Return the roles of a 1.1 row: the same role in each of its orgs, the best org first."""
        text, orgs = row["role"], row.get("orgSourcedIds", "")
        known = self._known_roles.get((text, orgs))
        if known is not None:
            return known
        found, reported_before = [], report.number
        read = self._orgs.read(orgs, "orgSourcedIds", report)
        ranked = sorted(read, key=self._orgs.rank)
        for org in ranked:
            role = self._role(text, org, report)
            mapped = self._orgs.mapped(org, "orgSourcedIds", report)
            if role is not None and mapped is not None:
                is_school = self._orgs.rank(org) == SCHOOL
                found.append((Role("primary", role, OrgRef(mapped)), is_school))
        return self._kept((text, orgs), found, report.number == reported_before)

    def of_rows(self, role_rows: Sequence[RoleRow], report: Reporter) -> Roles:
        """Return the roles of roles.csv, primary ones first, and the best org first."""
        known = self._known_roles.get(tuple(role_rows))
        if known is not None:
            return known
        found, reported_before = [], report.number
        rank = self._orgs.rank
        if any(row.role_type == UNSAID for row in role_rows):
            role_rows = _with_types(role_rows)
        ranked = sorted(role_rows, key=lambda row: (row.role_type != "primary", rank(row.org)))
        for row in ranked:
            if row.role_type not in ("primary", "secondary"):
                report("value-invalid", "roleType", "must be primary or secondary")
            role = self._role(row.role, row.org, report)
            mapped = self._orgs.mapped(row.org, "orgSourcedId", report)
            begin = self._role_day(row.begin, "beginDate", report)
            end = self._role_day(row.end, "endDate", report)
            if role is not None and mapped is not None:
                kind: RoleType = "primary" if row.role_type == "primary" else "secondary"
                profile = row.profile or UNSET
                held = Role(kind, role, OrgRef(mapped), profile, begin, end)
                found.append((held, rank(row.org) == SCHOOL))
        return self._kept(tuple(role_rows), found, report.number == reported_before)

    def _kept(
        self, key: tuple[str | RoleRow, ...], found: list[tuple[Role, bool]], is_clean: bool
    ) -> Roles:
        roles = Roles.of(found, self._today)
        if is_clean and len(self._known_roles) < MAX_KNOWN_ROLES:
            self._known_roles[key] = roles
        return roles

    def ended(self, text: str, org: str) -> tuple[str, str]:
        """Return role and org of a role that ends, in TimeBack's names, without findings."""
        report = Reporter(lambda *_: "note")
        role = self._role(text, org, report) or ""
        return role, self._orgs.mapped(org, "orgSourcedId", report) or ""

    def _role_day(self, text: str, field: str, report: Reporter) -> Any:
        if not text:
            return UNSET
        found: datetime.date | str = day(text, self._date_format)
        if isinstance(found, str):
            rule = "" if found == AMBIGUOUS else not_a_date(self._date_format)
            report(found, field, rule)
            return UNSET
        return found

    def _role(self, text: str, org: str, report: Reporter) -> RoleName | None:
        role = ROLES.get(text.lower())
        if role is not None:
            if role != text:
                report("value-form", "role")
            return role
        if text.lower() == "administrator":
            return self._orgs.administrator(org, report)
        report("role-unknown", "role")
        return None


def _with_types(rows: Sequence[RoleRow]) -> list[RoleRow]:
    """Return roles with a type: where no role is said to be primary, those unsaid are."""
    is_said = any(row.role_type == "primary" for row in rows)
    kind = "secondary" if is_said else "primary"
    return [row._replace(role_type=kind) if row.role_type == UNSAID else row for row in rows]
