"""Read sourcedIds as files have them: mend what has one meaning, refuse what is destroyed.

An id that is not what its system gave is another person. So nothing is mended on suspicion.

Source: OneRoster 1.2 CSV binding (characters of a GUID); what spreadsheets make of ids.
"""

import re
import unicodedata

__all__ = ["are_common", "is_usual", "read_id"]

MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
# Numbers and dates, as a spreadsheet shows a text that it has taken for one. The digits that it
# does not show are lost.
DAMAGED = (
    r"[-+]?\d+(?:[.,]\d+)?[eE]\+\d+"  # 1.00001E+11
    r"|\d+[.,]\d+[eE]-?\d+"  # 1.00001E11
    r"|\d+[.,]0+"  # 123.0
    r"|\d{1,3}(?:[,\u00a0\u202f' ]\d{3})+(?:\.0+)?"  # 1,234,567
    rf"|\d{{1,4}}[-/. ](?:{MONTHS})[a-z]*(?:[-/. ]\d{{1,4}})?"  # 1-Mar
    rf"|(?:{MONTHS})[-/. ]\d{{1,4}}"  # Mar-01
    r"|\d{1,2}/\d{1,2}/\d{2,4}(?: [\d:]+)?"  # 3/1/2026
    r"|\d{4}-\d{2}-\d{2}[T ][\d:.]+Z?"  # 2026-03-01 00:00:00
    r"|\#{2,}|Err:\d{3}"  # ####, Err:502
)
# It leads elsewhere in an address.
_AWAY = r"(?:.*/)?\.{1,2}(?:/.*)?"  # .., ./1
# Most ids: words with a digit, joined by hyphens. No number or date looks so, and this is quick.
_COMMON = r"(?:[A-Za-z]{1,2}|[A-Za-z]*[0-9_@][0-9A-Za-z_@]*)(?:-[A-Za-z]*[0-9_@][0-9A-Za-z_@]*)*"
is_usual = re.compile(rf"{_COMMON}\Z|(?!(?i:{DAMAGED}|{_AWAY})\Z)[0-9A-Za-z._/@-]+").fullmatch
are_common = re.compile(rf"{_COMMON}(?:,{_COMMON})*").fullmatch
_is_damaged = re.compile(DAMAGED, re.IGNORECASE).fullmatch
_leads_away = re.compile(_AWAY).fullmatch
_invisible = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
QUOTES = "\u2018-\u201f\u00ab\u00bb\u2039\u203a"
_wrapped = re.compile(rf"""=?"([^"]*)"|'([^']*)'?|[{QUOTES}](.*)[{QUOTES}]""").fullmatch
NOTHING = {"", "null", "none", "nil", "nan", "nat", "undefined", "n/a", "-", "--"}
# A GUID in braces is an id; any other text in them is a list, or a remark.
_bracketed = re.compile(r"[({](?![0-9A-Fa-f-]{36}\}\Z).*[)}]").fullmatch
# What no system puts into an id: it is a formula, a list, or not a letter.
_unreadable = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffd,;|\"=<>\\[\\]#?%&^\\\\]|//|^'|['*:]$| [({]"
    "|[\u201c-\u201f\u00ab\u00bb\u2039\u203a]"
).search


def _is_of_two_scripts(text: str) -> bool:
    """Whether some letters only look like the others, as a full-width or a Cyrillic one may."""
    if unicodedata.normalize("NFKC", text) != unicodedata.normalize("NFC", text):
        return True
    if any(letter.isdigit() and not letter.isascii() for letter in text):
        return True
    others = [letter for letter in text if letter.isalpha() and not letter.isascii()]
    is_latin = all(unicodedata.name(letter, "").startswith("LATIN") for letter in others)
    return not is_latin and any(letter.isascii() and letter.isalnum() for letter in text)


def read_id(text: str) -> tuple[str, str]:
    """Return an id as its system gave it, and the code of the finding; "" and a code if it is lost.

    Args:
        text: The cell, or one element of a list; not blank.
    """
    # What an id may be:
    #   usual characters alone                   -> itself
    #   invisible ones, a formula (="00123"), an apostrophe before it -> what is inside
    #   a number, a date or several ids          -> lost
    #   one that leads elsewhere in an address   -> none that can be sent
    #   any other text                           -> itself, to be checked: some systems have such
    if is_usual(text):
        return text, ""
    found, code = _invisible.sub("", text).strip(), ""
    while wrapped := _wrapped(found):
        found = "".join(filter(None, wrapped.groups())).strip()
    if found != text:
        code = "id-mended"
    if (
        found.lower() in NOTHING
        or _is_of_two_scripts(found)
        or any(is_lost(found) for is_lost in (_is_damaged, _unreadable, _bracketed))
    ):
        return "", "id-damaged"
    if _leads_away(found):
        return "", "id-invalid"
    return found, code or ("" if is_usual(found) else "id-unusual")
