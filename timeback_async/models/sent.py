"""The records that we send, as TimeBack's rostering API accepts them.

Names are in snake_case here, and in camelCase on the wire. An optional field has three states:
`UNSET` is not sent, `None` is sent as null, a value is sent. A struct is checked when it is sent,
not when it is built.

Source: TimeBack onboarding guide and `PUT /rostering/1.0/students` reference; OneRoster 1.2.
"""

import datetime
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import force_setattr

from .ids import SourcedId, agent_id_of

__all__ = [
    "AgentKey",
    "AgentLink",
    "Demographics",
    "OrgRef",
    "Role",
    "RoleName",
    "RoleType",
    "Status",
    "Student",
    "User",
    "UserRef",
]

Text = str | None | UnsetType
Status = Literal["active", "inactive", "tobedeleted"]
RoleType = Literal["primary", "secondary"]
RoleName = Literal[
    "student",
    "teacher",
    "parent",
    "guardian",
    "relative",
    "aide",
    "counselor",
    "principal",
    "proctor",
    "districtAdministrator",
    "siteAdministrator",
    "systemAdministrator",
]


class Sent(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The base of all structs sent. An unknown field is an error, and never ignored."""


class SentRecord(Sent, frozen=True):
    """The base of the structs that are sent by themselves."""

    @abstractmethod
    def _ids(self) -> Iterable[tuple[str, str]]:
        """Return every sourcedId in the record, with its field in wire form."""


class OrgRef(Sent, frozen=True):
    """Refer to an organisation in TimeBack."""

    sourced_id: SourcedId
    type: Literal["org"] = "org"
    href: str | UnsetType = UNSET


class UserRef(Sent, frozen=True):
    """Refer to a user."""

    sourced_id: SourcedId
    type: Literal["user"] = "user"
    href: str | UnsetType = UNSET


class Role(Sent, frozen=True):
    """Give a user one role in one organisation. `end_date` is exclusive."""

    role_type: RoleType
    role: RoleName
    org: OrgRef
    user_profile: Text = UNSET
    begin_date: datetime.date | None | UnsetType = UNSET
    end_date: datetime.date | None | UnsetType = UNSET


class Demographics(Sent, frozen=True):
    """Hold the birth date, the only demographic field that TimeBack accepts."""

    birth_date: datetime.date | None

    def __repr__(self) -> str:
        return "Demographics(…)"

    def __rich_repr__(self) -> Any:
        return ()


class Person(SentRecord, frozen=True, kw_only=True):
    """The fields that students and users share.

    `enabled_user` can be a bool, or "true" or "false"; it is stored and sent as the string.
    The repr shows the id alone: the rest is personal.
    """

    sourced_id: SourcedId
    given_name: str
    family_name: str
    status: Status = "active"
    enabled_user: Literal["true", "false"] | bool = "true"
    email: Text = UNSET
    middle_name: Text = UNSET
    preferred_first_name: Text = UNSET
    preferred_middle_name: Text = UNSET
    preferred_last_name: Text = UNSET
    pronouns: Text = UNSET
    phone: Text = UNSET
    sms: Text = UNSET
    identifier: Text = UNSET
    user_master_identifier: Text = UNSET
    password: Text = UNSET
    demographics: Demographics | None | UnsetType = UNSET
    metadata: dict[str, Any] | None | UnsetType = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.enabled_user, bool):
            force_setattr(self, "enabled_user", "true" if self.enabled_user else "false")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sourced_id={self.sourced_id!r}, …)"

    def __rich_repr__(self) -> Any:
        yield "sourced_id", self.sourced_id


class Student(Person, frozen=True, kw_only=True):
    """Describe a student, for `PUT /students`. `username` is required, but may be None."""

    username: str | None
    primary_org: OrgRef
    grades: list[str]

    def _ids(self) -> Iterable[tuple[str, str]]:
        """Return its ids; see `SentRecord`."""
        org_id = self.primary_org.sourced_id
        return ("sourcedId", self.sourced_id), ("primaryOrg.sourcedId", org_id)


class User(Person, frozen=True, kw_only=True):
    """Describe a teacher, parent, guardian or other user, for `PUT /users/{sourcedId}`."""

    roles: Annotated[list[Role], msgspec.Meta(min_length=1)]
    username: Text = UNSET
    primary_org: OrgRef | None | UnsetType = UNSET
    grades: list[str] | None | UnsetType = UNSET

    def _ids(self) -> Iterator[tuple[str, str]]:
        """Return its ids; see `SentRecord`."""
        yield "sourcedId", self.sourced_id
        yield from role_ids(self.roles)
        if self.primary_org:
            yield "primaryOrg.sourcedId", self.primary_org.sourced_id


class AgentLink(SentRecord, frozen=True):
    """Link an agent to a student, for `PUT /students/{sourcedId}/agents/{agentId}`.

    `agent_id` is the id of the link, not of the agent, which is `user_id`. By default it is derived
    from both ids, so that the same two people always have the same link.
    """

    student_id: SourcedId
    user_id: SourcedId
    relationship_type: Annotated[str, msgspec.Meta(min_length=1)]
    agent_id: SourcedId = ""

    def __post_init__(self) -> None:
        if self.agent_id == "":
            with suppress(UnicodeEncodeError):  # an id that is not text: it is checked when sent
                force_setattr(self, "agent_id", agent_id_of(self.student_id, self.user_id))

    def _ids(self) -> Iterable[tuple[str, str]]:
        """Return its ids; see `SentRecord`."""
        people = ("studentId", self.student_id), ("userId", self.user_id)
        return *people, ("agentId", self.agent_id)


class AgentKey(SentRecord, frozen=True):
    """Name a link to delete, by the id of the student and the id of the link."""

    student_id: SourcedId
    agent_id: SourcedId

    def _ids(self) -> Iterable[tuple[str, str]]:
        """Return its ids; see `SentRecord`."""
        return ("studentId", self.student_id), ("agentId", self.agent_id)


def role_ids(roles: Iterable[Role]) -> Iterator[tuple[str, str]]:
    """Yield the id in each role, with its field in wire form."""
    for number, role in enumerate(roles):
        yield f"roles[{number}].org.sourcedId", role.org.sourced_id
