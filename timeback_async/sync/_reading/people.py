"""Make a student or a user of one person's rows.

Missing values are not made up: a person who lacks a required one is left out, with a finding.

Source: OneRoster 1.1 and 1.2 (users, roles, demographics); TimeBack onboarding guide.
"""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from msgspec import UNSET

from ..._wire.validate import checked
from ...errors import RecordError
from ...models import Demographics, OrgRef, Status, Student, User
from .gaps import Gaps, Roleless
from .lists import UNKNOWN, listed
from .options import CEDS_TO_TIMEBACK, LoadedOptions, ceds_grade
from .orgs import Orgs
from .reporter import AddFinding, Reporter
from .roles import RoleMapper, RoleRow
from .values import INVALID, NO_DAY, UNREADABLE, address, boolean, day, is_address

__all__ = ["MappedRow", "PeopleMapper"]

WHY_UNREADABLE = "is lost, or several rows have different ones"
STATUSES = get_args(Status)
KIND_OF_STRUCT: dict[type, str] = {Student: "student", User: "user", Roleless: "person"}
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
NEAR_EMAIL = ("sms", "phone", "identifier", "middleName")
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
        has_swapped_dates: Whether a birth date had the month where its form has the day.

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
        self._date_format, self._grade_map = options.date_format, options.grades
        self._orgs = Orgs(options, org_types)
        self.has_swapped_dates = False
        self._roles = RoleMapper(self._orgs, role_date_format or options.date_format)

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
        has_no_primary_org = "primaryOrgSourcedId" not in row
        if has_no_primary_org and not held.is_org_certain:
            report("org-uncertain", "orgSourcedIds")

        username = row.get("username")
        if username == UNREADABLE:
            # A student without one would lose the one that TimeBack has.
            report("value-invalid" if held.is_student else INVALID, "username", WHY_UNREADABLE)
            username = None

        struct: type[Student | User | Roleless]
        if has_no_roles:
            struct = Roleless
            values |= {"username": username or UNSET, "grades": grades or UNSET}
            if has_no_primary_org:
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

        is_kind_open = is_partial and not held.has_primary
        gaps = Gaps(
            birth=birth is None or (birth == "" and not self._has_all_births),
            org=has_no_primary_org and (is_partial or not held.is_org_certain),
            roles=is_partial,
            kind=is_kind_open,
            ended=[self._roles.ended(*each) for each in ended],
        )
        kind = "" if body is None else KIND_OF_STRUCT[struct]
        is_student = None if has_no_roles else held.is_student
        relation = "" if is_kind_open else held.relation
        return MappedRow(kind, is_student, relation, values["status"], body, gaps.as_json())

    # -- single fields

    def _values(self, row: Mapping[str, str], org: OrgRef, report: Reporter) -> dict[str, Any]:
        """Return the values that a record of every kind has."""
        values: dict[str, Any] = {TEXTS[field]: row[field] for field in row if field in TEXTS}
        if not is_address(row.get("email", "")):
            _mend_email(row, values, report)
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

    def _birth(
        self, text: str, form: str | None, report: Reporter
    ) -> datetime.date | Literal[""] | None:
        """Return a birth date; "" if the text says there is none, None if it cannot be read."""
        form = form or self._date_format
        found = INVALID if text == UNREADABLE else day(text, form)
        if isinstance(found, datetime.date):
            if found.isoformat() != text:
                report("value-form", "birthDate")
            return found
        why = WHY_UNREADABLE if text == UNREADABLE else ""
        if found == INVALID and not why:
            self.has_swapped_dates |= form is not None and _fits(text, _swapped(form))
            why = f"is not a date of the form {form}" if form else "is not a date"
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


def _checked(
    struct: type[Student | User | Roleless], values: dict[str, Any], report: Reporter
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


def _mend_email(
    row: Mapping[str, str], values: dict[str, Any], report: Callable[[str, str], None]
) -> None:
    text = row.get("email", "")
    if "@" not in text:
        # A telephone may take e-mails; but in place of one, it shows cells in wrong columns.
        if text or any("@" in row.get(field, "") for field in NEAR_EMAIL):
            report("row-doubtful", "")
        return
    found = address(text)
    report("value-form" if found else "email-doubtful", "email")
    if found:
        values["email"] = found


def _swapped(form: str) -> str:
    """Return the form of a date with day and month in each other's place."""
    return re.sub("%[dm]", lambda found: "%m" if found[0] == "%d" else "%d", form)


def _fits(text: str, form: str) -> bool:
    return isinstance(day(text, form), datetime.date)


def _required(row: Mapping[str, str], field: str, report: Reporter) -> str:
    text = row.get(field, "")
    if not text:
        report("value-missing", field)
    return text
