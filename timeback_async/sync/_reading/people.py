"""Make a student or a user of what the files say about one person.

What they do not say is not made up: such a person is left out, and a finding says why.

Source: OneRoster 1.1 and 1.2 (users, roles, demographics); TimeBack onboarding guide.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self, get_args

from msgspec import UNSET

from ..._wire.validate import checked
from ...errors import RecordError
from ...models import Demographics, OrgRef, Role, RoleName, RoleType, Status, Student, User
from .findings import Severity
from .gaps import Gaps, Untold
from .options import Resolved
from .values import boolean, day, listed

__all__ = ["DIFFERENT", "PeopleMapper", "Person", "RoleRow"]

DIFFERENT = "\0"  # in place of a value, where several rows say different things
RELATIONS = ("parent", "guardian", "relative")
ROLES: dict[str, RoleName] = {role.lower(): role for role in get_args(RoleName)}
STATUSES = get_args(Status)
MOST_KNOWN = 10_000
KINDS: dict[type, str] = {Student: "student", User: "user", Untold: "person"}
SCHOOL = 0  # the nearest that an org can be to a primary one
DISTRICT = {"district", "local", "state", "national"}
# Field of the file, and what TimeBack calls it.
TEXTS = {
    "email": "email",
    "middleName": "middle_name",
    "phone": "phone",
    "sms": "sms",
    "identifier": "identifier",
    "pronouns": "pronouns",
    "userMasterIdentifier": "user_master_identifier",
    "preferredGivenName": "preferred_first_name",
    "preferredMiddleName": "preferred_middle_name",
    "preferredFamilyName": "preferred_last_name",
}
# How TimeBack's fields are called in the file, for findings.
FILE_FIELDS = {
    "preferredFirstName": "preferredGivenName",
    "preferredLastName": "preferredFamilyName",
    "primaryOrg.sourcedId": "orgSourcedIds",
}

# Takes code, field and detail of a finding; returns how bad it is.
Tell = Callable[[str, str, str], Severity]


class RoleRow(NamedTuple):
    """One row of roles.csv."""

    role_type: str
    role: str
    org: str
    begin: str
    end: str
    profile: str
    grade: str


class Person(NamedTuple):
    """What became of a row.

    Attributes:
        kind: "student" or "user"; "person" where TimeBack has to tell; "" where the person is
            left out.
        is_student: Whether one of the roles is a student's; None where TimeBack has to tell.
        relation: The role that makes a relationship, or "".
        status: "active", "inactive" or "tobedeleted".
        body: The record as JSON, or None where the person is left out.
        gaps: What the files leave open, as JSON.
    """

    kind: str
    is_student: bool | None
    relation: str
    status: str
    body: bytes | None
    gaps: bytes


class _Roles(NamedTuple):
    """What somebody is, primary roles first, and what follows from it."""

    roles: list[Role]
    has_primary: bool
    is_student: bool
    is_more: bool  # than a student
    relation: str
    org: OrgRef
    is_org_sure: bool  # or it is the first of several

    @classmethod
    def of(cls, roles: list[Role], is_in_school: bool) -> Self:
        primary = [role for role in roles if role.role_type == "primary"]
        return cls(
            roles,
            has_primary=bool(primary),
            is_student=any(role.role == "student" for role in primary or roles),
            is_more=any(role.role != "student" for role in roles),
            relation=next((role.role for role in roles if role.role in RELATIONS), ""),
            org=roles[0].org if roles else OrgRef(""),
            is_org_sure=is_in_school or len({role.org for role in primary or roles}) < 2,
        )


class PeopleMapper:
    """Maps rows to records.

    Args:
        options: What the user has said.
        orgs: The type of each org in orgs.csv, by id; None where there is no such file.
        role_form: How the dates in roles.csv are written; None for what `options` say.
        has_all_births: Whether whoever has no birth date here has none.
        has_all_roles: Whether roles.csv holds all of everybody's roles.
    """

    def __init__(
        self,
        options: Resolved,
        orgs: Mapping[str, str] | None,
        role_form: str | None = None,
        *,
        has_all_births: bool = True,
        has_all_roles: bool = True,
    ) -> None:
        self._has_all_births, self._has_all_roles = has_all_births, has_all_roles
        self._role_form = role_form or options.date_format
        self._options = options
        self._orgs = orgs
        # Thousands share a role in the same orgs, of which nobody has to be told again.
        self._known_roles: dict[tuple[str, str], _Roles] = {}

    def person(
        self,
        row: Mapping[str, str],
        roles: Sequence[RoleRow] | None,
        birth_date: str,
        birth_format: str | None,
        tell: Tell,
        ended: Sequence[tuple[str, str]] = (),
    ) -> Person:
        """Return what becomes of one row.

        Args:
            row: Cells by field, without blank ones.
            roles: The person's rows of roles.csv; None where roles stand in the row itself.
            birth_date: Of the person, as it is written; "" where it is not known.
            birth_format: How it is written.
            tell: Is told every finding.
            ended: Role and org of the rows of roles.csv that end a role.
        """
        told = _Told(tell)
        own = self._own_roles(row, told) if roles is None else self._roles(roles, told)
        status = self._status(row, told)
        values: dict[str, Any] = {TEXTS[field]: row[field] for field in row if field in TEXTS}
        values["sourced_id"] = row["sourcedId"]
        values["given_name"] = _needed(row, "givenName", told)
        values["family_name"] = _needed(row, "familyName", told)
        values["status"] = status
        values["enabled_user"] = self._enabled(row, told)
        values["primary_org"] = own.org
        if "primaryOrgSourcedId" in row:
            org = self._org(row["primaryOrgSourcedId"], "primaryOrgSourcedId", told)
            values["primary_org"] = OrgRef(org or "")
        if birth_date:
            values["demographics"] = self._demographics(birth_date, birth_format, told)
        is_partial = roles is not None and not self._has_all_roles
        is_untold = is_partial and not roles
        if not own.roles and not told.is_bad and not is_untold:
            told("role-missing", "role")
        grades = self._grades(row, roles, told)
        struct: type[Student | User | Untold] = Student if own.is_student else User
        if is_untold:
            struct = Untold
            values |= {"username": row.get("username", UNSET), "grades": grades or UNSET}
            if "primaryOrgSourcedId" not in row:
                values["primary_org"] = UNSET
        elif own.is_student:
            values["username"] = _needed(row, "username", told)
            values["grades"] = grades
            if own.is_more:
                told("role-left-out", "role")
        else:
            values["username"] = row.get("username", UNSET)
            values["grades"] = grades or UNSET
            values["roles"] = own.roles
        body = None if told.is_bad else _checked(struct, values, told)
        kind = "" if body is None else KINDS[struct]
        is_kind_open = is_partial and not own.has_primary
        gaps = Gaps(
            birth=not birth_date and not self._has_all_births,
            org="primaryOrgSourcedId" not in row and (is_partial or not own.is_org_sure),
            roles=is_partial,
            kind=is_kind_open,
            ended=[self._ended(*each) for each in ended],
        )
        relation = "" if is_kind_open else own.relation
        is_student = None if is_untold else own.is_student
        return Person(kind, is_student, relation, status, body, gaps.as_json())

    # -- single fields

    def _status(self, row: Mapping[str, str], told: "_Told") -> str:
        text = row.get("status", "active")
        if text == "active":
            return text
        status = text.lower()
        if status not in STATUSES:
            told("value-invalid", "status", f"must be one of {', '.join(STATUSES)}")
            return "active"
        if status == "inactive":
            told("status-inactive", "status")
        elif status != text:
            told("value-form", "status")
        return status

    def _enabled(self, row: Mapping[str, str], told: "_Told") -> str:
        text = _needed(row, "enabledUser", told)
        if text == "true":
            return text
        value = boolean(text)
        if value is None:
            if text:
                told("value-invalid", "enabledUser", "must be true or false")
            return "false"
        if value != text:
            told("value-form", "enabledUser")
        return value

    def _demographics(self, text: str, form: str | None, told: "_Told") -> Any:
        if text == DIFFERENT:
            told("value-invalid", "birthDate", "several rows say different ones")
            return UNSET
        found = day(text, form or self._options.date_format)
        if isinstance(found, str):
            told(found, "birthDate", "" if found == "date-ambiguous" else "is no date")
            return UNSET
        if found.isoformat() != text:
            told("value-form", "birthDate")
        return Demographics(found)

    def _grades(
        self, row: Mapping[str, str], roles: Sequence[RoleRow] | None, told: "_Told"
    ) -> list[str]:
        given = listed(row["grades"]) if "grades" in row else []
        if not given and roles:
            given = list(dict.fromkeys(each.grade for each in roles if each.grade))
        known = self._options.grades
        if known is None:
            return given
        for grade in given:
            if grade not in known:
                told("grade-unmapped", "grades")
        return [known.get(grade, grade) for grade in given]

    # -- roles and orgs

    def _own_roles(self, row: Mapping[str, str], told: "_Told") -> _Roles:
        """Return the roles of a 1.1 row: one, in each of its orgs, the best org first."""
        text, orgs = row["role"], row.get("orgSourcedIds", "")
        known = self._known_roles.get((text, orgs))
        if known is not None:
            return known
        found, told_before = [], told.number
        nearest = sorted(listed(orgs) or [""], key=self._distance)
        for org in nearest:
            role = self._role(text, org, told)
            mapped = self._org(org, "orgSourcedIds", told)
            if role is not None and mapped is not None:
                found.append(Role("primary", role, OrgRef(mapped)))
        roles = _Roles.of(found, self._distance(nearest[0]) == SCHOOL)
        if told.number == told_before and len(self._known_roles) < MOST_KNOWN:
            self._known_roles[text, orgs] = roles
        return roles

    def _roles(self, rows: Sequence[RoleRow], told: "_Told") -> _Roles:
        """Return the roles of roles.csv, primary ones first, and the best org first."""
        found = []
        nearest = sorted(
            rows, key=lambda row: (row.role_type != "primary", self._distance(row.org))
        )
        for row in nearest:
            if row.role_type not in ("primary", "secondary"):
                told("value-invalid", "roleType", "must be primary or secondary")
            role = self._role(row.role, row.org, told)
            mapped = self._org(row.org, "orgSourcedId", told)
            begin = self._role_day(row.begin, "beginDate", told)
            end = self._role_day(row.end, "endDate", told)
            if role is not None and mapped is not None:
                kind: RoleType = "primary" if row.role_type == "primary" else "secondary"
                profile = row.profile or UNSET
                found.append(Role(kind, role, OrgRef(mapped), profile, begin, end))
        return _Roles.of(found, bool(nearest) and self._distance(nearest[0].org) == SCHOOL)

    def _ended(self, text: str, org: str) -> tuple[str, str]:
        """Return role and org of a role that ends, as TimeBack calls them; nobody is told."""
        told = _Told(lambda *_: "note")
        return self._role(text, org, told) or "", self._org(org, "orgSourcedId", told) or ""

    def _role_day(self, text: str, field: str, told: "_Told") -> Any:
        if not text:
            return UNSET
        found: datetime.date | str = day(text, self._role_form)
        if isinstance(found, str):
            told(found, field, "" if found == "date-ambiguous" else "is no date")
            return UNSET
        return found

    def _role(self, text: str, org: str, told: "_Told") -> RoleName | None:
        role = ROLES.get(text.lower())
        if role is not None:
            if role != text:
                told("value-form", "role")
            return role
        if text.lower() == "administrator":
            told("role-administrator", "role")
            is_district = self._orgs is not None and self._orgs.get(org) in DISTRICT
            return "districtAdministrator" if is_district else "siteAdministrator"
        told("role-unknown", "role")
        return None

    def _distance(self, org: str) -> int:
        """Return how far an org is from being a primary one: a school, known, not even that."""
        kind = (self._orgs or {}).get(org)
        return SCHOOL if kind == "school" else 1 if kind is not None else 2

    def _org(self, org: str, field: str, told: "_Told") -> str | None:
        """Return TimeBack's id of an org, or None where there is none."""
        options = self._options
        if not org:
            if options.default_org is None:
                told("org-missing", field)
            return options.default_org
        if options.org_map is not None:
            mapped = options.org_map.get(org, options.default_org)
            if mapped is None:
                told("org-unmapped", field, org)
            return mapped
        if self._orgs is not None and org not in self._orgs:
            told("org-unknown", field, org)
        return org


class _Told:
    """Passes findings on, each once, and remembers whether one of them is an error."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._seen: set[tuple[str, str, str]] = set()
        self.is_bad = False

    @property
    def number(self) -> int:
        return len(self._seen)

    def __call__(self, code: str, field: str, detail: str = "") -> None:
        if (code, field, detail) not in self._seen:
            self._seen.add((code, field, detail))
            if self._tell(code, field, detail) == "error":
                self.is_bad = True


def _checked(
    struct: type[Student | User | Untold], values: dict[str, Any], told: _Told
) -> bytes | None:
    """Return a record as JSON, or None where it is not valid."""
    try:
        return checked(struct(**values), struct)[1]
    except RecordError as error:
        code = "id-invalid" if error.field == "sourcedId" else "value-invalid"
        told(code, FILE_FIELDS.get(error.field, error.field), error.reason)
        return None


def _needed(row: Mapping[str, str], field: str, told: _Told) -> str:
    text = row.get(field, "")
    if not text:
        told("value-missing", field)
    return text
