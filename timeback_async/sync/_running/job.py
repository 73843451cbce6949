"""Carry out a plan: people, then links, then what is removed; and note what became of each.

Source: the order follows what TimeBack needs: a link's both people first.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

import msgspec

from ..._bulk.run import Bulk
from ..._flow.pool import Statistics
from ..._report import Report
from ..._results import ItemResult, Outcome
from ..._session import TimebackSession
from ...errors import (
    NotFoundError,
    RecordError,
    SessionError,
    SourceError,
    TimebackError,
    TransportError,
)
from ...models import StudentRecord, UserRecord
from .._planning.plan import Change, Plan
from .._planning.state import StateError
from .completion import completed
from .facts import Failure
from .journal import Journal
from .sync_report import MAX_KEPT_FAILURES, SyncReport

__all__ = ["SyncRun", "run"]

log = logging.getLogger("timeback_async.sync")

DELETED = Outcome.DELETED
OUTCOME_IN_STATE = {
    "people": "saved",
    "links": "saved",
    "unlinks": "deleted",
    "deactivations": "deactivated",
}
# Outcomes that say nothing about what the server holds.
OUTCOMES_WITHOUT_NEWS = {Outcome.NOT_SENT, Outcome.INVALID}


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
        self.report = SyncReport.of(plan, endpoint=session.config.base_url)

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
        if self._state.is_in_use:
            raise SessionError("another run writes to this state; one at a time")
        self._is_used = self._state.is_in_use = True
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
            if self._done:
                self._draw(self.report.trace.end)
            await _to_its_end(asyncio.create_task(self._conclude()))
            self._state.is_in_use = False
        return self.report

    async def _begin(self) -> None:
        plan = self._plan
        facts = {"births": True} if plan.roster.has_births else {}
        try:
            await asyncio.to_thread(
                self._state.begin, plan.changing(), plan.changed_source(), facts
            )
        except StateError as error:
            self._end(error)

    async def _phases(self) -> None:
        plan, session = self._plan, self._session
        if plan.total("people") + plan.total("links"):
            changes = chain(plan.changes("people"), plan.changes("links"))
            await self._carry_out(
                lambda: session.upsert_many(
                    self._completed(changes) if plan.has_gaps else self._records(changes)
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

    async def _completed(self, changes: Iterator[Change]) -> AsyncIterator[Any]:
        index = 0
        async for change, record in completed(self._session, changes):
            self._on_their_way[index] = change
            index += 1
            yield record

    async def _deactivated(self) -> AsyncIterator[Any]:
        """Yield whom only the state knows, then whom the files deactivate."""
        changes = list(self._absent())
        absent = {change.known.id: change for change in changes}
        # All of them before anything is written, which could move the pages of the listing.
        found = {key: person async for key, person in self._found(absent)} if absent else {}
        for index, (key, person) in enumerate(found.items()):
            change = self._on_their_way[index] = absent.pop(key)
            yield _deactivated(person, change.kind)
        for change in absent.values():  # the server does not know them any more: just as well
            self._note(
                change, ItemResult(index=0, kind=change.kind, sourced_id="", outcome=DELETED)
            )
        told = (each for each in self._plan.changes("deactivations") if each.record is not None)
        index = len(found)
        async for change, record in completed(self._session, told):
            self._on_their_way[index] = change
            index += 1
            yield record

    def _absent(self) -> Iterator[Change]:
        return (each for each in self._plan.changes("deactivations") if each.record is None)

    async def _found(self, absent: Collection[str]) -> AsyncIterator[tuple[str, UserRecord]]:
        """Yield people as the server has them, by key. Of hashed ids, it is asked for everybody."""
        if self._state.ids == "plain":
            for key in absent:
                with suppress(NotFoundError):
                    yield key, await self._session.get_user(key)
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
        self._draw(self.report.trace.note)
        is_done = outcome in (Outcome.SAVED, DELETED)
        if outcome not in OUTCOMES_WITHOUT_NEWS:
            self._journal.add(
                change.known.after(
                    OUTCOME_IN_STATE[change.phase] if is_done else outcome.value,
                    change.known.hash if is_done else None,
                    result.status,
                    result.attempts,
                )
            )
        if not is_done and len(self.report.failures) < MAX_KEPT_FAILURES:
            self.report.failures.append(Failure.of(change, result))
        if self._on_result is not None:
            self._on_result(change, result)

    def _draw(self, take_note: Callable[[int, Callable[[], Statistics]], None]) -> None:
        with suppress(SessionError):  # it was closed under us, and results are still to be told
            take_note(self._done, self._session.statistics)

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

    Raises:
        ConfigError: The plan's state is another endpoint's or client's.
    """
    plan.state.claim(session.config)
    return SyncRun(session, plan, on_result)


def _deactivated(person: UserRecord, kind: str) -> Any:
    """Return somebody as they are at the server, to be deleted; or why that cannot be sent."""
    is_student = kind == "student"
    if person.roles:  # which know better than a state that a run was killed over
        is_student = any(role.role == "student" for role in person.roles)
    try:
        if is_student:
            person = StudentRecord(**msgspec.structs.asdict(person))
        return msgspec.structs.replace(person.as_input(), status="tobedeleted")
    except RecordError as error:
        return error
