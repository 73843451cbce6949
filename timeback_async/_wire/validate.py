"""Check a record before it is encoded. An error names the wrong field and the rule, not the value.

The messages of msgspec can contain values, and values are personal. So a message is passed on only
when it is known to contain none.
"""

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from math import isfinite
from typing import Any, TypeVar, get_args

import msgspec

from ..errors import RecordError
from ..models import RoleName, RoleType, Status
from ..models.ids import ID_RULE, is_sendable
from ..models.sent import SentRecord

__all__ = ["checked", "encoded"]

T = TypeVar("T", bound=SentRecord)

_encode = msgspec.json.Encoder().encode
_decode: dict[type, Callable[[bytes], Any]] = {}
# Not converted, so that the check rejects them where text is wanted: msgspec would send them as
# text, bytes as Base64.
_BINARY = (bytes, bytearray, memoryview)
_NO_TEXT = (
    *_BINARY, Decimal, datetime.date, datetime.datetime, datetime.time, datetime.timedelta
)  # fmt: skip
MAX_DEPTH = 50  # of the value that a message names

_ENUMS = {
    "status": get_args(Status),
    "role": get_args(RoleName),
    "roleType": get_args(RoleType),
    "enabledUser": ("true", "false"),
    "type": ("org",),
}
_parts = re.compile(r"(?P<reason>.*?)(?: - at .*?`\$(?P<path>[^`]*)`)?", re.DOTALL).fullmatch
_missing = re.compile(r"Object missing required field `(.*)`", re.DOTALL).fullmatch
_unknown = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL).fullmatch
_harmless = re.compile(r"Expected `[^`]*`(?:, got `[^`]*`| of length [<>]= \d+)?").fullmatch


def checked(value: object, struct: type[T]) -> tuple[T, bytes]:
    """Return a record whose values are all checked, and its JSON.

    Args:
        value: The record, or a mapping in wire form.
        struct: The struct that it must be, or fit.

    Raises:
        RecordError: A value does not fit. The error names the first such field: one with a wrong
            type before an id that may not be sent.
    """
    decode = _decode.get(struct)
    if decode is None:
        decode = _decode[struct] = msgspec.json.Decoder(struct).decode
    if type(value) is struct:
        # The types are right if it decodes to an equal struct. This is the fastest check.
        try:
            body = _encode(value)
            record = decode(body)
            if record == value and _wrong_id(record) is None:
                return value, body
        except Exception:  # noqa: S110 - the code below finds what is wrong
            pass
    try:
        wire = msgspec.to_builtins(_plain(value), builtin_types=_NO_TEXT)
    except Exception as error:
        raise _unencodable(value, error) from None
    try:
        record = msgspec.convert(wire, struct)
        metadata = getattr(record, "metadata", None)
        is_json = _is_json(metadata)
    except msgspec.ValidationError as error:
        raise _record_error(str(error), struct) from None
    except Exception as error:
        raise _unencodable(value, error) from None
    if not is_json:
        raise _located(metadata, lambda part: not _is_json(part), "metadata")
    if wrong := _wrong_id(record):
        raise RecordError(wrong, ID_RULE)
    return record, encoded(record)


def encoded(value: object) -> bytes:
    """Return a value as JSON.

    Raises:
        RecordError: The value contains something that cannot be written as JSON.
    """
    try:
        return _encode(value)
    except Exception as error:
        raise _unencodable(value, error) from None


def _wrong_id(record: SentRecord) -> str | None:
    """Return the field of the first id that may not be sent, or None."""
    for field, sourced_id in record._ids():  # noqa: SLF001 - no name for users
        if not is_sendable(sourced_id):
            return field
    return None


def _record_error(message: str, struct: type) -> RecordError:
    match = _parts(message)
    reason, path = (match["reason"], match["path"] or "") if match else ("", "")
    field = path.removeprefix(".")
    if absent := _missing(reason):
        return RecordError(".".join(filter(None, [field, absent[1]])), "is required")
    if unknown := _unknown(reason):
        name = _shown(unknown[1])
        return RecordError(
            ".".join(filter(None, [field, name])), f"is not a field of {struct.__name__}"
        )
    name = re.sub(r"\[.*", "", field.rpartition(".")[2])
    if name.lower().endswith("id") and "of length" in reason:
        return RecordError(field, ID_RULE)
    if "RFC3339" in reason:
        return RecordError(field, "must be a date of the form YYYY-MM-DD")
    if reason.startswith("Invalid enum value"):
        known = _ENUMS[name]
        return RecordError(field, f"must be {'one of ' * (len(known) > 1)}{', '.join(known)}")
    if _harmless(reason):
        return RecordError(field, reason.replace("Expected", "expected").replace("`", ""))
    return RecordError(field, "is not valid")


def _shown(name: object) -> str:
    """Return a name from the caller's mapping, safe to be shown."""
    return re.sub(r"[^\w.-]", "?", str(name))[:64]


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def _is_json(value: object) -> bool:
    """Return whether msgspec writes an untyped value as JSON without changing it."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_json(value[name]) for name in value)
    if isinstance(value, list | tuple):
        return all(_is_json(inner) for inner in value)
    return isfinite(value) if isinstance(value, float) else not isinstance(value, _BINARY)


def _unencodable(value: object, error: Exception) -> RecordError:
    """Return the error for a value that cannot be encoded."""
    if isinstance(error, RecursionError):
        return _located(value, lambda part: isinstance(_failure(part), RecursionError), most=1)
    return _located(value, lambda part: _failure(part) is not None)


def _failure(value: object) -> Exception | None:
    """Return why a value cannot be encoded, or None."""
    try:
        _encode(msgspec.to_builtins(value, builtin_types=_NO_TEXT))
    except Exception as error:
        return error
    return None


def _located(
    value: object, is_wrong: Callable[[object], bool], path: str = "", most: int = MAX_DEPTH
) -> RecordError:
    """Return the error for a value in which something is wrong: its place, and what is there.

    Args:
        value: The value.
        is_wrong: Whether a part of it is, or holds, what is wrong.
        path: The place of the value itself.
        most: How deep to look.
    """
    for _ in range(most):
        for step, part in _parts_of(value):
            if is_wrong(part):
                # A name of a name may be personal: those in `metadata` are the caller's own.
                shown = ".…" if path.count(".") and step.startswith(".") else step
                path, value = (path + shown).removeprefix("."), part
                break
        else:
            break
    return RecordError(path, _why(value))


def _parts_of(value: object) -> Iterator[tuple[str, object]]:
    """Yield the parts of a value, each with its step from there."""
    with suppress(Exception):  # the caller's own mapping may raise anything
        if isinstance(value, msgspec.Struct):
            for field in msgspec.structs.fields(value):
                part = getattr(value, field.name)
                if part is not msgspec.UNSET:
                    yield f".{field.encode_name}", part
        elif isinstance(value, Mapping):
            for name in value:
                yield f".{_shown(name)}", value[name]
        elif isinstance(value, list | tuple):
            for place, part in enumerate(value):
                yield f"[{place}]", part


def _why(value: object) -> str:
    """Return why JSON cannot hold a value, whose parts are all right if it has any."""
    error = _failure(value)
    if isinstance(error, UnicodeEncodeError):
        return "holds half a surrogate pair, which is not a character"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(value, float):
        return "is not a finite number, and JSON has no others"
    if isinstance(value, dict):
        return "has a name that is not text"
    return f"cannot be written as JSON; it is a {_shown(type(value).__name__)}"
