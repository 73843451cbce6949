"""What `upsert` sends: files read as `sync` reads them, compared with nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from .._session import TimebackSession
from .._wire.codec import Encoded
from ..errors import RecordError
from ..sync import Change, LeftOut, Plan, ReadOptions, Roster, State, plan, read_roster
from ..sync._running.completion import as_read, completed
from ._findings_file import FindingsFile

__all__ = ["Batch", "read_batch"]

Pair = tuple[Change | LeftOut, object]


class Batch:
    """What is sent: of all files the rows that are left out, then people, links and the deleted.

    Attributes:
        total: How many there are.
        read: What was read, and what became of the rows; see `Roster.count`.
        causes: What was found in all files, by cause.
        severities: Number of findings of each severity.
        unaccepted: Number of findings that left something out and are not accepted.
        actions: Number of changes of each action.
        has_gaps: Whether the files leave something open that TimeBack may know.
    """

    def __init__(self, rosters: Sequence[Roster], plans: Sequence[Plan]) -> None:
        self.rosters, self._plans = rosters, plans
        self.total = sum(1 for _ in self._left_out()) + sum(each.total() for each in plans)
        self.has_gaps = any(each.has_gaps for each in plans)
        findings = [roster.findings for roster in rosters]
        self.causes = [cause for each in findings for cause in each.causes]
        self.unaccepted = sum(each.unaccepted for each in findings)
        self.read = _sum(roster.count._asdict() for roster in rosters)
        self.severities = _sum(each.severities for each in findings)
        self.actions = _sum(each.actions for each in plans)

    def places(self) -> Iterator[Change | LeftOut]:
        """Yield where each of them stands."""
        return chain(self._left_out(), self._changes())

    def as_read(self) -> Iterator[Pair]:
        """Yield each with its record as it is in the files."""
        yield from self._refused()
        for change, record in as_read(self._changes()):
            if change.kind == "person":  # in a dry run: only TimeBack knows whether it is a student
                record = Encoded("user", change.sourced_id, b"")
            yield change, record

    async def completed(self, session: TimebackSession) -> AsyncIterator[Pair]:
        """Yield each with its record, what the files leave open looked up."""
        for pair in self._refused():
            yield pair
        today, hash_of = self.rosters[0].today, self._plans[0].state.hash_of
        async for change, record in completed(session, self._changes(), today, hash_of):
            yield change, record

    def _refused(self) -> Iterator[Pair]:
        return ((row, RecordError(row.field, row.reason)) for row in self._left_out())

    def _left_out(self) -> Iterator[LeftOut]:
        return chain.from_iterable(roster.left_out() for roster in self.rosters)

    def _changes(self) -> Iterator[Change]:
        # A later file has the last word on a person, also on one that an earlier file deletes.
        for each in self._plans:
            yield from each.changes("people")
            yield from each.changes("deactivations")
        for each in self._plans:
            yield from each.changes("links")


async def read_batch(
    opened: ExitStack, paths: Sequence[Path], options: ReadOptions, findings: FindingsFile | None
) -> Batch:
    """Read all files, and compare them with nothing: so they are planned as a first `sync`."""
    take = None if findings is None else findings.add
    rosters = [
        opened.enter_context(await asyncio.to_thread(read_roster, path, options, on_finding=take))
        for path in paths
    ]
    empty = opened.enter_context(State(None, ids="plain"))
    plans = [await asyncio.to_thread(plan, roster, empty) for roster in rosters]
    if findings is not None:  # whatever happens to the run now
        findings.finish()
    return Batch(rosters, plans)


def _sum(parts: Iterable[Mapping[Any, int]]) -> dict[str, int]:
    """Return the sum of numbers by name."""
    total: dict[str, int] = {}
    for part in parts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return total
