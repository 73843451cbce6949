"""Put students, users and their links into TimeBack: one awaited call, or millions of records.

`TimebackSession` is where to begin; `timeback_async.errors` has every error, and
`timeback_async.testing` a server to test against.
"""

import logging

from msgspec import UNSET

from . import errors
from ._bulk.run import Bulk
from ._config import Config
from ._flow.pool import Statistics
from ._report import Latency, Report
from ._results import ItemResult, Outcome
from ._retry import RetryPolicy
from ._session import TimebackSession
from ._version import __version__
from ._wire.http import Response
from .models import (
    AgentKey,
    AgentLink,
    AgentRecord,
    Demographics,
    OrgRecord,
    OrgRef,
    Reference,
    Role,
    RoleRecord,
    Student,
    StudentRecord,
    User,
    UserRecord,
    UserRef,
)

__all__ = [
    "UNSET",
    "AgentKey",
    "AgentLink",
    "AgentRecord",
    "Bulk",
    "Config",
    "Demographics",
    "ItemResult",
    "Latency",
    "OrgRecord",
    "OrgRef",
    "Outcome",
    "Reference",
    "Report",
    "Response",
    "RetryPolicy",
    "Role",
    "RoleRecord",
    "Statistics",
    "Student",
    "StudentRecord",
    "TimebackSession",
    "User",
    "UserRecord",
    "UserRef",
    "__version__",
    "errors",
]

# Silent unless the application sets logging up.
logging.getLogger(__name__).addHandler(logging.NullHandler())
