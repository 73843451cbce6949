"""Carry out a plan: people, then links, then what is removed; and note what became of each.

Source: the order follows what TimeBack needs: a link's both people first.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Container, Generator, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

import msgspec

from .._bulk import Bulk
from .._report import Report
from .._results import ItemResult, Outcome
from .._session import TimebackSession
from .._trace import Trace
from ..errors import (
    NotFoundError,
    RecordError,
    SessionError,
    SourceError,
    TimebackError,
    TransportError,
)
from ..models import StudentRecord, UserRecord
from ._completion import Completer
from ._findings import Cause
from ._journal import Journal
from ._plan import PHASES, Change, Phase, Plan
from ._state import StateError

__all__ = ["Failure", "PhaseReport", "SyncReport", "SyncRun", "run"]

log = logging.getLogger("timeback_async.sync")

MAX_FAILURES = 1000
DELETED = Outcome.DELETED
ENDED = {"people": "saved", "links": "saved", "unlinks": "deleted", "deactivations": "deactivated"}
# Outcomes that say nothing about what the server holds.
UNTOLD = {Outcome.NOT_SENT, Outcome.INVALID}


class PhaseReport(msgspec.Struct):
    """What became of one phase.

    Attributes:
        planned: Records that were to be sent.
        counts: How many ended in each outcome; what is missing was not come to.
        began: Seconds from the beginning of the run to the first result, or None.
        ended: The same to the last one.
    """

    planned: int
    counts: dict[Outcome, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    began: float | None = None
    ended: float | None = None

    def as_dict(self) -> dict[str, int]:
        """Return what was planned, and how many ended in each outcome that there was."""
        ended = {outcome.value: number for outcome, number in self.counts.items() if number}
        return {"planned": self.planned, **ended}


class Failure(msgspec.Struct, frozen=True):
    """A record that did not make it: where it stands, whose it is, and why."""

    file: str
    line: int
    kind: str
    sourced_id: str
    outcome: Outcome
    reason: str

    @classmethod
    def of(cls, change: Change, result: ItemResult) -> "Failure":
        """Return what is to be said of a result."""
        own = (change.file, change.line, change.kind, change.sourced_id)
        return cls(*own, result.outcome, str(result.error))

    @property
    def where(self) -> str:
        """File and line; "" for what only the state knows of."""
        return f"{self.file}:{self.line}" if self.file else ""

    def as_dict(self) -> dict[str, str]:
        """Return it for a machine."""
        return {
            "where": self.where,
            "kind": self.kind,
            "id": self.sourced_id,
            "outcome": self.outcome.value,
            "reason": self.reason,
        }


class SyncReport(msgspec.Struct, kw_only=True):
    """What became of a run.

    Attributes:
        format: What kind of roster it was.
        read: Students, users and links in it, and rows that are left out.
        unchanged: Records that the server held already.
        absent: Records of each kind that earlier runs wrote and the files no longer hold.
        phases: What became of each phase.
        causes: What was found in the files.
        left_out: Findings that left something out.
        requests, retries, throttled, token_requests: Of the whole run.
        elapsed: Seconds.
        dry_run: Whether nothing was to be sent.
        stopped: Why the run ended before its plan did, or "".
        trace: How it went over time.
        failures: The first 1,000 records that did not make it; the counts are always complete.
    """

    format: str
    read: dict[str, int]
    unchanged: int
    absent: dict[str, int]
    phases: dict[Phase, PhaseReport]
    causes: list[Cause]
    left_out: int
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    token_requests: int = 0
    elapsed: float = 0.0
    dry_run: bool = False
    stopped: str = ""
    trace: Trace = msgspec.field(default_factory=Trace)
    failures: list[Failure] = []

    @classmethod
    def of(cls, plan: Plan, **facts: Any) -> "SyncReport":
        """Return the report of a plan of which nothing has been sent."""
        return cls(
            format=plan.roster.format,
            read=plan.roster.count._asdict(),
            unchanged=plan.unchanged,
            absent=dict(plan.absent),
            phases={phase: PhaseReport(plan.total(phase)) for phase in PHASES},
            causes=plan.roster.findings.causes,
            left_out=plan.roster.findings.errors,
            **facts,
        )

    @property
    def counts(self) -> Counter[Outcome]:
        """How many records ended in each outcome."""
        total: Counter[Outcome] = Counter()
        for phase in self.phases.values():
            total.update(phase.counts)
        return total

    @property
    def planned(self) -> int:
        """How many records were to be sent."""
        return sum(phase.planned for phase in self.phases.values())

    @property
    def done(self) -> int:
        """How many of them did what was asked."""
        return self.counts[Outcome.SAVED] + self.counts[Outcome.DELETED]

    @property
    def ok(self) -> bool:
        """Whether everything in the files is at the server now; dry: whether it could be."""
        return (
            not self.left_out and not self.stopped and (self.dry_run or self.done == self.planned)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything for a machine."""
        return {
            "ok": self.ok,
            "format": self.format,
            "read": self.read,
            "unchanged": self.unchanged,
            "absent": self.absent,
            "phases": {name: phase.as_dict() for name, phase in self.phases.items()},
            "findings": [
                {"code": c.code, "severity": c.severity, "file": c.file, "field": c.field,
                 "count": c.count, "first": str(c.examples[0])}
                for c in self.causes
            ],
            "left_out": self.left_out,
            "failures": [failure.as_dict() for failure in self.failures],
            "requests": self.requests,
            "retries": self.retries,
            "throttled": self.throttled,
            "token_requests": self.token_requests,
            "elapsed": round(self.elapsed, 3),
            "dry_run": self.dry_run,
            "stopped": self.stopped,
        }  # fmt: skip

    def __str__(self) -> str:
        ended = ", ".join(f"{n:,} {o.value}" for o, n in self.counts.items() if n) or "nothing sent"
        return f"{self.planned:,} changes: {ended}; {self.unchanged:,} unchanged"


class SyncRun:
    """A plan being carried out: `await` it, once, for its `SyncReport`.

    Whatever ends it, the report is there and the state tells what is done: running the same
    roster again goes on where this run ended.

    Attributes:
        report: What became of the records so far.
        error: What ended the run before its plan did.
    """

    def __init__(
        self,
        session: TimebackSession,
        plan: Plan,
        on_result: Callable[[Change, ItemResult], None] | None = None,
    ) -> None:
        self._session, self._plan, self._state = session, plan, plan.state
        self._on_result = on_result
        self._journal = Journal(plan.state)
        self._on_their_way: dict[int, Change] = {}
        self._is_stopped = self._is_used = False
        self._done = 0
        self._bulk: Bulk | None = None
        self.error: TimebackError | None = None
        self.report = SyncReport.of(plan)

    def stop(self) -> None:
        """Begin nothing more; what is in flight is finished."""
        self._is_stopped = True
        self.report.stopped = self.report.stopped or "interrupted"
        if self._bulk is not None:
            self._bulk.stop("interrupted")

    def __await__(self) -> Generator[Any, None, SyncReport]:
        return self._run().__await__()

    async def _run(self) -> SyncReport:
        if self._is_used:
            raise SessionError("a run can be awaited once; plan again")
        self._is_used = True
        self._started = time.monotonic()
        writer = asyncio.create_task(self._journal.write())
        try:
            await _to_its_end(asyncio.create_task(self._begin()))
            await self._phases()
        except BaseException:
            self.report.stopped = self.report.stopped or "cancelled"
            raise
        finally:
            self._journal.close()
            await _to_its_end(writer)
            self.report.elapsed = time.monotonic() - self._started
            await _to_its_end(asyncio.create_task(self._conclude()))
        return self.report

    async def _begin(self) -> None:
        plan = self._plan
        try:
            await asyncio.to_thread(self._state.begin, plan.changing(), plan.moved())
        except StateError as error:
            self._end(error)

    async def _phases(self) -> None:
        plan, session = self._plan, self._session
        if plan.total("people") + plan.total("links"):
            changes = chain(plan.changes("people"), plan.changes("links"))
            completer = Completer(session, plan)
            await self._carry_out(
                lambda: session.upsert_many(
                    self._completed(completer, changes)
                    if completer.is_needed
                    else self._records(changes)
                )
            )
        if plan.total("unlinks"):
            await self._carry_out(
                lambda: session.delete_many(self._records(plan.changes("unlinks")))
            )
        if plan.total("deactivations"):
            await self._carry_out(lambda: session.upsert_many(self._deactivated()))

    async def _carry_out(self, begin: Callable[[], Bulk]) -> None:
        if self._is_stopped:
            return
        self._on_their_way.clear()
        self._bulk = bulk = begin()
        try:
            async with bulk:
                async for result in bulk:
                    await self._take(result)
        except TimebackError as error:
            self._end(error)
        except BaseException:
            self._take_undelivered(bulk.report)
            raise
        finally:
            self._add_up(bulk.report)

    def _end(self, error: TimebackError) -> None:
        if isinstance(error, SourceError) and isinstance(error.__cause__, TimebackError):
            error = error.__cause__  # reading from the server is what failed
        log.warning("stopped: %s", error)
        self.error = error
        self.report.stopped = str(error)
        self.stop()

    def _add_up(self, part: Report) -> None:
        report = self.report
        report.requests += part.attempts
        report.retries += part.retries
        report.throttled += part.throttled
        report.token_requests += part.token_requests

    # -- what is sent

    def _records(self, changes: Iterator[Change]) -> Iterator[Any]:
        for index, change in enumerate(changes):
            self._on_their_way[index] = change
            yield change.record

    async def _completed(
        self, completer: Completer, changes: Iterator[Change]
    ) -> AsyncIterator[Any]:
        index = 0
        async for change, record in completer.completed(changes):
            self._on_their_way[index] = change
            index += 1
            yield record

    async def _deactivated(self) -> AsyncIterator[Any]:
        """Yield whom the files deactivate, then whom only the state knows."""
        absent: dict[str, Change] = {}
        index = 0
        for change in self._plan.changes("deactivations"):
            if change.record is None:
                absent[change.known.id] = change
                continue
            self._on_their_way[index] = change
            index += 1
            yield change.record
        # All of them before the first is written, which could move the pages of the listing.
        found = {key: person async for key, person in self._found(absent)}
        for key, person in found.items():
            change = absent.pop(key)
            self._on_their_way[index] = change
            index += 1
            yield _deactivated(person, change.kind)
        for change in absent.values():  # the server does not know them any more: just as well
            self._note(
                change, ItemResult(index=0, kind=change.kind, sourced_id="", outcome=DELETED)
            )

    async def _found(self, absent: Container[str]) -> AsyncIterator[tuple[str, UserRecord]]:
        """Yield people as the server has them, by key. Of hashed ids, it is asked for everybody."""
        if self._state.ids == "plain":
            for change in self._plan.changes("deactivations"):
                if change.record is None:
                    with suppress(NotFoundError):
                        yield change.known.id, await self._session.get_user(change.known.id)
        else:
            async for person in self._session.list_users():
                key = self._state.id_of(person.sourced_id)
                if key in absent:
                    yield key, person

    # -- what came of it

    async def _take(self, result: ItemResult) -> None:
        self._note(self._on_their_way.pop(result.index), result)
        await self._journal.room()
        if self._journal.error is not None and self.error is None:
            self._end(self._journal.error)

    def _note(self, change: Change, result: ItemResult) -> None:
        """Count a result, have the state remember it, and tell whoever wants to know."""
        outcome = result.outcome
        if change.phase == "unlinks" and isinstance(result.error, NotFoundError):
            outcome = DELETED  # somebody else was quicker
        phase = self.report.phases[change.phase]
        phase.counts[outcome] += 1
        phase.ended = time.monotonic() - self._started
        phase.began = phase.ended if phase.began is None else phase.began
        self._done += 1
        self.report.trace.note(self._done, self._session.statistics)
        is_done = outcome in (Outcome.SAVED, DELETED)
        if outcome not in UNTOLD:
            self._journal.add(
                change.known._replace(
                    hash=change.known.hash if is_done else None,
                    outcome=ENDED[change.phase] if is_done else outcome.value,
                    status=result.status,
                    attempts=result.attempts,
                    time=time.time(),
                )
            )
        if not is_done and len(self.report.failures) < MAX_FAILURES:
            self.report.failures.append(Failure.of(change, result))
        if self._on_result is not None:
            self._on_result(change, result)

    def _take_undelivered(self, report: Report) -> None:
        """Account for what was cut off. Whatever is in doubt counts as unknown: it is resent."""
        known = {result.index: result for result in report.failures}
        for index, change in sorted(self._on_their_way.items()):
            doubtful = ItemResult(
                index=index, kind="", sourced_id="", outcome=Outcome.UNKNOWN,
                error=TransportError("cancelled before the answer"),
            )  # fmt: skip
            self._note(change, known.get(index, doubtful))

    async def _conclude(self) -> None:
        """Remember how the roster was mapped, once all of a full set has been gone through."""
        roster = self._plan.roster
        facts: dict[str, Any] = {"last_run": time.time()}
        if roster.files.get("births") or roster.has_all_births:
            facts["births"] = True
        if not self.report.stopped and all(s.mode == "bulk" for s in roster.sources.values()):
            facts["fingerprint"] = roster.fingerprint
        try:
            if self._journal.error is not None:
                raise self._journal.error
            await asyncio.to_thread(self._state.note, **facts)
        except StateError as error:
            if self.error is None:
                self._end(error)
        log.info("%s in %.1f s", self.report, self.report.elapsed)


async def _to_its_end(task: asyncio.Task[None]) -> None:
    """Wait for a task, whoever cancels us meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()


def run(
    session: TimebackSession,
    plan: Plan,
    *,
    on_result: Callable[[Change, ItemResult], None] | None = None,
) -> SyncRun:
    """Carry out a plan. `await` what this returns; its `stop()` ends it early and in order.

    Args:
        session: The client, open.
        plan: What to send. It is used up.
        on_result: Is told what became of each record, as it becomes known.

    Returns:
        The run, whose report is there in any case. What ends a run early (credentials, a server
        that stays down, a full disk) is its `error`, and not raised.
    """
    return SyncRun(session, plan, on_result)


def _deactivated(person: UserRecord, kind: str) -> Any:
    """Return somebody as they are at the server, to be deleted; or why that cannot be sent."""
    try:
        if kind == "student":
            person = StudentRecord(**msgspec.structs.asdict(person))
        return msgspec.structs.replace(person.as_input(), status="tobedeleted")
    except RecordError as error:
        return error
