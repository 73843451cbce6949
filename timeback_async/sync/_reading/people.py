"""Make a student or a user of one person's rows.

Missing values are not made up: a person who lacks a required one is left out, with a finding.

Source: OneRoster 1.1 and 1.2 (users, roles, demographics); TimeBack onboarding guide.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

from msgspec import UNSET
from msgspec.structs import replace

from ..._wire.validate import checked
from ...errors import RecordError
from ...models import Demographics, OrgRef, Status, Student, User
from .codes import CODES, Severity
from .gaps import Fragment, Gaps, Roleless
from .lists import UNKNOWN, listed
from .options import CEDS_TO_TIMEBACK, LoadedOptions, ceds_grade
from .orgs import Orgs
from .reporter import AddFinding, Reporter
from .roles import RoleMapper, RoleRow, Roles
from .values import INVALID, NO_DAY, UNREADABLE, boolean, day, not_a_date

__all__ = ["MappedRow", "PeopleMapper"]

FIRST_BIRTH = datetime.date(1900, 1, 1)
WHY_UNREADABLE = "is lost, or several rows have different ones"
STATUSES = get_args(Status)
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
        self._is_strict, self._today = options.strict, options.today
        self._date_format, self._grade_map = options.date_format, options.grades
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
        if row.get("status", "").lower() == "tobedeleted" and not self._is_strict:
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
        birth = self._birth(birth_date, birth_format, report) if birth_date else ""
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
            ended=[*(self._roles.ended(*each) for each in ended), *held.ended],
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
        birth = self._birth(birth_date, birth_format, report) if birth_date else ""
        if birth:
            values["demographics"] = Demographics(birth)
        if not held.roles and not report.is_bad and not has_no_roles:
            report("role-missing", "role")
        grades = self._grades(row, role_rows, report)
        has_org = "primaryOrgSourcedId" in row
        _report_doubts(held, has_org, is_partial, report)

        struct: type[Student | User | Roleless]
        username = self._username(row, held, report)
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

        gaps = Gaps(
            birth=birth is None or (birth == "" and not self._has_all_births),
            org=not has_org and (is_partial or bool(held.orgs)),
            orgs=[] if is_partial or has_org else held.orgs,
            roles=is_partial,
            kind=is_partial and not held.has_primary,
            ended=[self._roles.ended(*each) for each in ended] + held.ended if is_partial else [],
        )
        kind = "" if body is None else KIND_OF_STRUCT[struct]
        is_student = None if has_no_roles else held.is_student
        relation = "" if gaps.kind else held.relation
        return MappedRow(kind, is_student, relation, values["status"], body, gaps.as_json())

    # -- single fields

    def _values(self, row: Mapping[str, str], org: OrgRef, report: Reporter) -> dict[str, Any]:
        """Return the values that a record of every kind has."""
        values: dict[str, Any] = {TEXTS[field]: row[field] for field in row if field in TEXTS}
        values["status"] = self._status(row, report)
        values["sourced_id"] = row["sourcedId"]
        values["given_name"] = _required(row, "givenName", report)
        values["family_name"] = _required(row, "familyName", report)
        values["enabled_user"] = self._enabled(row, report)
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

    def _status(self, row: Mapping[str, str], report: Reporter) -> str:
        text = row.get("status", "active")
        if text == "active":
            return text
        status = text.lower()
        if status not in STATUSES:
            report("value-invalid", "status", f"must be one of {', '.join(STATUSES)}")
            return "active"
        if status == "inactive":
            report("status-inactive", "status")
        elif status != text:
            report("value-form", "status")
        return status

    def _enabled(self, row: Mapping[str, str], report: Reporter) -> str:
        text = _required(row, "enabledUser", report)
        if text == "true":
            return text
        value = boolean(text)
        if value is None:
            if text:
                report("value-invalid", "enabledUser", "must be true or false")
            return "false"
        if value != text:
            report("value-form", "enabledUser")
        return value

    def _username(self, row: Mapping[str, str], held: Roles, report: Reporter) -> str | None:
        username = row.get("username")
        if username != UNREADABLE:
            return username
        # A student who is sent without one would lose the one that TimeBack has.
        report("value-invalid" if held.is_student else INVALID, "username", WHY_UNREADABLE)
        return None

    def _birth(
        self, text: str, form: str | None, report: Reporter
    ) -> datetime.date | Literal[""] | None:
        """Return a birth date; "" if the text says there is none, None if it cannot be read."""
        form = form or self._date_format
        found = INVALID if text == UNREADABLE else day(text, form)
        if isinstance(found, datetime.date) and not FIRST_BIRTH <= found <= self._today:
            report(INVALID, "birthDate", "is not a date of somebody who lives")
            return None
        if isinstance(found, datetime.date):
            if found.isoformat() != text:
                report("value-form", "birthDate")
            return found
        why = WHY_UNREADABLE if text == UNREADABLE else ""
        if found == INVALID and not why:
            why = not_a_date(form)
        report(found, "birthDate", why)
        return "" if found == NO_DAY else None

    def _grades(
        self, row: Mapping[str, str], role_rows: Sequence[RoleRow] | None, report: Reporter
    ) -> list[str]:
        given, form = listed(row["grades"]) if "grades" in row else ([], "")
        if form:
            report(form if form != UNKNOWN else "value-left-out", "grades")
        if not given and role_rows:
            given = list(dict.fromkeys(each.grade for each in role_rows if each.grade))
        known = self._grade_map
        if known is None:
            return [*dict.fromkeys(given)]
        found = []
        for grade in given:
            mapped = known.get(grade)
            if mapped is None:
                mapped = ceds_grade(grade) if known is CEDS_TO_TIMEBACK else None
                report("grade-unmapped" if mapped is None else "value-form", "grades")
            found.append(grade if mapped is None else mapped)
        return [*dict.fromkeys(found)]


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
    """Return a record as JSON, without invalid optional texts; None if anything else is wrong."""
    while True:
        try:
            return checked(struct(**values), struct)[1]
        except RecordError as error:
            field = FILE_FIELDS.get(error.field, error.field)
            if TEXTS.get(field) not in values:
                code = "id-invalid" if error.field == "sourcedId" else "value-invalid"
                report(code, field, error.reason)
                return None
            del values[TEXTS[field]]
            report(INVALID, field, error.reason)


def _required(row: Mapping[str, str], field: str, report: Reporter) -> str:
    text = row.get(field, "")
    if not text:
        report("value-missing", field)
    return text
