"""The records: what we send (`sent`), what we receive (`received`), and which ids may be used."""

from .received import AgentRecord, OrgRecord, Reference, RoleRecord, StudentRecord, UserRecord
from .sent import (
    AgentKey,
    AgentLink,
    Demographics,
    OrgRef,
    Role,
    RoleName,
    RoleType,
    Status,
    Student,
    User,
    UserRef,
)

__all__ = [
    "AgentKey",
    "AgentLink",
    "AgentRecord",
    "Demographics",
    "OrgRecord",
    "OrgRef",
    "Reference",
    "Role",
    "RoleName",
    "RoleRecord",
    "RoleType",
    "Status",
    "Student",
    "StudentRecord",
    "User",
    "UserRecord",
    "UserRef",
]
