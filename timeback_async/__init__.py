"""Put students, users and their links into TimeBack: one awaited call, or millions of records.

Begin with `TimebackSession`. `timeback_async.errors` has every error, and
`timeback_async.testing` has a server to test against.

A record passes through the folders in this order; each imports only from those below it:

    cli/            the command
    dask/, fleet/   many processes: the cluster, and one partition or district in one process
    sync/           rosters: `_reading` files, `_planning` changes, `_running` a plan
    testing/        the mock server, the pytest plugin
    _session        opens and closes everything, one short method for each operation
    _bulk/          many records, one result for each
    _flow/          when a request is sent, and what follows its answer
    _transport/     one request on the wire, once
    _wire/          records and bytes, no I/O
    _config, _settings, _retry, _results, _statistics, _report, _trace, _tables
                    what users set, and what they get
    models/, errors the records and the errors
"""

import logging

from msgspec import UNSET

from . import errors
from ._answer import Answer
from ._bulk.run import Bulk
from ._config import Config
from ._hooks import Attempt, Hook
from ._report import Report
from ._results import ItemResult, Outcome
from ._retry import RetryPolicy
from ._session import TimebackSession
from ._statistics import Latency, Statistics
from ._tables import records_from
from ._transport.base import Transport
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
    "Answer",
    "Attempt",
    "Bulk",
    "Config",
    "Demographics",
    "Hook",
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
    "Transport",
    "User",
    "UserRecord",
    "UserRef",
    "__version__",
    "errors",
    "records_from",
]

# Nothing is logged unless the application configures logging.
logging.getLogger(__name__).addHandler(logging.NullHandler())
