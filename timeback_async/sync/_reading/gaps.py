"""What the files do not say about a person or a link, and TimeBack may know.

Three kinds of files leave out what has not changed: a delta, a set without demographics, and a
file with unreadable rows. A record sent without such a value might delete it at TimeBack.
"""

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, UnsetType

from ...models import AgentLink, Demographics, OrgRef, Role, Status
from ...models.ids import SourcedId
from ...models.sent import Person, SentRecord, role_ids

__all__ = ["NONE", "Fragment", "Gaps", "OpenLink", "Roleless"]


class Roleless(Person, frozen=True, kw_only=True):
    """A person of a delta without a role in the files; only TimeBack knows the roles."""

    username: str | UnsetType = UNSET
    primary_org: OrgRef | UnsetType = UNSET
    grades: list[str] | UnsetType = UNSET

    def _ids(self) -> Iterator[tuple[str, str]]:
        yield "sourcedId", self.sourced_id
        if self.primary_org:
            yield "primaryOrg.sourcedId", self.primary_org.sourced_id


class Fragment(SentRecord, frozen=True, kw_only=True):
    """A person of whom the files hold no row, or one of which only the id counts.

    Everything that is not here stays as TimeBack has it.
    """

    sourced_id: SourcedId
    status: Status | UnsetType = UNSET
    roles: list[Role] | UnsetType = UNSET
    demographics: Demographics | UnsetType = UNSET

    def _ids(self) -> Iterator[tuple[str, str]]:
        yield "sourcedId", self.sourced_id
        yield from role_ids(self.roles or ())


class OpenLink(AgentLink, frozen=True):
    """A link to somebody who is in no file; only TimeBack may know the relation."""

    relationship_type: str = ""


class Gaps(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the files do not say about one person, or one link.

    Gaps are part of what a record says: of two otherwise equal records, one may keep a role at the
    server that the other one ends.

    Attributes:
        birth: Whether the birth date is missing because the files do not hold everybody's.
        org: Whether TimeBack knows the primary org better, because the files do not hold all
            roles, or because it was chosen among several, none of them known as a school.
        orgs: Those it was chosen among.
        roles: Whether there may be more roles than those in the files.
        kind: Whether the primary role, which separates students from users, may be one of them.
        rest: Whether everything else of the person is missing: the record is a `Fragment`.
        ended: Role and org of the roles that the files end.
        people: Of a link, who of both has to be at TimeBack, as a student or not, and may say the
            relation there.
        relationship: Of a link, the relation to a person whose roles there say none; "" for none.
        from_failure: Whether they come from a file of failures: an earlier run has found that
            TimeBack may fill them.
    """

    birth: bool = False
    org: bool = False
    orgs: list[str] = []
    roles: bool = False
    kind: bool = False
    rest: bool = False
    ended: list[tuple[str, str]] = []
    people: list[str] = []
    relationship: str = ""
    from_failure: bool = False

    @classmethod
    def from_json(cls, text: bytes) -> "Gaps":
        """Return the gaps that `as_json` wrote."""
        return _decode(text) if text else NONE

    def as_json(self) -> bytes:
        """Return the gaps as JSON; no bytes if there are none."""
        return b"" if self == NONE else BIRTH_ALONE if self == BIRTH else _encode(self)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Gaps).decode
NONE, BIRTH = Gaps(), Gaps(birth=True)
BIRTH_ALONE = _encode(BIRTH)
