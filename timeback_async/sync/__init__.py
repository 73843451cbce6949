"""A school's roster into TimeBack: read it, compare it with earlier runs, send what is new.

    with State("state.db", config) as state, read_roster("export.zip") as roster:
        changes = plan(roster, state)
        async with TimebackSession(config) as session:
            report = await run(session, changes)

Reading and planning block: from an event loop, hand them to `asyncio.to_thread`. Nothing of a
roster is kept but hashes; what a run has done is in the state, and running again goes on there.
"""

from ._compare import plan
from ._findings import CODES, Cause, Finding, Findings
from ._job import SyncRun, run
from ._options import ReadOptions
from ._plan import PHASES, Change, Plan
from ._read import read_roster
from ._report import Failure, PhaseReport, SyncReport
from ._roster import Roster
from ._state import Entry, State, StateError

__all__ = [
    "CODES",
    "PHASES",
    "Cause",
    "Change",
    "Entry",
    "Failure",
    "Finding",
    "Findings",
    "PhaseReport",
    "Plan",
    "ReadOptions",
    "Roster",
    "State",
    "StateError",
    "SyncReport",
    "SyncRun",
    "plan",
    "read_roster",
    "run",
]
