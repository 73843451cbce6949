"""Mend the text of a cell: what cannot be seen, stray quotes, and words that say "no value".

Only what has one meaning is mended. A word for nothing is text in a name: people are called Null.
"""

import re
from collections.abc import Iterable

__all__ = ["LIKELY", "NO_VALUE", "STRAY_QUOTE", "is_no_record", "is_no_value", "is_plain", "mended"]

LOST = "\ufffd"  # stands for a letter that an earlier program could not read
# Letters without a shape. The two that join letters of Persian and Hindi names are kept.
_unseen = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_control = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_garbled = re.compile("[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u2122]")
_joiners = re.compile("[\u200c\u200d]")
STRAY_QUOTE = "row-broken"
QUOTES = {'"': '"', "\u201c": "\u201d", "\u00ab": "\u00bb"}

# What programs write where there is no value, in the forms that no text has by chance.
CERTAIN = {
    r"\N", "(null)", "(NULL)", "<null>", "<NULL>", "[NULL]", "[null]", "(none)", "(blank)",
    "undefined", "DBNull", "System.DBNull", "[object Object]", "#N/A", "#N/A N/A", "#NA", "#NULL!",
    "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#ERROR!", "#NV", "#BEZUG!", "#WERT!",
    "#SPILL!", "#CALC!",
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
    return text.isprintable() and not ('"' in text or LOST in text or _maybe_garbled(text))


def _maybe_garbled(text: str) -> bool:
    return not text.isascii() and _garbled.search(text) is not None


def mended(text: str) -> tuple[str, str]:
    """Return a cell as it was meant, and the code of the finding; "" if nothing was wrong.

    A control character of one byte is the letter that it is in Windows' encoding; others are
    removed. A lost letter stays lost, and a stray quote makes the whole row doubtful.
    """
    text, code = text.strip(), ""
    if _unseen.search(text):
        text, code = _unseen.sub("", text).strip(), "text-unseen"
    if len(text) > 1 and QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text, code = text[1:-1].strip(), "text-quoted"
    if text.count('"') % 2:
        return text, STRAY_QUOTE
    if _control.search(text):
        text, code = _control.sub(_replaced, text).strip(), "text-control"
    if LOST in text:
        code = "text-lost"
    elif _is_garbled(text):
        code = "text-garbled"
    return text, code


def _replaced(found: re.Match[str]) -> str:
    letter = found[0]
    if "\x80" <= letter <= "\x9f":
        return letter.encode("latin-1").decode("cp1252", "ignore")
    return " " if letter in "\t\n\r\v\f" else ""


def _is_garbled(text: str) -> bool:
    """Whether a text is UTF-8 that an earlier program took for Windows' encoding."""
    if not _maybe_garbled(text):
        return False
    try:
        return text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False


def is_no_value(field: str, text: str) -> bool:
    """Whether a word of NO_VALUE says that a field has no value."""
    if text in CERTAIN:
        return True
    if field in NAMES:
        return False
    return text in LIKELY or field not in TEXTS


def is_no_record(texts: Iterable[str]) -> bool:
    """Whether the cells of a row are a footer or a ruler, as reports and databases write them."""
    return _no_record(" ".join(filter(None, (text.strip() for text in texts)))) is not None
