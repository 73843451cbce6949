"""Find what the server says in an error body: a code for programs, and words for people.

No part of an error body is required. TimeBack, and the gateways in front of it, answer with imsx
status objects (bare, wrapped, or in a list), errors listed by field, OAuth 2.0 errors, problem
details, plain text, a page of HTML, or nothing. The words are returned as they came, so they may
be personal: `private` removes that.

Source: OneRoster 1.1 and 1.2 (imsx status objects); RFC 6749 section 5.2 (OAuth 2.0 errors); RFC
9457 section 3.1 (problem details); RFC 8259 section 8.1 (a byte order mark is ignored).
"""

import html
import json
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec

from .http import NOT_JSON

__all__ = ["MAX_WORDS", "error_words", "facts_of", "one_line", "text_of"]

MAX_WORDS = 1000
MAX_DEPTH = 4
# Names of members, in lower case. The first one that is there is taken.
CODES = ("error", "errorcode", "error_code", "code", "errortype", "__type", "type")
WORDS = (
    "imsx_description", "error_description", "message", "errormessage", "defaultmessage", "msg",
    "detail", "description", "faultstring", "exception", "reason", "error", "title",
)  # fmt: skip
FIELDS = ("loc", "field", "path", "propertypath", "pointer", "param", "name")
ENTRIES = (
    "imsx_error_details", "statusinfoset", "errors", "detail", "details", "issues", "violations",
    "invalid-params",
)  # fmt: skip
# Objects whose members say nothing about the error as a whole: the record, if it is repeated, and
# the entries. (A single status object is no list of them.)
APART = frozenset(["student", "user", "agent", "org", *ENTRIES]) - {"statusinfoset"}

_is_code = re.compile(r"[A-Za-z0-9_.:/#-]{1,64}").fullmatch
_title = re.compile(r"<(?:title|h1)\b[^<>]{0,200}>([^<]{0,500})", re.IGNORECASE).search
# Not text: control characters, and what could not be decoded.
_unreadable = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffd]").search
_blank = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
# Soft hyphens, joiners, marks of direction: they can hide a word, or turn a line of a log around.
_unseen = re.compile("[\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
_last_word = re.compile(r"\w+\Z")


def error_words(body: bytes) -> tuple[str, str]:
    """Return the code and the words in an error body, each "" when missing.

    A code has at most 64 characters and no space; what has more is words. The words are one line
    of at most `MAX_WORDS` characters. Words about a field begin with its name.
    """
    text = text_of(body).strip()
    if not text:
        return "", ""
    try:
        root = msgspec.json.decode(text)
    except NOT_JSON:
        return "", _joined([_plain_words(text)])
    facts = facts_of(root, 3, APART)
    entries = [root] if isinstance(root, list | str) else [facts.get(name) for name in ENTRIES]
    firsts = [each[0] if isinstance(each, list) and each else each for each in entries]
    inner = [facts_of(each) for each in firsts if isinstance(each, dict)]
    codes = [code for each in (facts, *inner) for code in _codes(each)]
    code = next((code for code in codes if _is_code(code) and code != "about:blank"), "")
    said = [words for words in _texts(facts, WORDS) if words != code][:1] or codes[:1]
    listed = (words for each in entries for words in _said(each))
    return code, _joined(words for words in chain(said, listed) if words != code)


def text_of(body: bytes) -> str:
    """Return bytes as text, whatever its encoding. A byte order mark is left out."""
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def one_line(text: str) -> str:
    """Return a text without line ends, control characters, and characters that are not seen."""
    if text.isprintable() and " " not in text:
        return text  # such as the id of a request, which most answers have
    return _blank.sub(" ", _unseen.sub("", text)).strip()


def facts_of(root: object, depth: int = 2, apart: Collection[str] = ()) -> dict[str, Any]:
    """Return the members of an object, and of the objects in it, as one dict.

    Names are in lower case. An outer member counts before an inner one of the same name. The
    objects named in `apart` are not looked into.
    """
    facts: dict[str, Any] = {}
    level = [root]
    for _ in range(depth):
        objects = [each for each in level if isinstance(each, dict)]
        members = [(name.lower(), value) for each in objects for name, value in each.items()]
        for name, value in members:
            facts.setdefault(name, value)
        level = [value for name, value in members if name not in apart]
    return facts


def _plain_words(text: str) -> str:
    """Return the first line of a text, or the title of a page; "" for JSON that was cut off."""
    if text.startswith("<"):
        title = _title(text)
        return html.unescape(title[1]) if title else ""
    line = text.partition("\n")[0]
    return "" if text.startswith(("{", "[", '"')) or _unreadable(line) else line


def _codes(facts: dict[str, Any]) -> Iterator[str]:
    """Yield what may be the code, the best first."""
    fields = facts_of(facts.get("imsx_codeminor")).get("imsx_codeminorfield")
    for field in fields if isinstance(fields, list) else [fields]:
        yield from _texts(facts_of(field), ["imsx_codeminorfieldvalue"])
    yield from _texts(facts, ["imsx_codeminor", *CODES])
    status = facts.get("status")  # "error" says nothing, but PERMISSION_DENIED does
    yield from [status] if isinstance(status, str) and status.isupper() else []
    number = facts.get("code")
    if isinstance(number, int) and not 100 <= number < 600:  # the HTTP status is known already
        yield str(number)


def _said(value: object, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Yield the words of errors in a list, or in an object of fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth:
        for each in value:
            yield from _said(each, depth - 1)
    elif isinstance(value, dict) and depth:
        facts = {name.lower(): inner for name, inner in value.items()}
        words = next(_texts(facts, WORDS), "")
        if words:
            field = _field(facts)
            yield f"{field}: {words}" if field else words
            return
        for name, inner in value.items():
            if name.lower() not in CODES:
                yield from (f"{name}: {each}" for each in _said(inner, depth - 1))


def _field(facts: dict[str, Any]) -> str:
    """Return the name of the field that an error is about, or ""."""
    for name in FIELDS:
        found = facts.get(name)
        if isinstance(found, list):
            return ".".join(str(part) for part in found if isinstance(part, str | int))
        if isinstance(found, str):
            return found
    return ""


def _texts(facts: dict[str, Any], names: Iterable[str]) -> Iterator[str]:
    return (text for name in names if isinstance(text := facts.get(name), str) and text)


def _joined(said: Iterable[str]) -> str:
    """Return words as one line, each once. No word is cut in two: its half might be a name."""
    lines: dict[str, None] = {}
    size = 0
    for words in said:
        line = one_line(_cut(words))
        if line and line not in lines:
            lines[line] = None
            size += len(line) + 2
        if size > MAX_WORDS:
            break
    return _cut("; ".join(lines)).rstrip("; ")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_WORDS else _last_word.sub("", text[:MAX_WORDS])
