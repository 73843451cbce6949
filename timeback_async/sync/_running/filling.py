"""Put together what the files say of a person and what TimeBack has, where the files leave gaps.

Pure decisions: nothing is looked up or sent.
"""

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict, replace

from ...errors import RecordError
from ...models import OrgRef, Role, Student, StudentRecord, User, UserRecord
from ...models.received import Reference, RoleRecord, demographics_of
from .._reading.gaps import Fragment, Gaps, Roleless
from .._reading.terms import counting, is_student, learns

__all__ = ["as_sent", "filled"]

Person = Student | User


def filled(
    record: Person | Roleless | Fragment, known: UserRecord, gaps: Gaps, today: datetime.date
) -> Person:
    """Return what to send for a person.

    Args:
        record: What the files say.
        known: The person at TimeBack.
        gaps: What the files do not say.
        today: The day that roles begin and end by.

    Raises:
        RecordError: Both together do not make a person who can be sent.
    """
    # What the files hold, and what comes from TimeBack:
    #   the person's row and roles -> birth date, primary org and further roles, if they are gaps
    #   the person's row           -> also the roles, which say whether it is a student
    #   no row, or only its id     -> everything else
    if isinstance(record, Fragment):
        return _whole(record, known, _Held.of(record, known, gaps, today))
    if isinstance(record, Roleless):
        whole = _with_roles(record, known, _Held.of(record, known, gaps, today))
        return _with_births(whole, known, gaps)
    if gaps.kind and learns(known, today) != isinstance(record, Student):
        reason = "are incomplete: the primary role is missing, and TimeBack has another; send it"
        raise RecordError("roles", reason)
    if gaps.org or gaps.roles:
        record = _with_more(record, _Held.of(record, known, gaps, today), gaps)
    return _with_births(record, known, gaps)


def as_sent(person: UserRecord, *, is_student: bool) -> Person:
    """Return a person as TimeBack has them, in the form in which they are sent.

    Raises:
        RecordError: A required value is missing there, or a value cannot be sent; or `status` or
            `enabledUser` is missing, which nobody should make up.
    """
    for name, value in (("status", person.status), ("enabledUser", person.enabled_user)):
        if not value:
            person.check_form(name)
            raise RecordError(name, "is missing in the record received")
    if is_student:
        person.check_form("grades", "username")
        grades, username = person.grades or [], person.username or None
        values = asdict(person) | {"grades": grades, "username": username}
        return StudentRecord(**values).as_input()
    return person.as_input()


class _Held(NamedTuple):
    """The roles of the files with those at TimeBack that the files do not mention.

    Attributes:
        roles: All of them, primary ones first.
        is_student: Whether those that count today make a student.
        org: The primary org: TimeBack's, unless the role there has ended; "" if there is none.
    """

    roles: list[Role]
    is_student: bool
    org: str

    @classmethod
    def of(
        cls,
        record: Person | Roleless | Fragment,
        known: UserRecord,
        gaps: Gaps,
        today: datetime.date,
    ) -> "_Held":
        org = known.primary_org.sourced_id if known.primary_org else ""
        there: list[Role] = []
        if gaps.roles and not isinstance(record, Student):
            known.check_form("roles")
            there = [role.as_input() for role in known.roles or ()]
        if not there and org and not isinstance(record, User):  # students are sent without roles
            there = [Role("primary", "student", OrgRef(org))]
        own = _roles_in(record)
        mentioned = {_key(role) for role in own} | set(gaps.ended)
        roles = [*own, *(role for role in there if _key(role) not in mentioned)]
        if there and not roles:
            if record.status != "tobedeleted":
                raise RecordError(
                    "roles", "have all ended; send a new one with them, or the status tobedeleted"
                )
            roles = there
        roles.sort(key=lambda role: role.role_type != "primary")
        count = counting(roles, today)
        orgs = [role.org.sourced_id for role in count]
        known_orgs = {org for _, org in gaps.ended} | {role.org.sourced_id for role in roles}
        has_left = org in known_orgs and org not in orgs
        # Where the files mention no role, what TimeBack has stays as it is.
        if (has_left and (own or gaps.ended)) or (own and not org):
            org = orgs[0]
        return cls(roles, not roles or is_student(count), org)


def _roles_in(record: Person | Roleless | Fragment) -> Sequence[Role]:
    if isinstance(record, Student):
        return [Role("primary", "student", record.primary_org)]
    return () if isinstance(record, Roleless) else record.roles or ()


def _key(role: Role) -> tuple[str, str]:
    return role.role, role.org.sourced_id


def _whole(record: Fragment, known: UserRecord, held: _Held) -> Person:
    """Return a person as TimeBack has them, but for what the files say."""
    own = record.roles or []
    if held.is_student and own and all(role.role != "student" for role in own):
        reason = "are those of a student too, who has no others; end that role, or send all of them"
        raise RecordError("roles", reason)
    changes: dict[str, Any] = {"primary_org": Reference(held.org) if held.org else UNSET}
    if not held.is_student:
        changes["roles"] = msgspec.convert(msgspec.to_builtins(held.roles), list[RoleRecord])
    if record.status:
        changes["status"] = record.status
    if record.demographics:
        changes["demographics"] = msgspec.to_builtins(record.demographics)
    return as_sent(replace(known, **changes), is_student=held.is_student)


def _with_more(record: Person, held: _Held, gaps: Gaps) -> Person:
    """Return a person with the primary org and the further roles that TimeBack has."""
    values: dict[str, Any] = {}
    if gaps.org and held.org and (gaps.roles or held.org in gaps.orgs):
        values["primary_org"] = OrgRef(held.org)
    if gaps.roles and isinstance(record, User):
        values["roles"] = held.roles
    return replace(record, **values)


def _with_roles(record: Roleless, known: UserRecord, held: _Held) -> Person:
    """Return a person without roles in the files as the student or user that TimeBack has."""
    known.check_form("grades", "username", "primaryOrg")
    values = {name: value for name, value in asdict(record).items() if value is not UNSET}
    if held.org:
        values = {"primary_org": OrgRef(held.org), **values}
    if not held.is_student:
        return User(**values, roles=held.roles)
    if "primary_org" not in values:
        raise RecordError("primaryOrg", "is in no file, and TimeBack has none; send it")
    return Student(**{"grades": known.grades or [], "username": known.username or None, **values})


def _with_births(record: Person, known: UserRecord, gaps: Gaps) -> Person:
    if gaps.birth and record.demographics is UNSET:
        known.check_form("demographics")
    if gaps.birth and record.demographics is UNSET and known.demographics:
        return replace(record, demographics=demographics_of(known.demographics))
    return record
