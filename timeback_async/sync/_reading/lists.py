"""Read a list in one cell, in the notations of the standard, of databases and of languages.

Source: OneRoster 1.2 CSV binding (lists are separated by commas, and no element contains one).
"""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec

from ..._wire.http import NOT_JSON
from .ids import are_common, is_usual, read_id

__all__ = ["UNKNOWN", "listed", "listed_ids", "user_ids"]

UNKNOWN, OTHER_FORM = "list-unknown", "value-form"
# Characters by which another notation shows. An apostrophe within a word is a letter.
_has_notation = re.compile(r"""[\[\](){}<>";|]|^'|'$|[,\s]'|'[,\s]""").search
_in_brackets = re.compile(
    r"(?:set|frozenset|array|list|tuple)?\s*(?:\[(.*)\]|\((.*)\)|\{(.*)\})"
).fullmatch
_element = re.compile(
    r"""\s*(?:"([^"\\]*)"|'([^'\\]*)'|([^\s,;|"'\\\[\](){}<>=:#]+))"""
    r"""(?:\s*(?:[,;|]|\Z)|\s+(?=["']))\s*"""
).match
NOTHING = {
    "", "null", "NULL", "None", "nil", "NaN", "nan", "NaT", "undefined", "(null)", r"\N", "N/A",
    "n/a", "-", "--", ".",
}  # fmt: skip
_formula = re.compile(r'="([^"]*,[^"]*)"').fullmatch
_guids = re.compile(r"\{[0-9A-Fa-f-]{36}\}(?:\s*,\s*\{[0-9A-Fa-f-]{36}\})+").fullmatch
_typed = re.compile(r"\{([^:{}]+):([^{}]*)\}").findall


def listed(text: str) -> tuple[list[str], str]:
    """Return the elements of a list, and the code of the finding; "" if it is in standard form.

    A list in a notation that is not known has no elements: what looks like one might be none.
    """
    # Known notations, after the standard's `a,b`:
    #   [], ["a","b"], [{"sourcedId":"a"}]  -> JSON
    #   ['a', 'b'], ('a',), ['a' 'b']       -> Python, numpy
    #   {a,b}, {"a","b"}                    -> PostgreSQL
    #   a;b, a|b, ="a,b", ="a",="b"         -> spreadsheets
    if text.isalnum():
        return [text], ""
    if not _has_notation(text) or _guids(text):
        return _with_value(part.strip() for part in text.split(",")), ""
    if text[0] in "[{":
        with suppress(*NOT_JSON):
            return _from_json(msgspec.json.decode(text))
    if formula := _formula(text):
        return listed(formula[1])[0], OTHER_FORM
    inner = text.replace(',="', ',"').removeprefix("=") if ',="' in text else text
    while brackets := _in_brackets(inner):
        inner = brackets[1] or brackets[2] or brackets[3] or ""
    elements: list[str] = []
    place, end = 0, len(inner.rstrip())
    while place < end:
        found = _element(inner, place)
        if found is None:
            return [], UNKNOWN
        place = found.end()
        elements.append((found[1] or found[2] or found[3] or "").strip())
    return _with_value(elements), OTHER_FORM


def listed_ids(text: str, report: Callable[[str], object]) -> list[str]:
    """Return the ids in a list as their system gave them.

    Args:
        text: The cell.
        report: Takes the code of each finding; what cannot be read is left out.
    """
    if are_common(text):
        return text.split(",")
    elements, code = listed(text)
    if code == UNKNOWN and read_id(text)[0]:
        elements, code = [text], ""
    if code:
        report(code)
    found = []
    for element in elements:
        if not is_usual(element):
            element, code = read_id(element)
            report(code)
        if element:
            found.append(element)
    return found


def _from_json(value: Any) -> tuple[list[str], str]:
    """Return the elements of a list of texts, whole numbers or objects with a sourcedId."""
    if value in ([], {}):
        return [], ""
    elements = []
    for each in value if isinstance(value, list) else [value]:
        named = each.get("sourcedId", each) if isinstance(each, dict) else each
        if isinstance(named, bool) or not isinstance(named, str | int | None):
            return [], UNKNOWN
        elements.append("" if named is None else str(named).strip())
    return _with_value(elements), OTHER_FORM


def _with_value(elements: Iterable[str]) -> list[str]:
    return [each for each in elements if each not in NOTHING]


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
    return listed(text)[0]
