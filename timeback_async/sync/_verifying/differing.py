"""Decide in which fields TimeBack has a person or a link otherwise than the files say.

Pure decisions. Names of fields come out, never a value: values are personal.
"""

import datetime
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from msgspec import UNSET
from msgspec.structs import fields

from ...models import AgentRecord, Role, Student, User, UserRecord
from ...models.ids import agent_id_of
from ...models.received import RoleRecord, day_of
from .._reading.records import LinkRow
from .._reading.terms import learns

__all__ = ["differing", "differing_link", "is_chosen", "matched"]

# What answers need not show: where it is absent, nothing can be said about it. A password is not
# compared even where there is one, since it may be masked.
MAY_BE_HIDDEN = ("demographics", "pronouns")
NOT_COMPARED = ("sourced_id", "password", "roles")


def differing(wanted: Student | User, known: UserRecord, today: datetime.date) -> tuple[str, ...]:
    """Return the fields, by their wire names, that TimeBack has otherwise than the files say.

    Args:
        wanted: What the files say; a field that is `UNSET` is one that they leave open.
        known: The person at TimeBack. A field with an undocumented type is like no other.
        today: The day that roles begin and end by.
    """
    found = [
        wire
        for name, wire, same in _compared(type(wanted))
        if not same(name, wanted, known)
        or (wire in known.extra and getattr(wanted, name) is not UNSET)
    ]
    if "roles" in known.extra or not _same_roles(wanted, known, today):
        found.append("roles")
    return tuple(found)


Same = Callable[[str, Any, UserRecord], bool]


@cache
def _compared(struct: type[Student] | type[User]) -> list[tuple[str, str, Same]]:
    """Return name, wire name and comparison of the fields to be compared."""
    return [
        (each.name, each.encode_name, SAME.get(each.name, _same_value))
        for each in fields(struct)
        if each.name not in NOT_COMPARED
    ]


def _same_value(name: str, wanted: Any, known: UserRecord) -> bool:
    # Of one field:
    #   the files leave it open                               -> there is nothing to compare
    #   the answer does not show it, and need not show it     -> nothing can be said
    #   null, "", an empty list or object, or nothing at all  -> all of them are blank
    want, have = getattr(wanted, name), getattr(known, name)
    if want is UNSET or (have is UNSET and name in MAY_BE_HIDDEN):
        return True
    return (want or None) == (have or None)


def _same_grades(name: str, wanted: Any, known: UserRecord) -> bool:
    return wanted.grades is UNSET or set(wanted.grades or ()) == set(known.grades or ())


def _same_org(name: str, wanted: Any, known: UserRecord) -> bool:
    if wanted.primary_org is UNSET:
        return True
    want, have = (each and each.sourced_id for each in (wanted.primary_org, known.primary_org))
    return (want or None) == (have or None)


def _same_enabled(name: str, wanted: Any, known: UserRecord) -> bool:
    return bool(wanted.enabled_user == known.enabled_user)


def _same_birth(name: str, wanted: Any, known: UserRecord) -> bool:
    have = known.demographics
    born = have.get("birthDate", UNSET) if isinstance(have, dict) else have
    if wanted.demographics is UNSET or born is UNSET:
        return True
    want = wanted.demographics and wanted.demographics.birth_date
    return _same_day(want or None, born)


SAME: dict[str, Same] = {
    "grades": _same_grades,
    "primary_org": _same_org,
    "enabled_user": _same_enabled,
    "demographics": _same_birth,
}


def _same_day(want: datetime.date | None, have: object) -> bool:
    return bool((want and str(want)) == day_of(have))


def _same_roles(wanted: Student | User, known: UserRecord, today: datetime.date) -> bool:
    # A student is sent without roles, and is one by those that TimeBack shows, if it shows any.
    # Roles of anybody else are a set: each has its like on the other side.
    there = known.roles or []
    if isinstance(wanted, Student):
        return learns(known, today)
    return all(any(_same_role(role, each) for each in there) for role in wanted.roles) and all(
        any(_same_role(role, each) for role in wanted.roles) for each in there
    )


def _same_role(want: Role, have: RoleRecord) -> bool:
    org = have.org and have.org.sourced_id
    return (
        (want.role_type, want.role, want.org.sourced_id) == (have.role_type, have.role, org)
        and (want.user_profile is UNSET or want.user_profile == have.user_profile)
        and (want.begin_date is UNSET or _same_day(want.begin_date, have.begin_date))
        and (want.end_date is UNSET or _same_day(want.end_date, have.end_date))
    )


# -- links


def matched(
    wanted: Sequence[LinkRow], found: Sequence[AgentRecord]
) -> tuple[list[tuple[LinkRow, AgentRecord | None]], list[AgentRecord]]:
    """Return each link of the files with its like at TimeBack, or None; and those left over.

    The id of a link comes first. A link of the same two people under another id is the same one:
    TimeBack, or an earlier tool, may have chosen that id. Of several of them, the one with the
    same relation comes first.

    Args:
        wanted: The links of one student in the files.
        found: Those at TimeBack.
    """
    rest, pairs = list(found), dict[LinkRow, AgentRecord]()
    for is_like in (_has_its_id, _has_its_relation, _has_its_user):
        for link in wanted:
            like = None if link in pairs else next((r for r in rest if is_like(link, r)), None)
            if like is not None:
                pairs[link] = like
                rest.remove(like)
    return [(link, pairs.get(link)) for link in wanted], rest


def _own_id(link: LinkRow) -> str:
    student, user, agent_id, *_ = link
    return agent_id or agent_id_of(student, user)


def _has_its_id(link: LinkRow, record: AgentRecord) -> bool:
    return record.agent_id == _own_id(link)


def _has_its_relation(link: LinkRow, record: AgentRecord) -> bool:
    return _has_its_user(link, record) and record.relationship_type == link[3]


def _has_its_user(link: LinkRow, record: AgentRecord) -> bool:
    return _user_of(record) == link[1]


def _user_of(record: AgentRecord) -> str:
    return record.user.sourced_id if record.user else ""


def is_chosen(link: LinkRow) -> bool:
    """Whether the files choose the id of a link; otherwise it is derived from both people."""
    student, user, agent_id, *_ = link
    return agent_id not in ("", agent_id_of(student, user))


def differing_link(wanted: LinkRow, known: AgentRecord) -> tuple[str, ...]:
    """Return the fields, by their wire names, that TimeBack has otherwise than the files say.

    The id of the link counts where the files choose it, and the answer shows one.
    """
    _, user, agent_id, relation, *_ = wanted
    has_other_id = is_chosen(wanted) and known.agent_id and known.agent_id != agent_id
    found = {
        "user": _user_of(known) != user,
        "relationshipType": relation not in ("", known.relationship_type),
        "agentId": has_other_id,
    }
    return tuple(name for name, is_other in found.items() if is_other)
