"""The kinds of record that are sent, each with its struct and its decoder."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from .sent import AgentLink, Student, User

__all__ = ["KINDS", "Kind"]


class Kind(NamedTuple):
    """One kind of record.

    Attributes:
        name: Its name in results, and its envelope on the wire.
        sent: The struct that is sent.
        id_field: The field of `sent` that contains the record's own id.
        decode: Returns a `sent` from its JSON, or raises msgspec's error.
    """

    name: str
    sent: type[Student] | type[User] | type[AgentLink]
    id_field: str
    decode: Callable[[bytes], Any]

    @property
    def id_member(self) -> str:
        """The member that contains the record's own id on the wire."""
        return "agentId" if self.name == "agent" else "sourcedId"


KINDS = {
    name: Kind(name, sent, id_field, msgspec.json.Decoder(sent).decode)
    for name, sent, id_field in (
        ("student", Student, "sourced_id"),
        ("user", User, "sourced_id"),
        ("agent", AgentLink, "agent_id"),
    )
}
