"""Decide on a link to somebody who is in no file, by what TimeBack has of that person.

Pure decisions: nothing is looked up or sent.
"""

import datetime
from collections.abc import Mapping

from msgspec.structs import replace

from ...errors import RecordError
from ...models import AgentLink, UserRecord
from .._reading.gaps import Gaps
from .._reading.roles import RELATIONS
from .._reading.terms import counting, learns

__all__ = ["NAMED", "linked"]

NAMED = "agentSourcedIds"  # the field of the files that names the other person


def linked(
    link: AgentLink, known: Mapping[str, UserRecord], gaps: Gaps, today: datetime.date
) -> AgentLink:
    """Return what to send for a link of which the files do not hold both people.

    Args:
        link: What the files say; its relation may be "".
        known: The people at TimeBack of whom the files say nothing, by id.
        gaps: What the files do not say.
        today: The day that roles begin and end by.

    Raises:
        RecordError: These two cannot be linked, or nothing says how.
    """
    relation = link.relationship_type
    for person, record in known.items():
        if record.status == "tobedeleted":
            raise RecordError(NAMED, f"{person!r} is deleted at TimeBack; send that person too")
        is_student = learns(record, today)
        if is_student != (person == link.student_id):
            is_not = "is a student" if is_student else "is no student"
            raise RecordError(
                NAMED,
                f"{person!r} {is_not} at TimeBack; exactly one of two linked people has to be one",
            )
        if not is_student:
            roles = sorted(
                counting(record.roles or (), today), key=lambda role: role.role_type != "primary"
            )
            found = (role.role for role in roles if role.role in RELATIONS)
            relation = relation or next(found, "")
    relation = relation or gaps.relationship
    if not relation:
        raise RecordError(
            NAMED,
            f"{link.user_id!r} is not parent, guardian or relative; correct the role, or name a "
            "relationship for such links",
        )
    return replace(link, relationship_type=relation)
