"""Take what is personal out of the words of a server, before they get into an error or a log.

The words may repeat what we sent in any form: without accents, escaped, joined, turned around. No
list of forms is complete. So the question is not whether a word is what we sent, but whether it
can be a part of it, and it is asked of each word by itself. If it can, "…" stands in its place: a
word too many costs the reader little, while a name in a log cannot be taken back.

- Names: `Names` says which words can be a part of one. Words that servers say of everybody, such
  as "user" or "invalid", are left; words such as "may" are left in small letters only.
- If anything that we sent is not plain ASCII, each word that is not plain ASCII goes. This holds
  for every script, spelling and wrong encoding, for glued particles and names of one character.
- Numbers: `Numbers` says which can be a part of a date, a phone number, or another number that we
  sent. Numbers of up to three digits (grades, counts) identify nobody.
- The server may speak of somebody whom we did not send. So whatever looks like an e-mail address,
  a date, a phone number or a name goes: a name is a word with a capital letter that servers do not
  use of everybody.

What cannot be found is a name that the server wrote in another script than we did.
"""

import html
import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from urllib.parse import unquote

import msgspec

from .http import NOT_JSON
from .names import Names, fold, tokens_of
from .numbers import Numbers
from .words import one_line, text_of

__all__ = ["Private", "personal_values"]

# Members of a record whose values are not personal: ids, and words of the standard.
IMPERSONAL = frozenset(
    ["sourcedid", "status", "enableduser", "roles", "primaryorg", "relationshiptype", "user",
     "student", "type"]
)  # fmt: skip
ENVELOPES = ("student", "user")
JOINED = 4  # words that are tried as one: "van der Berg" for Vanderberg

_email = re.compile(r"([^\s@\uff20'\"<>(),;:]{1,64})[@\uff20][^\s@\uff20'\"<>(),;:]{1,255}")
# Of anybody, not only of whom we sent: a date by itself, and a phone number.
_date = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d([-./])\d{1,2}\1\d{1,2}|\d{1,2}([-./])\d{1,2}\2(?:19|20)\d\d)"
    r"(?!\d|T\d)"
)
_phone = re.compile(
    r"(?<![\w.])(?:\+\d[\d\s()./-]{5,}\d"
    r"|\(?\d{2,4}\)?[\s./-]+\d{2,4}[\s./-]+\d{4,}|\d{3}[./-]\d{4,})(?!\w)"
)
_entity = re.compile(r"&#?\w{1,32};")
_escapes = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|(?:\\x[0-9a-fA-F]{2})+")
_run = re.compile(r"[^\s!-/:->@\[-`{-~]+")  # up to a space, or a sign of ASCII other than "?"
_typography = "\u201c\u201d\u2018\u2019«»…\u2013—"
_gone = re.compile(r"…(?:(?:[^\w\s…]|_){0,2}\s?…)+")


def personal_values(body: bytes | None) -> list[str]:
    """Return the personal values in a request body: all except those of `IMPERSONAL` members.

    They include the names in `metadata`. A body that is not JSON is one value.
    """
    if not body:
        return []
    try:
        root = msgspec.json.decode(body)
    except NOT_JSON:
        return [text_of(body)]
    values: list[str] = []
    ahead: list[tuple[object, str]] = [(root, "body")]  # and what it is
    while ahead:
        value, what = ahead.pop()
        if isinstance(value, dict):
            if what == "metadata":
                values += value
            for name, inner in value.items():
                if what == "body" and name in ENVELOPES and isinstance(inner, dict):
                    ahead.append((inner, "record"))
                elif name == "metadata" or what == "metadata":
                    ahead.append((inner, "metadata"))
                elif what == "value" or name.lower() not in IMPERSONAL:
                    ahead.append((inner, "value"))
        elif isinstance(value, list):
            ahead += ((each, what if what == "metadata" else "value") for each in value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            values.append(str(value))
    return values


class Private:
    """What must not be shown: personal values and secrets that were sent."""

    def __init__(self, values: Iterable[str]) -> None:
        found = {unicodedata.normalize("NFC", one_line(value)) for value in values}
        self._values = sorted(found - {""}, key=len, reverse=True)
        self._is_ascii = all(map(_is_ascii, self._values))
        # Of an e-mail address, the domain is not looked for by its words.
        texts = [_email.sub(r"\1", each) for each in self._values]
        self._names = Names(texts)
        self._numbers = Numbers(texts)

    def out_of(self, text: str) -> str:
        """Return a text without what is private; "" if nothing remains.

        Escapes are resolved: those of HTML, of JSON, and of URLs.
        """
        if not text:
            return ""
        text = _email.sub("…", unicodedata.normalize("NFC", one_line(_resolved(text))))
        text = self._without_values(text)
        if not self._is_ascii:
            text = _run.sub(lambda run: run[0] if _is_ascii(run[0]) else "…", text)
        text = _phone.sub("…", _date.sub("…", self._without_parts(text)))
        text = _gone.sub("…", text)
        return text if any(map(str.isalnum, text)) else ""

    def _without_values(self, text: str) -> str:
        """Remove whole values, except single words and numbers: these are among the parts."""
        folded = text.casefold()
        for value in self._values:
            is_part = len(value) == 1 or value.isalpha() or value.isdecimal()
            if not is_part and value.casefold() in folded:
                # A short value may be part of other words: remove it only as a whole word.
                edges = ("", "") if len(value) > 3 else (r"(?<!\w)", r"(?!\w)")
                text = re.sub(re.escape(value).join(edges), "…", text, flags=re.IGNORECASE)
        return text

    def _without_parts(self, text: str) -> str:
        """Remove each word that can be a part of a name, and each number of a date or phone."""
        tokens = tokens_of(text)
        gaps = [text[one.end() : two.start()] for one, two in pairwise(tokens)]
        gone = self._numbers.found_in(text, tokens) | self._names_in(text, tokens, gaps)
        gone = self._with_neighbours(gone, tokens, gaps)
        pieces, end = [], 0
        for place in sorted(gone):
            pieces += [text[end : tokens[place].start()], "…"]
            end = tokens[place].end()
        return "".join([*pieces, text[end:]])

    def _with_neighbours(
        self, gone: set[int], tokens: list[re.Match[str]], gaps: list[str]
    ) -> set[int]:
        """Return the places with those of what is glued to them, and of initials beside them."""
        more = set(gone)
        forth = [(place, place + 1, gap) for place, gap in enumerate(gaps)]
        back = [(place + 1, place, gap) for place, gap in enumerate(gaps)]
        for place, other, gap in (*forth, *reversed(back)):
            is_initial = len(gap) <= 2 and fold(tokens[other][0]) in self._names.initials
            if (place in more and not gap) or (place in gone and is_initial):
                more.add(other)
        return more

    def _names_in(self, text: str, tokens: list[re.Match[str]], gaps: list[str]) -> set[int]:
        names = self._names
        gone = {place for place, token in enumerate(tokens) if names.may_contain(token[0])}
        # The n of an escaped line end may stand before a name.
        gone |= {
            place
            for place, token in enumerate(tokens)
            if text[token.start() - 1 : token.start()] == "\\" and names.may_contain(token[0][1:])
        }
        keys = [fold(token[0]) for token in tokens]
        for start in range(len(keys)):
            for end in range(start + 2, min(start + JOINED, len(keys)) + 1):
                if len(gaps[end - 2]) > 3:
                    break
                # Two parts of names side by side are a name, even if both are ordinary words.
                is_name = end == start + 2 and {keys[start], keys[end - 1]} <= names.parts
                if is_name or "".join(keys[start:end]) in names.parts:
                    gone.update(range(start, end))
        return gone


def _is_ascii(text: str) -> bool:
    """Return whether a text is ASCII but for typography. A "?" may stand for another character."""
    return "?" not in text and text.strip(_typography).isascii()


def _resolved(text: str) -> str:
    """Return a text without the escapes of HTML, JSON and URLs, even those of one another."""
    for _ in range(3):
        text = _entity.sub(lambda found: html.unescape(found[0]), text)
        text = unquote(_escapes.sub(lambda found: _unescaped(found[0]), text))
    return text


def _unescaped(escapes: str) -> str:
    raw = bytes.fromhex(escapes.replace(escapes[:2], ""))
    return raw.decode("utf-16-be", "replace") if escapes[1] == "u" else text_of(raw)
