"""Bring a school's roster into TimeBack: read it, compare it with earlier runs, send changes.

    with State("state.db", config) as state, read_roster("export.zip") as roster:
        changes = plan(roster, state)
        async with TimebackSession(config) as session:
            report = await run(session, changes)

Reading and planning block: from an event loop, call them by `asyncio.to_thread`. The state keeps
the outcome of each record, and hashes instead of its content; the next run continues from there.
"""

from ._exporting.export import Export, export
from ._exporting.export_report import ExportReport, Unread
from ._planning.compare import plan
from ._planning.entry import Entry
from ._planning.keys import Ids
from ._planning.plan import PHASES, Change, Plan, PlanRefusedError
from ._planning.state import State, StateError
from ._reading.codes import CODES
from ._reading.findings import Cause, Finding, Findings
from ._reading.options import ReadOptions
from ._reading.read import read_roster
from ._reading.records import LeftOut
from ._reading.roster import Roster
from ._running.facts import Failure, PhaseReport
from ._running.job import SyncRun, run
from ._running.sync_report import SyncReport
from ._verifying.difference import Compared, Difference
from ._verifying.verification import Verification, verify
from ._verifying.verify_report import VerifyReport

__all__ = [
    "CODES",
    "PHASES",
    "Cause",
    "Change",
    "Compared",
    "Difference",
    "Entry",
    "Export",
    "ExportReport",
    "Failure",
    "Finding",
    "Findings",
    "Ids",
    "LeftOut",
    "PhaseReport",
    "Plan",
    "PlanRefusedError",
    "ReadOptions",
    "Roster",
    "State",
    "StateError",
    "SyncReport",
    "SyncRun",
    "Unread",
    "Verification",
    "VerifyReport",
    "export",
    "plan",
    "read_roster",
    "run",
    "verify",
]
