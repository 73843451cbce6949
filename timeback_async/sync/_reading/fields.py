"""Read the values of one person that are not simply texts: status, dates, grades.

Source: OneRoster 1.1 and 1.2 (users, demographics).
"""

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from ...models import Status
from .lists import UNKNOWN, listed
from .options import CEDS_TO_TIMEBACK, LoadedOptions, ceds_grade
from .reporter import Reporter
from .roles import RoleRow
from .values import INVALID, NO_DAY, UNREADABLE, address, boolean, day, not_a_date

__all__ = ["WHY_UNREADABLE", "Fields", "required"]

FIRST_BIRTH = datetime.date(1900, 1, 1)
WHY_UNREADABLE = "is lost, or several rows have different ones"
STATUSES = get_args(Status)


class Fields:
    """Reads values, and reports those that cannot be read.

    Attributes:
        has_swapped_dates: Whether a birth date had the month where its form has the day.

    Args:
        options: How the roster is read.
    """

    def __init__(self, options: LoadedOptions) -> None:
        self._today, self._date_format = options.today, options.date_format
        self._grade_map = options.grades
        self.has_swapped_dates = False

    def status(self, text: str, report: Reporter) -> str:
        """Return a status in TimeBack's form."""
        status = text.lower()
        if status not in STATUSES:
            report("value-invalid", "status", f"must be one of {', '.join(STATUSES)}")
            return "active"
        if status == "inactive":
            report("status-inactive", "status")
        elif status != text:
            report("value-form", "status")
        return status

    def enabled(self, row: Mapping[str, str], report: Reporter) -> str:
        """Return "true" or "false", which every record needs."""
        text = row.get("enabledUser", "")
        if text == "true":
            return text
        value = boolean(text)
        if value is None:
            if required(row, "enabledUser", report):
                report("value-invalid", "enabledUser", "must be true or false")
            return "false"
        if value != text:
            report("value-form", "enabledUser")
        return value

    def email(self, text: str, report: Reporter) -> str:
        """Return an e-mail without what a program wrote around it; as it is if there is none."""
        found = address(text)
        if "@" not in text:
            report("row-doubtful", "")
        else:
            report("value-form" if found else "email-doubtful", "email")
        return found or text

    def birth(
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
            self.has_swapped_dates |= form is not None and _fits(text, _swapped(form))
        report(found, "birthDate", why)
        return "" if found == NO_DAY else None

    def grades(
        self, row: Mapping[str, str], role_rows: Sequence[RoleRow] | None, report: Reporter
    ) -> list[str]:
        """Return the grades of a person, or of their roles, by the grade map."""
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
        return found if len(found) < 2 else [*dict.fromkeys(found)]


def _swapped(form: str) -> str:
    """Return the form of a date with day and month in each other's place."""
    return re.sub("%[dm]", lambda found: "%m" if found[0] == "%d" else "%d", form)


def _fits(text: str, form: str) -> bool:
    return isinstance(day(text, form), datetime.date)


def required(row: Mapping[str, str], field: str, report: Reporter) -> str:
    """Return the text of a field that every record needs; "" with a finding if it is blank."""
    text = row.get(field, "")
    if not text:
        report("value-missing", field)
    return text
