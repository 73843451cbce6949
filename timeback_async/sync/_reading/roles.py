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
from .values import day

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
    """A person's roles, primary ones first, and what follows from them."""

    roles: list[Role]
    has_primary: bool
    is_student: bool
    has_other_roles: bool  # than a student's
    relation: str
    org: OrgRef
    is_org_certain: bool  # otherwise it is the first of several

    @classmethod
    def of(cls, roles: list[Role], is_in_school: bool) -> Self:
        roles = [*dict.fromkeys(roles)]  # several orgs of the files may be one at TimeBack
        primary = [role for role in roles if role.role_type == "primary"]
        return cls(
            roles,
            has_primary=bool(primary),
            is_student=any(role.role == "student" for role in primary or roles),
            has_other_roles=any(role.role != "student" for role in roles),
            relation=next((role.role for role in roles if role.role in RELATIONS), ""),
            org=roles[0].org if roles else OrgRef(""),
            is_org_certain=is_in_school or len({role.org for role in primary or roles}) < 2,
        )


class RoleMapper:
    """Maps roles of the files to roles of TimeBack.

    Args:
        orgs: The orgs of the roster.
        date_format: Form of the dates in roles.csv; None for the forms that `day` reads.
    """

    def __init__(self, orgs: Orgs, date_format: str | None) -> None:
        self._orgs, self._date_format = orgs, date_format
        # Thousands of people share one role in the same orgs; a cached one has no findings.
        self._known_roles: dict[tuple[str, str], Roles] = {}

    def in_row(self, row: Mapping[str, str], report: Reporter) -> Roles:
        """Return the roles of a 1.1 row: the same role in each of its orgs, the best org first."""
        text, orgs = row["role"], row.get("orgSourcedIds", "")
        known = self._known_roles.get((text, orgs))
        if known is not None:
            return known
        found, reported_before = [], report.number
        read = self._orgs.read(orgs, "orgSourcedIds", report) if orgs else [""]
        ranked = sorted(read, key=self._orgs.rank)
        for org in ranked:
            role = self._role(text, org, report)
            mapped = self._orgs.mapped(org, "orgSourcedIds", report)
            if role is not None and mapped is not None:
                found.append(Role("primary", role, OrgRef(mapped)))
        roles = Roles.of(found, self._orgs.rank(ranked[0]) == SCHOOL)
        if report.number == reported_before and len(self._known_roles) < MAX_KNOWN_ROLES:
            self._known_roles[text, orgs] = roles
        return roles

    def of_rows(self, role_rows: Sequence[RoleRow], report: Reporter) -> Roles:
        """Return the roles of roles.csv, primary ones first, and the best org first."""
        found = []
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
                found.append(Role(kind, role, OrgRef(mapped), profile, begin, end))
        return Roles.of(found, bool(ranked) and rank(ranked[0].org) == SCHOOL)

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
            report(found, field, "" if found == "date-ambiguous" else "is not a date")
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
