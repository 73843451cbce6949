"""Sync one district over the session of a worker, and report it in a few figures and a page."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from .._results import Outcome
from .._session import TimebackSession
from ..errors import TimebackError
from ..sync import (
    Plan,
    PlanRefusedError,
    ReadOptions,
    State,
    SyncReport,
    plan,
    read_roster,
    run,
)
from ._lane import Lane

__all__ = ["DistrictReport", "sync_district"]


class DistrictReport(msgspec.Struct, kw_only=True):
    """What became of one district. Its page has the rest.

    Attributes:
        name: The name of its package.
        ok: Whether everything in its files is at TimeBack.
        read: Numbers of rows, students, users and links; see `SyncReport`.
        planned: Changes to be sent.
        unchanged: Records that TimeBack had already.
        counts: Number of changes by outcome.
        not_reached: Changes that have no outcome.
        left_out: Findings in the files that left something out.
        requests, retries, throttled, token_requests: As in `SyncReport`.
        worker: Who did it.
        elapsed: Seconds from reading to the end.
        stopped: Why it ended early, or "".
    """

    name: str
    ok: bool = False
    read: dict[str, int] = {}
    planned: int = 0
    unchanged: int = 0
    counts: dict[Outcome, int] = {}
    not_reached: int = 0
    left_out: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    token_requests: int = 0
    worker: str = ""
    elapsed: float = 0.0
    stopped: str = ""

    @classmethod
    def of(cls, name: str, report: SyncReport, worker: str) -> "DistrictReport":
        """Return the figures of a report."""
        return cls(
            name=name,
            ok=report.ok,
            read=report.read,
            planned=report.planned,
            unchanged=report.unchanged,
            counts={outcome: report.counts[outcome] for outcome in Outcome},
            not_reached=report.not_reached,
            left_out=report.severities.get("error", 0),
            requests=report.requests,
            retries=report.retries,
            throttled=report.throttled,
            token_requests=report.token_requests,
            worker=worker,
            elapsed=report.elapsed,
            stopped=report.stopped,
        )


def sync_district(
    path: Path,
    state_path: Path,
    lane: Lane,
    options: ReadOptions,
    comparing: dict[str, Any],
    lease: AbstractContextManager[Any],
) -> SyncReport:
    """Read, compare and send one roster; return its report, however it went.

    Args:
        path: The roster.
        state_path: Its state; made if it does not exist.
        lane: The session.
        options: How it is read.
        comparing: Options of `plan`.
        lease: The engine's bound; see `Lane.sending`.
    """
    is_new = not state_path.exists()
    try:
        with State(state_path, lane.config) as state:
            try:
                since = None if comparing.get("resend") else state
                roster = read_roster(path, options, since=since)
            except BaseException:
                if is_new:  # there has to be a roster before there is a state
                    state.close()
                    state_path.unlink(missing_ok=True)
                raise
            with roster:
                changes = plan(roster, state, **comparing)
                with lane.sending(lease):
                    return lane.call(lambda session: _sent(session, changes))
    except PlanRefusedError as error:
        report = SyncReport.of(error.plan)
        report.stopped = str(error)
        return report
    except TimebackError as error:
        return SyncReport.refused(path.name, str(error))


async def _sent(session: TimebackSession, changes: Plan) -> SyncReport:
    return await run(session, changes)
