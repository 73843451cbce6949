"""How a state keeps a link, and what it knows of people whom a reference names.

A delta names people whom it does not hold. Of two linked people one is a student, and the key of
the link depends on which: where the files do not say it, the state does.
"""

from ...models.ids import agent_id_of
from .._reading.gaps import Gaps
from .._reading.records import UnresolvedReference
from .state import State

__all__ = ["link_id", "people_of"]


def people_of(ref: UnresolvedReference, state: State, *, is_blank: bool) -> tuple[str, str]:
    """Return the student of a link, and who is not known to be at TimeBack; "" for nobody.

    Args:
        ref: A reference that the files leave open.
        state: What earlier runs wrote.
        is_blank: Whether it cannot know anybody: then TimeBack tells who is there.
    """
    student, unknown = ref.student, ""
    for person in Gaps.from_json(ref.gaps).people:
        entry = state.find(person)
        if not student and entry and entry.kind in ("student", "user"):
            is_person = (entry.kind == "student") == (person == ref.person)
            student = ref.person if is_person else ref.agent
        is_known = entry.is_held if entry else is_blank and bool(ref.student)
        unknown = unknown or ("" if is_known else person)
    return student, unknown


def link_id(student: str, user: str, agent_id: str = "") -> str:
    """Return the id that a state keeps a link by: both people, and its own id if not derived.

    No sourcedId holds a line feed, so no other record has the same.
    """
    if not agent_id or agent_id == agent_id_of(student, user):
        return f"{student}\n{user}"
    return f"{student}\n{user}\n{agent_id}"
