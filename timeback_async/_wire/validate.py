"""Check a record before it is encoded, and say which field is wrong and why, never its value.

msgspec's own messages can hold values, and values are personal: only what is known to hold none
is passed on.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any, TypeVar, get_args

import msgspec

from ..errors import RecordError
from ..models import RoleName, RoleType, Status
from ..models.ids import ID_RULE

__all__ = ["checked", "encoded"]

T = TypeVar("T", bound=msgspec.Struct)

_encode = msgspec.json.Encoder().encode
_decode: dict[type, Callable[[bytes], Any]] = {}
# Left as they are, so that the check refuses them: msgspec would send them as Base64 text.
_BINARY = (bytes, bytearray, memoryview)

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
    """Return a record, every value of it checked, and its JSON.

    Args:
        value: The record, or the mapping it would be in wire form.
        struct: What it has to be.

    Raises:
        RecordError: A value does not fit. The first such field is named.
    """
    decode = _decode.get(struct)
    if decode is None:
        decode = _decode[struct] = msgspec.json.Decoder(struct).decode
    if type(value) is struct:
        # What decodes to an equal struct is what was meant; this is the quickest way to know.
        try:
            body = _encode(value)
            if decode(body) == value:
                return value, body
        except Exception:  # noqa: S110 - what is wrong is found out below
            pass
    try:
        wire = msgspec.to_builtins(_plain(value), builtin_types=_BINARY)
    except Exception as error:
        raise _unencodable(value, error) from None
    try:
        record = msgspec.convert(wire, struct)
        is_json = _is_json(getattr(record, "metadata", None))
    except msgspec.ValidationError as error:
        raise _record_error(str(error), struct) from None
    except Exception as error:
        raise _unencodable(value, error) from None
    if not is_json:
        raise RecordError("metadata", "cannot be written as JSON")
    return record, encoded(record)


def encoded(value: object) -> bytes:
    """Return a value as JSON.

    Raises:
        RecordError: It holds something that JSON cannot.
    """
    try:
        return _encode(value)
    except Exception as error:
        raise _unencodable(value, error) from None


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
    if name.lower().endswith("id") and ("matching regex" in reason or "of length" in reason):
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
    """Return a name from the caller's own mapping, fit to be shown."""
    return re.sub(r"[^\w.-]", "?", str(name))[:64]


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def _is_json(value: object) -> bool:
    """Whether msgspec writes a value as what it is, where no type says what it should be."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_json(value[name]) for name in value)
    if isinstance(value, list | tuple):
        return all(_is_json(inner) for inner in value)
    return isfinite(value) if isinstance(value, float) else not isinstance(value, _BINARY)


def _unencodable(value: object, error: Exception) -> RecordError:
    """Name the field that cannot be encoded, by trying each."""
    members: dict[str, Any] = {}
    with suppress(Exception):
        if isinstance(value, msgspec.Struct):
            fields = msgspec.structs.fields(value)
            members = {field.encode_name: getattr(value, field.name) for field in fields}
        elif isinstance(value, Mapping):
            members = dict(value)
    for name, inner in members.items():
        try:
            if inner is not msgspec.UNSET:
                _encode(inner)
        except Exception as cause:
            return RecordError(_shown(name), _why(cause))
    return RecordError("", _why(error))


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "holds half a surrogate pair, which is not a character"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return f"cannot be written as JSON ({type(error).__name__})"
