"""What the files leave open of somebody, to be looked up where TimeBack has it already.

A delta, a set without its demographics, and a file with rows that cannot be read leave out what
has not changed; and what is left out of a record may be deleted by sending it.
"""

import msgspec
from msgspec import UNSET, UnsetType

from ...models import OrgRef
from ...models.sent import Person

__all__ = ["NONE", "Gaps", "Roleless"]


class Roleless(Person, frozen=True, kw_only=True):
    """Somebody without a role in the files of a delta: TimeBack has to tell what they are."""

    username: str | UnsetType = UNSET
    primary_org: OrgRef | UnsetType = UNSET
    grades: list[str] | UnsetType = UNSET


class Gaps(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the files leave open of one person.

    Two records that are the same but for their gaps do not say the same: one of them may leave a
    role at the server that the other one ends.

    Attributes:
        birth: There is no birth date, and not everybody's is in the files.
        org: The primary org was chosen among several of which none is known to be a school.
        roles: There may be more roles than those in the files.
        kind: Among them the primary one, which tells students from users.
        ended: Role and org of those that the files end.
    """

    birth: bool = False
    org: bool = False
    roles: bool = False
    kind: bool = False
    ended: list[tuple[str, str]] = []

    @classmethod
    def from_json(cls, text: bytes) -> "Gaps":
        """Return what `as_json` has written."""
        return _decode(text) if text else NONE

    def as_json(self) -> bytes:
        """Return it as JSON, and nothing where there is none."""
        return b"" if self == NONE else BIRTH_ALONE if self == BIRTH else _encode(self)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Gaps).decode
NONE, BIRTH = Gaps(), Gaps(birth=True)
BIRTH_ALONE = _encode(BIRTH)
