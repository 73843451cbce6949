"""Read a cell in the forms of real files.

Nothing is guessed: a text with two possible meanings is not read at all.

Source: OneRoster 1.2.1 CSV binding (booleans, lists, userIds, dates).
"""

import datetime
import re
from contextlib import suppress

__all__ = [
    "AMBIGUOUS", "INVALID", "NO_DAY", "UNREADABLE", "address", "boolean", "day", "is_address",
    "not_a_date",
]  # fmt: skip

TRUE, FALSE = {"true", "1", "yes", "y"}, {"false", "0", "no", "n"}
AMBIGUOUS, INVALID = "date-ambiguous", "value-left-out"
NO_DAY = "value-none"
UNREADABLE = "\0"  # in place of a value that is lost, or for which several rows disagree
# What databases and spreadsheets write for "no date": zeros, and the first day that they know.
_none = re.compile(
    r"0{1,4}([-/.]?)0{1,2}\1(?:0{1,4}|1900)|1900([-/.])0?1\2(?:00|0?1)|0001-01-01|1899-12-3[01]"
    r"|0?1([-/.])0?0\3(?:1900|0)|1753-01-01|0"
).fullmatch
_iso = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})|(\d{4})(\d{2})(\d{2})").fullmatch
_other = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})").fullmatch
_worded = re.compile(r"(\d{1,2})[-/. ]+([A-Za-z]+)[-/., ]+(\d{4})").fullmatch
_worded_first = re.compile(r"([A-Za-z]+)[-/. ]+(\d{1,2})[-/., ]+(\d{4})").fullmatch
_time = re.compile(r"[T ]\d{1,2}:\d{2}.*")
ADDRESS = r"[^\s@<>()\[\]:;,\"]+@[^\s@<>()\[\]:;,\"?]*\w"
is_address = re.compile(ADDRESS).fullmatch
# In a link, of a directory, of an address book, in Markdown.
_address = re.compile(
    rf"(?:mailto|smtp|e-?mail): ?({ADDRESS})(?:\?\S*)?|[^@<>]*<({ADDRESS})>"
    rf"|\[[^\[\]]*\]\(mailto:({ADDRESS})\)",
    re.IGNORECASE,
).fullmatch
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip


def boolean(text: str) -> str | None:
    """Return "true" or "false", or None if the text is neither."""
    lower = text.lower()
    return "true" if lower in TRUE else "false" if lower in FALSE else None


def address(text: str) -> str:
    """Return the e-mail address in a text, without what programs put around it; else ""."""
    found = _address(text)
    return "".join(filter(None, found.groups())) if found else ""


def day(text: str, form: str | None) -> datetime.date | str:
    """Return a date; NO_DAY if it says that there is none; else the code of the finding.

    Args:
        text: The cell.
        form: Its form, for `datetime.strptime`; None for a date with the year first, or with the
            name of the month, or one in which day and month can be distinguished.
    """
    if form is not None:
        with suppress(ValueError):
            return datetime.datetime.strptime(text, form).date()  # noqa: DTZ007 - a date alone
    text = _time.sub("", text)
    if _none(text):
        return NO_DAY
    if found := _iso(text):
        return _date(found[1] or found[5], found[3] or found[6], found[4] or found[7])
    if found := _worded(text):
        return _date(found[3], _month(found[2]), found[1])
    if found := _worded_first(text):
        return _date(found[3], _month(found[1]), found[2])
    if form is None and (found := _other(text)):
        one, two, year = found[1], found[3], found[4]
        if one == two or int(two) > 12:
            return _date(year, one, two)
        return _date(year, two, one) if int(one) > 12 else AMBIGUOUS
    return INVALID


def _month(name: str) -> int:
    """Return the number of a month by its English name or the first three letters; else 0."""
    found = [n for n, month in enumerate(MONTHS, 1) if name.lower() in (month, month[:3])]
    return found[0] if found else 0


def not_a_date(form: str | None) -> str:
    """Return the rule that a text breaks which is no date."""
    return f"is not a date; tried {form or 'yyyy-mm-dd'}"


def _date(year: str, month: str | int, day_: str) -> datetime.date | str:
    try:
        return datetime.date(int(year), int(month), int(day_))
    except ValueError:
        return INVALID
