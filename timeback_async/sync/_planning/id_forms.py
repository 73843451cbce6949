"""Other forms in which one and the same id is written.

Spreadsheets and exports change them: `00123` becomes `123` or `123.0`, a GUID loses its braces, its
hyphens or its capitals.
"""

import re
from collections.abc import Iterator

__all__ = ["change_of_form", "other_forms"]

WIDEST = 12  # to which ids are commonly padded with zeros
_hex = re.compile(r"[0-9a-fA-F]{32}").fullmatch
_guid = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


def other_forms(sourced_id: str) -> list[str]:
    """Return the other forms of an id, the likely ones first."""
    forms: dict[str, None] = {}
    bare = _bare(sourced_id)
    for digits in _paddings(bare):
        forms[digits] = forms[f"{digits}.0"] = None
    for cased in dict.fromkeys((bare, bare.lower(), bare.upper())):
        for text in _hyphenations(cased):
            forms[text] = forms[f"{{{text}}}"] = None
    forms.pop(sourced_id, None)
    return list(forms)


def change_of_form(before: str, now: str) -> str:
    """Return in words how an id has changed that has another form now."""
    if _bare(before) == _bare(now):
        if "{" in before or "{" in now:
            return "lost their braces" if "{" in before else "gained braces"
        return "lost their .0" if before.endswith(".0") else "gained a .0"
    if _bare(before).lower() == _bare(now).lower():
        return "changed their capitals"
    if "-" in before or "-" in now:
        return "lost their hyphens" if "-" in before else "gained hyphens"
    is_shorter = len(_bare(before)) > len(_bare(now))
    return "lost their leading zeros" if is_shorter else "gained leading zeros"


def _bare(sourced_id: str) -> str:
    """Return an id without braces, and without the decimals of a number."""
    if sourced_id.startswith("{") and sourced_id.endswith("}"):
        return sourced_id[1:-1]
    number = sourced_id.removesuffix(".0")
    return number if number.isdecimal() else sourced_id


def _paddings(text: str) -> Iterator[str]:
    """Yield a number with other numbers of leading zeros, and as it is; nothing for other texts."""
    if text.isdecimal():
        number = text.lstrip("0") or "0"
        yield from (number.zfill(width) for width in range(len(number), max(WIDEST, len(text)) + 1))


def _hyphenations(text: str) -> Iterator[str]:
    yield text
    if _guid(text):
        yield text.replace("-", "")
    elif _hex(text):
        yield "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
