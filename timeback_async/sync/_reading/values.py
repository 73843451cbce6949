"""Read a cell in the forms of real files.

Nothing is guessed: a text with two possible meanings is not read at all.

Source: OneRoster 1.2.1 CSV binding (booleans, lists, userIds, dates).
"""

import datetime
import re
from contextlib import suppress

import msgspec

__all__ = ["AMBIGUOUS", "DIFFERENT", "boolean", "day", "listed", "not_a_date", "user_ids"]

TRUE, FALSE = {"true", "1", "yes", "y"}, {"false", "0", "no", "n"}
AMBIGUOUS = "date-ambiguous"
DIFFERENT = "\0"  # in place of a value for which several rows disagree
_iso = re.compile(r"(\d{4})([-/]?)(\d{2})\2(\d{2})(?:[T ].*)?").fullmatch
_other = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})").fullmatch
_typed = re.compile(r"\{([^:{}]+):([^{}]*)\}").findall


def boolean(text: str) -> str | None:
    """Return "true" or "false", or None if the text is neither."""
    lower = text.lower()
    return "true" if lower in TRUE else "false" if lower in FALSE else None


def listed(text: str) -> list[str]:
    """Return the elements of a list cell: `a`, `a,b`, `[]` or a JSON list of texts."""
    if text.startswith("["):
        with suppress(msgspec.DecodeError):
            elements = msgspec.json.decode(text, type=list[str | int])
            return [str(each) for each in elements if each != ""]
    if "," not in text:
        return [text] if text else []
    return [cell for cell in (part.strip() for part in text.split(",")) if cell]


def user_ids(text: str) -> list[str]:
    """Return identifiers, each as `type:id`, or as `id` if it has no type.

    Known forms: `{LDAP:Id}`, several of them, a bare id, `[]`, JSON objects.
    """
    if text.startswith("["):
        with suppress(msgspec.DecodeError):
            objects = msgspec.json.decode(text, type=list[dict[str, str]])
            found = [(each.get("type", ""), each.get("identifier", "")) for each in objects]
            return [f"{kind}:{number}" for kind, number in found if number]
    if "{" in text:
        return [f"{kind.strip()}:{number.strip()}" for kind, number in _typed(text)]
    return listed(text)


def day(text: str, form: str | None) -> datetime.date | str:
    """Return a date, or the code of the finding.

    Args:
        text: The cell.
        form: Its form, for `datetime.strptime`; None for a date with the year first, or one in
            which day and month can be distinguished.
    """
    if form is not None:
        with suppress(ValueError):
            return datetime.datetime.strptime(text, form).date()  # noqa: DTZ007 - a date alone
    if found := _iso(text):
        return _date(found[1], found[3], found[4])
    if form is None and (found := _other(text)):
        one, two, year = found[1], found[3], found[4]
        if one == two or int(two) > 12:
            return _date(year, one, two)
        return _date(year, two, one) if int(one) > 12 else AMBIGUOUS
    return "value-invalid"


def not_a_date(form: str | None) -> str:
    """Return the rule that a text breaks which is no date."""
    return f"is not a date; tried {form or 'yyyy-mm-dd'}"


def _date(year: str, month: str, day_: str) -> datetime.date | str:
    try:
        return datetime.date(int(year), int(month), int(day_))
    except ValueError:
        return "value-invalid"
