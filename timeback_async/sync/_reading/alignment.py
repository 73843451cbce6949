"""Tell whether the cells of a row are in their columns.

It is asked of rows with another number of cells than the header has. Where cells are missing or too
many at the end, all others are in place. Where it is in the middle, or a quote has made one cell of
several, all behind it are not, and a name may stand in the place of a number.
"""

import datetime
import re
from collections.abc import Callable, Iterable, Mapping

from .ids import is_usual, read_id
from .lists import listed
from .values import AMBIGUOUS, boolean, day

__all__ = ["is_aligned"]

Check = Callable[[str], object]
_is_word = re.compile(r"[A-Za-z][A-Za-z.:_ -]*").fullmatch
_is_number = re.compile(r"[-\d\s()+./x#*]{3,}").fullmatch
_is_name = re.compile(r"[^\d@:/\\|=<>{}\[\]]+").fullmatch
_is_wordy = re.compile(r"[^\d@]+").fullmatch
_is_time = re.compile(r"\d{1,4}([-/.]?)\d{1,2}\1\d{1,4}\b.*").fullmatch
_is_grade = re.compile(r"\d{1,2}|KG|PK|TK|IT|PR|UG|PS|Other").fullmatch
_is_short = re.compile(r"[^@{}\[\]]{1,20}").fullmatch
_is_one_word = re.compile(r"\S+").fullmatch


def _is_several(text: str) -> object:
    """Whether quotes may have made a text of several cells. In a name, a blank follows a comma."""
    return re.search(r"[,;](?! \S)", text)


def _is_email(text: str) -> bool:
    return text.count("@") == 1 and _is_one_word(text) is not None


def _is_id(text: str) -> bool:
    """Whether a text is an id, and no grade or number of a telephone."""
    is_other = _is_grade(text) or (_is_number(text) and not text.isdigit())
    return not is_other and read_id(text)[0] != ""


def _is_own_id(text: str) -> bool:
    """Whether a text is the id of a row, and no number of a telephone or odd e-mail."""
    is_phone = _is_number(text) and not text.isdigit()
    return not is_phone and ("@" not in text or is_usual(text) is not None)


def _is_day(text: str) -> bool:
    found = day(text, None)
    return isinstance(found, datetime.date) or found == AMBIGUOUS


def _are(check: Check) -> Check:
    """Return the check of a list: of each of its elements, none of which is blank."""

    def are_all(text: str) -> bool:
        elements, _ = listed(text)
        is_whole = text.count(",") == len(elements) - 1 or "," not in text
        return is_whole and all(map(check, elements))

    return are_all


LISTS: dict[str, Check] = {
    "orgSourcedIds": _are(_is_id),
    "agentSourcedIds": _are(_is_id),
    "grades": _are(_is_short),
    "userIds": bool,
}
CHECKS: dict[str, Check] = LISTS | {
    "sourcedId": _is_own_id,
    "userSourcedId": _is_own_id,
    "relationshipUserSourcedId": _is_own_id,
    "status": _is_word,
    "dateLastModified": _is_time,
    "enabledUser": boolean,
    "role": _is_word,
    "roleType": _is_word,
    "username": _is_one_word,
    "identifier": lambda text: "@" not in text,
    "email": _is_email,
    "relationshipUserEmail": _is_email,
    "sms": _is_number,
    "phone": _is_number,
    "pronouns": _is_wordy,
    "birthDate": _is_day,
    "beginDate": _is_day,
    "endDate": _is_day,
    "orgSourcedId": _is_id,
    "primaryOrgSourcedId": _is_id,
    **dict.fromkeys(
        (
            "givenName", "familyName", "middleName", "preferredGivenName", "preferredMiddleName",
            "preferredFamilyName",
        ),
        _is_name,
    ),
}  # fmt: skip


def is_aligned(row: Mapping[str, str], behind_grade: Iterable[str]) -> bool:
    """Whether every cell of a row may be what its column says.

    Args:
        row: The cells by field, without blank ones.
        behind_grade: The cells behind the grade. Where it is blank, one of them may be the grade.
    """
    if row.get("role") == "student" and "grades" not in row and any(behind_grade):
        return False
    for field, text in row.items():
        if field not in LISTS and _is_several(text):
            return False
        if field in CHECKS and not CHECKS[field](text):
            return False
    return True
