"""Mend the text of a cell: what cannot be seen, quotes around it, and words for "no value".

Only what has one meaning is mended. A word for nothing is text in a name: people are called Null.
"""

import html
import re
from collections.abc import Iterable
from typing import Any

__all__ = [
    "LIKELY",
    "LOST_VALUE",
    "NAMES",
    "NO_VALUE",
    "is_no_record",
    "is_no_value",
    "is_plain",
    "mended",
]

LOST_VALUE = "text-formula"
LOST = "\ufffd"  # stands for a letter that an earlier program could not read
# Signs by which a text shows that it may need mending, where all of it can be printed.
SIGNS = ('"', "'", "=", "?", "&", "<", "\\", "#", "E+", "Err:", LOST)
GARBLED = "[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u2122]"
_garbled = re.compile(GARBLED)
_may_need = re.compile(rf"{GARBLED}|[\u201c-\u201f\u00ab\u2039]")  # where it is not ASCII
_wrapped = re.compile(
    r"""=?"([^"]*)"|'(.*)'|[\u201c-\u201f]([^\u201c-\u201f]*)[\u201c-\u201f]"""
    r"""|\u00ab([^\u00bb]*)\u00bb|\u2039([^\u203a]*)\u203a|"()"""
    r"""|'([-+=@(#<\\\d][^']*)"""  # the mark of a spreadsheet before a number
).fullmatch
_formula = re.compile(
    r"=.*|[-+]?\d+(?:[.,]\d+)?[eE]\+\d+|[-+]?\d+[.,]\d+[eE]-?\d+"
    r"|Err:\d{3}|#{2,}|#(?:N/A.*|NA|NV|[A-Z0-9/]+[!?])"
).fullmatch
_question = re.compile(r"\w\?|\?\w").search


def _letter(found: re.Match[str]) -> str:
    letter = found[0]
    if "\x80" <= letter <= "\x9f":
        return letter.encode("latin-1").decode("cp1252", "ignore")
    return " " if letter in "\t\n\r\v\f" else ""


# Letters without a shape are removed. The two that join letters of Persian and Hindi are kept.
MENDS: list[tuple[re.Pattern[str], Any, str]] = [
    (
        re.compile(
            "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
        ),
        "",
        "text-unseen",
    ),
    (
        re.compile(r"&(?:amp;)*((?:#\d{1,6}|#[xX][\da-fA-F]{1,6}|[A-Za-z]{2,8});)"),
        lambda found: html.unescape(f"&{found[1]}"),
        "text-html",
    ),
    (
        re.compile(
            r"</?(?:(br|div|li|p|t[dr])|a|b|em|font|i|small|span|strong|su[bp]|u)(?:\s[^<>]*)?/?>",
            re.IGNORECASE,
        ),
        lambda found: " " if found[1] else "",
        "text-html",
    ),
    (re.compile(r"""\\(["',;])"""), r"\1", "text-quoted"),
    (
        re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"),
        _letter,
        "text-control",
    ),
]

# What programs write where there is no value, in the forms that no text has by chance.
CERTAIN = {
    r"\N", "<NA>", "<None>", "<none>", "(null)", "(NULL)", "<null>", "<NULL>", "[NULL]", "[null]",
    "(none)", "(blank)", "undefined", "DBNull", "System.DBNull", "[object Object]",
}  # fmt: skip
# The same, but some are names: Null, Nan and Nil are people.
LIKELY = {"NULL", "null", "NIL", "nil", "NONE", "none", "None", "NaN", "nan", "N/A", "n/a", "NaT"}
IN_NAMES = {"Null", "NAN", "Nan", "Nil"}
PLACEHOLDERS = {"-", "--", "---", "."}
NO_VALUE = frozenset(CERTAIN | LIKELY | IN_NAMES | PLACEHOLDERS)
# Fields that may hold any text; in those of NAMES, only a CERTAIN word is no name.
NAMES = {"givenName", "familyName"}
TEXTS = {
    "middleName", "preferredGivenName", "preferredMiddleName", "preferredFamilyName", "username",
    "identifier", "pronouns", "name",
}  # fmt: skip
_no_record = re.compile(
    r"\(?[\d,.]+ (?:rows?|records?|lines?)(?: \w+)?\)?\.?|[-=_*+ ]{3,}|[\x00\x1a\s]+"
    r"|\W*end of (?:file|report|data|export)\W*|eof|"
    r"(?:grand )?(?:total|count|rows|records|total (?:rows|records|users))\W*\d+",
    re.IGNORECASE,
).fullmatch


def is_plain(text: str) -> bool:
    """Whether no part of a text needs `mended`: nearly all are such, and this costs little."""
    return (
        text.isprintable()
        and not any(map(text.__contains__, SIGNS))
        and (text.isascii() or _may_need.search(text) is None)
    )


def mended(text: str) -> tuple[str, str]:
    """Return a cell as it was meant, and the code of the finding; "" if nothing was wrong.

    A control character of one byte is the letter that it is in Windows' encoding; others are
    removed. What is lost stays lost: a letter, and the value that a formula stands for.
    """
    text = text.strip()
    if _is_garbled(text):
        return text, "text-garbled"
    code = ""
    for pattern, meant, name in MENDS:
        if pattern.search(text):
            text, code = pattern.sub(meant, text).strip(), name
    while wrapped := _wrapped(text):
        # The quotes or the apostrophe that a program has put around a text.
        inner = next(each for each in wrapped.groups() if each is not None)
        text, code = inner.strip(), code or "text-quoted"
    if _is_garbled(text):
        return text, "text-garbled"
    if _formula(text):
        return "", LOST_VALUE
    if LOST in text or _question(text):
        code = "text-lost"
    return text, code


def _is_garbled(text: str) -> bool:
    """Whether a text is UTF-8 that an earlier program took for another encoding."""
    if text.isascii() or _garbled.search(text) is None:
        return False
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8") != text
        except UnicodeError:
            pass
    return False


def is_no_value(field: str, text: str) -> bool:
    """Whether a word of NO_VALUE says that a field has no value."""
    if text in CERTAIN:
        return True
    if field in NAMES:
        return False
    return text in LIKELY or text in PLACEHOLDERS or field not in TEXTS


def is_no_record(texts: Iterable[str]) -> bool:
    """Whether the cells of a row are a footer or a ruler, as reports and databases write them."""
    return _no_record(" ".join(filter(None, (text.strip() for text in texts)))) is not None
