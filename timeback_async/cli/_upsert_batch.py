"""What `upsert` sends: files read as `sync` reads them, compared with nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from .._session import TimebackSession
from .._wire.codec import Encoded
from ..sync import (
    PHASES,
    Change,
    LeftOut,
    PhaseReport,
    Plan,
    ReadOptions,
    Roster,
    State,
    SyncReport,
    plan,
)
from ..sync._running.completion import as_read, completed
from ._findings_file import FindingsFile
from ._progress import Show
from ._reading import read_beside

__all__ = ["Batch", "read_batch"]

Pair = tuple[Change, object]


class Batch:
    """What is sent: of all files people, then the deleted, then links.

    Attributes:
        has_gaps: Whether the files leave something open that TimeBack may know.
    """

    def __init__(self, rosters: Sequence[Roster], plans: Sequence[Plan]) -> None:
        self._rosters, self._plans = rosters, plans
        self.has_gaps = any(each.has_gaps for each in plans)

    def report(self, **facts: Any) -> SyncReport:
        """Return the report before anything is sent; `facts` set more attributes."""
        rosters, plans = self._rosters, self._plans
        findings = [roster.findings for roster in rosters]
        return SyncReport(
            roster=", ".join(roster.name for roster in rosters),
            format=", ".join(dict.fromkeys(roster.format for roster in rosters)),
            read=_sum(roster.count._asdict() for roster in rosters),
            severities=_sum(each.severities for each in findings),
            actions=_sum(each.actions for each in plans),
            phases={phase: PhaseReport(sum(p.total(phase) for p in plans)) for phase in PHASES},
            causes=[cause for each in findings for cause in each.causes],
            unaccepted=sum(each.unaccepted for each in findings),
            began=rosters[0].began,
            **facts,
        )

    def elapsed(self) -> float:
        """Return the seconds since the first file began to be read."""
        return time.monotonic() - self._rosters[0].started

    def left_out(self) -> Iterator[LeftOut]:
        """Yield the rows that are left out."""
        return chain.from_iterable(roster.left_out() for roster in self._rosters)

    def changes(self) -> Iterator[Change]:
        """Yield everything that is sent."""
        # A later file has the last word on a person, also on one that an earlier file deletes.
        for each in self._plans:
            yield from each.changes("people")
            yield from each.changes("deactivations")
        for each in self._plans:
            yield from each.changes("links")

    def as_read(self) -> Iterator[Pair]:
        """Yield each with its record as it is in the files."""
        for change, record in as_read(self.changes()):
            if change.kind == "person":  # in a dry run: only TimeBack knows whether it is a student
                record = Encoded("user", change.sourced_id, b"")
            yield change, record

    def completed(self, session: TimebackSession) -> AsyncIterator[Pair]:
        """Yield each with its record, what the files leave open looked up."""
        today, hash_of = self._rosters[0].today, self._plans[0].state.hash_of
        return completed(session, self.changes(), today, hash_of)


async def read_batch(
    opened: ExitStack,
    paths: Sequence[Path],
    options: ReadOptions,
    findings: FindingsFile | None,
    show: Show,
) -> Batch:
    """Read all files, and compare them with nothing: so they are planned as a first `sync`."""
    rosters = [
        opened.enter_context(await read_beside(path, options, findings, show)) for path in paths
    ]
    empty = opened.enter_context(State(None, ids="plain"))
    plans = [await asyncio.to_thread(plan, roster, empty) for roster in rosters]
    if findings is not None:  # whatever happens to the run now
        findings.finish()
    return Batch(rosters, plans)


def _sum(parts: Iterable[Mapping[Any, int]]) -> dict[Any, int]:
    """Return the sum of numbers by name."""
    total: dict[Any, int] = {}
    for part in parts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return total
