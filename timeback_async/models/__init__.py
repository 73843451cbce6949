"""The records that we send (`sent`) and receive (`received`), and the rule for their ids."""

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
