"""Make a student or a user of one person's rows.

Missing values are not made up: a person who lacks a required one is left out, with a finding.

Source: OneRoster 1.1 and 1.2 (users, roles, demographics); TimeBack onboarding guide.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from ..._wire.validate import checked
from ...errors import RecordError
from ...models import Demographics, OrgRef, Student, User
from .codes import CODES, Severity
from .fields import WHY_UNREADABLE, Fields, required
from .gaps import Fragment, Gaps, Roleless
from .options import LoadedOptions
from .orgs import Orgs
from .reporter import AddFinding, Reporter
from .roles import RoleMapper, RoleRow, Roles
from .values import INVALID, UNREADABLE, is_address

__all__ = ["MappedRow", "PeopleMapper"]

KIND_OF_STRUCT: dict[type, str] = {Student: "student", User: "user", Roleless: "person"}
AT_TIMEBACK = Gaps(roles=True, rest=True)  # of whom the files name only the id
# Optional texts: the field in the file, and the attribute of the struct.
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
NEAR_EMAIL = ("identifier", "givenName", "middleName", "familyName")
# TimeBack's fields that have another name in the file, for findings.
FILE_FIELDS = {
    "preferredFirstName": "preferredGivenName",
    "preferredLastName": "preferredFamilyName",
    "primaryOrg.sourcedId": "orgSourcedIds",
}


class MappedRow(NamedTuple):
    """The result of mapping one person.

    Attributes:
        kind: "student" or "user"; "person" if only TimeBack knows which; "" if the person is
            left out.
        is_student: Whether the primary role is a student's; None if only TimeBack knows.
        relation: The role that makes a relationship, or "".
        status: "active", "inactive" or "tobedeleted".
        body: The record as JSON, or None if the person is left out.
        gaps: What the files do not say, as JSON.
    """

    kind: str
    is_student: bool | None
    relation: str
    status: str
    body: bytes | None
    gaps: bytes


class PeopleMapper:
    """Maps rows to records.

    Attributes:
        fields: Reads the single values.

    Args:
        options: How the roster is read.
        org_types: Type of each org in orgs.csv, by id; None if there is no such file.
        role_date_format: Form of the dates in roles.csv; None for the `date_format` of `options`.
        has_all_births: Whether a person without a birth date here has none.
        has_all_roles: Whether roles.csv holds all roles of everybody.
    """

    def __init__(
        self,
        options: LoadedOptions,
        org_types: Mapping[str, str] | None,
        role_date_format: str | None = None,
        *,
        has_all_births: bool = True,
        has_all_roles: bool = True,
    ) -> None:
        self._has_all_births, self._has_all_roles = has_all_births, has_all_roles
        self._common_gaps = Gaps(birth=not has_all_births).as_json()
        self._is_strict, self.fields = options.strict, Fields(options)
        self._orgs = Orgs(options, org_types)
        self._roles = RoleMapper(self._orgs, role_date_format or options.date_format, options.today)

    def person(
        self,
        row: Mapping[str, str],
        role_rows: Sequence[RoleRow] | None,
        birth_date: str,
        birth_format: str | None,
        add: AddFinding,
        ended: Sequence[tuple[str, str]] = (),
    ) -> MappedRow:
        """Return the record of one person, and report what is wrong with it.

        Args:
            row: Cells by field, without blank ones.
            role_rows: The person's rows of roles.csv; None if the row itself holds the role.
            birth_date: As it is written; "" if it is not known.
            birth_format: Form of the birth date.
            add: Takes each finding, once.
            ended: Role and org of the rows of roles.csv that end a role.
        """
        is_deleted = "status" in row and row["status"].lower() == "tobedeleted"
        if is_deleted and not self._is_strict:
            whole = partial(self._mapped, row, role_rows, birth_date, birth_format, ended)
            return _leaver(row["sourcedId"], whole, add)
        return self._mapped(row, role_rows, birth_date, birth_format, ended, add)

    def fragment(
        self,
        sourced_id: str,
        role_rows: Sequence[RoleRow],
        birth_date: str,
        birth_format: str | None,
        add: AddFinding,
        ended: Sequence[tuple[str, str]] = (),
    ) -> MappedRow:
        """Return what the other files say of a person who has no row; see `person`."""
        report = Reporter(add)
        held = self._roles.of_rows(role_rows, report)
        values: dict[str, Any] = {"sourced_id": sourced_id}
        if held.roles:
            values["roles"] = held.roles
        birth = self.fields.birth(birth_date, birth_format, report) if birth_date else ""
        if birth:
            values["demographics"] = Demographics(birth)
        if held.is_student and held.has_other_roles:
            report("role-left-out", "role")
        if held.has_later:
            report("role-later", "beginDate")
        has_news = "roles" in values or ended or birth
        if not has_news and not report.is_bad:
            report("value-missing", "birthDate")
        body = None if report.is_bad else _checked(Fragment, values, report)
        gaps = replace(
            AT_TIMEBACK,
            kind=not held.has_primary,
            ended=self._ended(ended, held),
        )
        kind = "" if body is None else "person"
        relation = held.relation if held.has_primary else ""
        return MappedRow(kind, None, relation, "active", body, gaps.as_json())

    def _mapped(
        self,
        row: Mapping[str, str],
        role_rows: Sequence[RoleRow] | None,
        birth_date: str,
        birth_format: str | None,
        ended: Sequence[tuple[str, str]],
        add: AddFinding,
    ) -> MappedRow:
        """Return the record that a row makes."""
        # The roles decide which struct it is:
        #   a student's role (the primary roles count first) -> Student, which has no roles
        #   other roles                                      -> User
        #   none, and the files hold only changes            -> Roleless: TimeBack knows the roles
        #   none                                             -> role-missing; the row is left out
        report = Reporter(add)
        if "primaryOrgSourcedId" in row:
            row = self._with_primary_org(row, report)
        if role_rows is None:
            held = self._roles.in_row(row, report)
        else:
            held = self._roles.of_rows(role_rows, report)
        is_partial = role_rows is not None and not self._has_all_roles
        has_no_roles = is_partial and not role_rows
        values = self._values(row, held.org, report)
        birth = self.fields.birth(birth_date, birth_format, report) if birth_date else ""
        if birth:
            values["demographics"] = Demographics(birth)
        if not held.roles and not report.is_bad and not has_no_roles:
            report("role-missing", "role")
        grades = self.fields.grades(row, role_rows, report) if "grades" in row or role_rows else []
        has_org = "primaryOrgSourcedId" in row
        if held.orgs or held.has_later or not held.is_current:
            _report_doubts(held, has_org, is_partial, report)
        username = row.get("username")
        if username == UNREADABLE:
            # A student who is sent without one would lose the one that TimeBack has.
            report("value-invalid" if held.is_student else INVALID, "username", WHY_UNREADABLE)
            username = None

        struct: type[Student | User | Roleless]
        if has_no_roles:
            struct = Roleless
            values |= {"username": username or UNSET, "grades": grades or UNSET}
            if not has_org:
                values["primary_org"] = UNSET
        elif held.is_student:
            struct = Student
            values |= {"username": username, "grades": grades}
            if username is None:
                report("username-none", "username")
            if held.has_other_roles:
                report("role-left-out", "role")
        else:
            struct = User
            values |= {"username": username or UNSET, "grades": grades or UNSET}
            values["roles"] = held.roles
        body = None if report.is_bad else _checked(struct, values, report)

        gaps = self._gaps(birth, held, ended, has_org=has_org, is_partial=is_partial)
        kind = "" if body is None else KIND_OF_STRUCT[struct]
        is_student = None if has_no_roles else held.is_student
        relation = "" if is_partial and not held.has_primary else held.relation
        return MappedRow(kind, is_student, relation, values["status"], body, gaps)

    def _gaps(
        self,
        birth: datetime.date | Literal[""] | None,
        held: Roles,
        ended: Sequence[tuple[str, str]],
        *,
        has_org: bool,
        is_partial: bool,
    ) -> bytes:
        is_org_open = not has_org and (is_partial or bool(held.orgs))
        if not (is_partial or is_org_open) and birth is not None:
            return b"" if birth else self._common_gaps  # as nearly everybody has them
        gaps = Gaps(
            birth=birth is None or (birth == "" and not self._has_all_births),
            org=is_org_open,
            orgs=[] if is_partial or has_org else held.orgs,
            roles=is_partial,
            kind=is_partial and not held.has_primary,
            ended=self._ended(ended, held) if is_partial else [],
        )
        return gaps.as_json()

    def _ended(self, ended: Sequence[tuple[str, str]], held: Roles) -> list[tuple[str, str]]:
        return [*(self._roles.ended(*each) for each in ended), *held.ended]

    def _values(self, row: Mapping[str, str], org: OrgRef, report: Reporter) -> dict[str, Any]:
        """Return the values that a record of every kind has."""
        values: dict[str, Any] = {TEXTS[field]: row[field] for field in row if field in TEXTS}
        if "email" in row and not is_address(row["email"]):
            values["email"] = self.fields.email(row["email"], report)
        elif "email" not in row and any("@" in row.get(field, "") for field in NEAR_EMAIL):
            report("row-doubtful", "")
        values["status"] = (
            self.fields.status(row["status"], report) if "status" in row else "active"
        )
        values["sourced_id"] = row["sourcedId"]
        values["given_name"] = required(row, "givenName", report)
        values["family_name"] = required(row, "familyName", report)
        values["enabled_user"] = self.fields.enabled(row, report)
        values["primary_org"] = org
        if "primaryOrgSourcedId" in row:
            mapped = self._orgs.mapped(row["primaryOrgSourcedId"], "primaryOrgSourcedId", report)
            values["primary_org"] = OrgRef(mapped or "")
        return values

    def _with_primary_org(self, row: Mapping[str, str], report: Reporter) -> Mapping[str, str]:
        """Return a row with its primary org mended, or without one that cannot be read."""
        field = "primaryOrgSourcedId"
        orgs = self._orgs.read(row[field], field, report)
        if len(orgs) == 1 and self._orgs.is_id(orgs[0]):
            return {**row, field: orgs[0]}
        report(INVALID, field)
        return {name: text for name, text in row.items() if name != field}


def _report_doubts(held: Roles, has_org: bool, is_partial: bool, report: Reporter) -> None:
    """Report where roles leave open what a person is, or will be."""
    if held.orgs and not has_org:
        report("org-uncertain", "orgSourcedIds")
    if held.roles and not held.is_current and not is_partial:
        report("role-not-current", "role")
    if held.has_later and is_partial:
        report("role-later", "beginDate")


def _leaver(
    sourced_id: str, mapped: Callable[[AddFinding], MappedRow], add: AddFinding
) -> MappedRow:
    """Return a person to be deleted. What is wrong with the row costs nothing: the id is enough."""
    found: list[tuple[str, str, str]] = []

    def keep(code: str, field: str, detail: str) -> Severity:
        found.append((code, field, detail))
        return CODES[code].severity

    whole = mapped(keep)
    if whole.body is not None:
        for each in found:
            add(*each)
        return whole
    values = {"sourced_id": sourced_id, "status": "tobedeleted"}
    body = _checked(Fragment, values, Reporter(add))
    if body is not None:
        add("deleted-by-id", "status", "")
    kind = "" if body is None else "person"
    return MappedRow(kind, None, "", "tobedeleted", body, AT_TIMEBACK.as_json())


def _checked(
    struct: type[Student | User | Roleless | Fragment], values: dict[str, Any], report: Reporter
) -> bytes | None:
    """Return a record as JSON, or None if it is not valid."""
    try:
        return checked(struct(**values), struct)[1]
    except RecordError as error:
        is_id = error.field == "sourcedId"  # its finding says the rule
        code, reason = ("id-invalid", "") if is_id else ("value-invalid", error.reason)
        report(code, FILE_FIELDS.get(error.field, error.field), reason)
        return None
