"""The records we receive. Lenient: enums are plain strings, and what we do not know is kept.

A field the server did not send is `UNSET` (which is false), null is `None`. Fields we have no
name for, and fields whose type is not the documented one, are in `extra` under their wire name.

Source: TimeBack API reference; enums and fields grew between its copies.
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


class Reference(Struct, frozen=True, rename="camel"):
    """A pointer to another object. TimeBack's `type` is often a placeholder: do not rely on it."""

    sourced_id: str
    type: str | None = None
    href: str | None = None


class RoleRecord(Struct, frozen=True, rename="camel", kw_only=True):
    """What a user is in one organisation, as the server has it."""

    role_type: str | None = None
    role: str | None = None
    org: Reference | None = None
    user_profile: str | None = None
    begin_date: str | None = None
    end_date: str | None = None

    def as_input(self) -> Role:
        """Return a role that can be sent.

        Raises:
            RecordError: Something that a role must have is missing, or cannot be sent.
        """
        wire = {
            name: value for name, value in msgspec.to_builtins(self).items() if value is not None
        }
        if self.org is not None:
            wire["org"] = {"sourcedId": self.org.sourced_id}
        try:
            return msgspec.convert(wire, Role)
        except msgspec.ValidationError:
            raise RecordError("roles", "hold a role that cannot be sent") from None


@cache
def _known(cls: type[Struct]) -> dict[str, FieldInfo]:
    return {f.encode_name: f for f in msgspec.structs.fields(cls) if f.name != "extra"}


class Received(Struct, frozen=True, kw_only=True, rename="camel"):
    """What every record received has in common."""

    extra: dict[str, Any] = {}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Return the record for a decoded JSON object; what does not fit goes to `extra`."""
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
    """A user as the server has it. The repr shows the id alone: everything else is personal."""

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
        if isinstance(self.enabled_user, bool):
            force_setattr(self, "enabled_user", "true" if self.enabled_user else "false")

    def as_input(self) -> Student | User:
        """Return a user that can be sent: the same values, without what only a server sets.

        Raises:
            RecordError: A field that a user must have is missing here, or cannot be sent.
        """
        return User(**_values(self, User))


class StudentRecord(UserRecord, frozen=True, kw_only=True):
    """A student as the server has it."""

    def as_input(self) -> Student:
        """Return a student that can be sent: the same values, without what only a server sets.

        Raises:
            RecordError: A field that a student must have is missing here, or cannot be sent.
        """
        return Student(**_values(self, Student))


def _values(record: UserRecord, struct: type[Struct]) -> dict[str, Any]:
    values = {}
    for field in msgspec.structs.fields(struct):
        value = getattr(record, field.name)
        if isinstance(value, Reference):
            value = OrgRef(value.sourced_id)
        elif field.name == "demographics" and isinstance(value, dict):
            value = demographics_of(value)
        elif field.name == "roles" and isinstance(value, list):
            value = [role.as_input() for role in value]
        # `username` alone may be null: a null name or grade list would be refused anyway.
        absent = value is UNSET or (value is None and field.name != "username")
        if field.required and absent:
            raise RecordError(field.encode_name, "is missing in the record received")
        if value is not UNSET:
            values[field.name] = value
    return values


def demographics_of(wire: dict[str, Any]) -> Demographics | UnsetType:
    """Return what can be sent of the demographics received.

    Raises:
        RecordError: The birth date is none.
    """
    born = wire.get("birthDate", UNSET)
    try:
        return born if born is UNSET else Demographics(msgspec.convert(born, datetime.date | None))
    except msgspec.ValidationError:
        reason = "is not a date of the form YYYY-MM-DD"
        raise RecordError("demographics.birthDate", reason) from None


class AgentRecord(Received, frozen=True, kw_only=True):
    """One person linked to a student. `agent_id`, the link's own id, may be missing."""

    user: Reference | None = None
    relationship_type: str | None = None
    agent_id: str | None = None

    def __repr__(self) -> str:
        user_id = self.user.sourced_id if self.user else None
        return f"AgentRecord(user_id={user_id!r}, agent_id={self.agent_id!r}, …)"


class OrgRecord(Received, frozen=True, kw_only=True):
    """An organisation as the server has it."""

    sourced_id: str = ""
    status: Text = UNSET
    date_last_modified: Text = UNSET
    name: Text = UNSET
    type: Text = UNSET
    identifier: Text = UNSET
    parent: Reference | None | UnsetType = UNSET
    children: list[Reference] | None | UnsetType = UNSET
    metadata: dict[str, Any] | None | UnsetType = UNSET
