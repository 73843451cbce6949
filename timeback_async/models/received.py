"""The records that we receive. They are lenient: enums are strings, and unknown fields are kept.

A field that the server did not send is `UNSET` (which is false); null is `None`. `extra` contains,
by their wire names, the fields that have no name here, and those with an undocumented type.

Source: TimeBack API reference. Later copies of it have more fields and enum values.
"""

import datetime
from functools import cache
from typing import Any, Self

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import FieldInfo, force_setattr

from ..errors import RecordError
from .sent import Demographics, OrgRef, Role, Student, User

__all__ = ["AgentRecord", "OrgRecord", "Reference", "RoleRecord", "StudentRecord", "UserRecord"]

Text = str | None | UnsetType
DAY = len("2026-01-31")
TIMES = ("T", "t", " ")  # what stands between a date and its time (RFC 3339)


class Reference(Struct, frozen=True, rename="camel"):
    """Refer to another object. TimeBack's `type` is often a placeholder: do not rely on it."""

    sourced_id: str
    type: str | None = None
    href: str | None = None


class RoleRecord(Struct, frozen=True, rename="camel", kw_only=True):
    """Hold one role of a user in one organisation, as the server sent it."""

    role_type: str | None = None
    role: str | None = None
    org: Reference | None = None
    user_profile: str | None = None
    begin_date: str | None = None
    end_date: str | None = None

    def as_input(self) -> Role:
        """Return a role that can be sent.

        Raises:
            RecordError: A field that a role must have is missing, or a value cannot be sent.
        """
        wire = {
            name: value for name, value in msgspec.to_builtins(self).items() if value is not None
        }
        for name in wire.keys() & {"beginDate", "endDate"}:
            wire[name] = day_of(wire[name])
        if self.org is not None:
            wire["org"] = {"sourcedId": self.org.sourced_id}
        try:
            return msgspec.convert(wire, Role)
        except msgspec.ValidationError:
            raise RecordError("roles", "hold a role that cannot be sent") from None


def day_of(value: Any) -> Any:
    """Return the day of a date with a time, as text; any other value as it is."""
    return value[:DAY] if isinstance(value, str) and value[DAY : DAY + 1] in TIMES else value


@cache
def _known(cls: type[Struct]) -> dict[str, FieldInfo]:
    return {f.encode_name: f for f in msgspec.structs.fields(cls) if f.name != "extra"}


class Received(Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of all records received.

    Attributes:
        extra: Fields with other names or types than documented, by their wire names.
    """

    extra: dict[str, Any] = {}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Return the record for a decoded JSON object. Members that do not fit go to `extra`."""
        known = _known(cls)
        fitting = {name: value for name, value in wire.items() if name in known}
        try:
            record = msgspec.convert(fitting, cls)
        except msgspec.ValidationError:
            fitting = {k: v for k, v in fitting.items() if _fits(v, known[k].type)}
            record = msgspec.convert(fitting, cls)
        if len(fitting) < len(wire):
            extra = {name: value for name, value in wire.items() if name not in fitting}
            force_setattr(record, "extra", extra)
        return record

    def check_form(self, *names: str) -> None:
        """Do nothing if these fields, by their wire names, came as they are documented, or not.

        Raises:
            RecordError: One came with another type; it stands in `extra`.
        """
        known = _known(type(self))
        for name in names:
            if name in self.extra and name in known:
                raise RecordError(name, "has another type in the record received than documented")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sourced_id={getattr(self, 'sourced_id', None)!r}, …)"

    def __rich_repr__(self) -> Any:
        yield "sourced_id", getattr(self, "sourced_id", None)


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


class UserRecord(Received, frozen=True, kw_only=True):
    """Hold a user as the server sent it. The repr shows the id alone: the rest is personal."""

    sourced_id: str = ""
    status: Text = UNSET
    date_last_modified: Text = UNSET
    username: Text = UNSET
    enabled_user: str | bool | None | UnsetType = UNSET
    given_name: Text = UNSET
    family_name: Text = UNSET
    middle_name: Text = UNSET
    preferred_first_name: Text = UNSET
    preferred_middle_name: Text = UNSET
    preferred_last_name: Text = UNSET
    pronouns: Text = UNSET
    email: Text = UNSET
    phone: Text = UNSET
    sms: Text = UNSET
    identifier: Text = UNSET
    user_master_identifier: Text = UNSET
    password: Text = UNSET
    grades: list[str] | None | UnsetType = UNSET
    primary_org: Reference | None | UnsetType = UNSET
    roles: list[RoleRecord] | None | UnsetType = UNSET
    agents: list[Reference] | None | UnsetType = UNSET
    resources: list[Reference] | None | UnsetType = UNSET
    user_ids: list[Any] | None | UnsetType = UNSET
    user_profiles: list[dict[str, Any]] | None | UnsetType = UNSET
    demographics: dict[str, Any] | None | UnsetType = UNSET
    metadata: dict[str, Any] | None | UnsetType = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.enabled_user, bool | str):
            force_setattr(self, "enabled_user", str(self.enabled_user).lower())

    def as_input(self) -> Student | User:
        """Return a user that can be sent: the same values, without fields only the server sets.

        Raises:
            RecordError: A field that a user must have is missing, or a value cannot be sent.
        """
        return User(**_values(self, User))


class StudentRecord(UserRecord, frozen=True, kw_only=True):
    """Hold a student as the server sent it."""

    def as_input(self) -> Student:
        """Return a student that can be sent: the same values, without fields only the server sets.

        Raises:
            RecordError: A field that a student must have is missing, or a value cannot be sent.
        """
        return Student(**_values(self, Student))


def _values(record: UserRecord, struct: type[Struct]) -> dict[str, Any]:
    values = {}
    for field in msgspec.structs.fields(struct):
        record.check_form(field.encode_name)
        value = getattr(record, field.name)
        if isinstance(value, Reference):
            value = OrgRef(value.sourced_id)
        elif field.name == "demographics" and isinstance(value, dict):
            value = demographics_of(value)
        elif field.name == "roles" and isinstance(value, list):
            value = [role.as_input() for role in value]
        # Only `username` may be null: the server would reject a null name or list of grades.
        absent = value is UNSET or (value is None and field.name != "username")
        if field.required and absent:
            raise RecordError(field.encode_name, "is missing in the record received")
        if value is not UNSET:
            values[field.name] = value
    return values


def demographics_of(wire: dict[str, Any]) -> Demographics | UnsetType:
    """Return the part of received demographics that can be sent, or UNSET.

    Raises:
        RecordError: `birthDate` is not a date.
    """
    born = day_of(wire.get("birthDate", UNSET))
    try:
        return born if born is UNSET else Demographics(msgspec.convert(born, datetime.date | None))
    except msgspec.ValidationError:
        reason = "is not a date of the form YYYY-MM-DD"
        raise RecordError("demographics.birthDate", reason) from None


class AgentRecord(Received, frozen=True, kw_only=True):
    """Hold one link of a student as the server sent it. `agent_id`, the link's id, may be None."""

    user: Reference | None = None
    relationship_type: str | None = None
    agent_id: str | None = None

    def __repr__(self) -> str:
        user_id = self.user.sourced_id if self.user else None
        return f"AgentRecord(user_id={user_id!r}, agent_id={self.agent_id!r}, …)"


class OrgRecord(Received, frozen=True, kw_only=True):
    """Hold an organisation as the server sent it."""

    sourced_id: str = ""
    status: Text = UNSET
    date_last_modified: Text = UNSET
    name: Text = UNSET
    type: Text = UNSET
    identifier: Text = UNSET
    parent: Reference | None | UnsetType = UNSET
    children: list[Reference] | None | UnsetType = UNSET
    metadata: dict[str, Any] | None | UnsetType = UNSET
