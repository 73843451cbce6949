"""Carry out a plan: people, then links, then removals; and note the result of each record.

Source: TimeBack onboarding guide: both people of a link have to be there before it.
"""

import asyncio
import logging
import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import ExitStack, suppress
from itertools import chain
from typing import Any, cast

from msgspec.structs import replace

from ..._bulk.ledger import Ledger
from ..._bulk.run import Bulk
from ..._results import ItemResult, Outcome
from ..._session import TimebackSession
from ..._statistics import Statistics
from ..._tasks import to_its_end
from ...errors import (
    NotFoundError,
    ProtocolError,
    SessionError,
    TimebackError,
)
from ...models import AgentKey
from .._planning.plan import Change, Plan, PlanRefusedError
from .._planning.state import StateError
from .completion import as_read, completed
from .deactivation import deactivated, people_at_server
from .gone import gone_links
from .journal import Journal
from .sync_report import SyncReport

__all__ = ["SyncRun", "run"]

log = logging.getLogger("timeback_async.sync")

DELETED = Outcome.DELETED
NOT_KNOWN = ProtocolError("the server does not say for certain if this person is there; run again")
OUTCOME_IN_STATE = {
    "people": "saved", "links": "saved", "unlinks": "deleted", "deactivations": "deactivated"
}  # fmt: skip
# Outcomes that say nothing about what the server holds.
OUTCOMES_WITHOUT_NEWS = {Outcome.NOT_SENT, Outcome.INVALID}
# Each change with what to send for it.
Changes = Iterable[tuple[Change, Any]] | AsyncIterable[tuple[Change, Any]]


class SyncRun:
    """A plan being carried out: `await` it, once, for its `SyncReport`.

    The report is complete and the state up to date however the run ends: running the same roster
    again continues from there.

    Attributes:
        report: The results so far.
        error: What ended the run early, or None.
    """

    def __init__(
        self,
        session: TimebackSession,
        plan: Plan,
        on_result: Callable[[Change, ItemResult], None] | None = None,
    ) -> None:
        if plan.refusal:
            raise PlanRefusedError(plan)
        self._session, self._plan, self._state = session, plan, plan.state
        self._on_result = on_result
        self._journal = Journal(plan.state)
        self._is_stopped = self._is_used = False
        self._done = 0
        self._bulk: Bulk | None = None
        self._unfound: list[tuple[Change, ItemResult]] = []
        self._gone: set[AgentKey] = set()
        self.error: TimebackError | None = None
        self._is_night, self._changes = False, 0
        self.report = SyncReport.of(plan, endpoint=session.config.base_url)

    def stop(self) -> None:
        """Send nothing more, and finish what is in flight."""
        self._is_stopped = True
        self.report.stopped = self.report.stopped or "interrupted"
        if self._bulk is not None:
            self._bulk.stop("interrupted")

    def __await__(self) -> Generator[Any, None, SyncReport]:
        return self._run().__await__()

    async def _run(self) -> SyncReport:
        if self._is_used:
            raise SessionError("a run can be awaited once; read and plan again")
        if self._state.is_in_use:
            raise SessionError("another run writes to this state; wait until it ends")
        self._is_used = self._state.is_in_use = True
        # Whether the state is as it was when the roster was read, so that its night can be kept;
        # and how it is then, since somebody may be forgotten while it runs.
        night = self._plan.roster.night
        self._is_night = night is not None and night.is_of(self._state)
        self._started = time.monotonic()
        writer = asyncio.create_task(self._journal.write())
        try:
            await _whole(asyncio.create_task(self._begin()))
            await self._phases()
        except BaseException:
            self.report.stopped = self.report.stopped or "cancelled"
            raise
        finally:
            try:
                self._note_unfound()
            finally:
                await self._close(writer)
        return self.report

    async def _close(self, writer: asyncio.Task[None]) -> None:
        self._journal.close()
        await _whole(writer)
        self.report.sending = time.monotonic() - self._started
        if self._done:
            self._draw(self.report.trace.end)
        await _whole(asyncio.create_task(self._conclude()))
        self.report.elapsed = time.monotonic() - self._plan.roster.started
        self._state.is_in_use = False

    async def _begin(self) -> None:
        plan = self._plan
        facts = {"births": True} if plan.roster.has_births else {}
        try:
            await asyncio.to_thread(
                self._state.begin, plan.changing(), plan.changed_source(), facts
            )
        except StateError as error:
            self._end(error)
        self._changes = self._state.changes

    async def _phases(self) -> None:
        plan, session = self._plan, self._session
        if plan.total("people") + plan.total("links"):
            changes = chain(plan.changes("people"), plan.changes("links"))
            await self._carry_out(
                session.upsert_many,
                completed(session, changes, plan.roster.today, self._state.hash_of)
                if plan.has_gaps
                else as_read(changes),
            )
        if plan.total("unlinks"):
            await self._carry_out(session.delete_many, as_read(plan.changes("unlinks")))
            await self._look_for_unfound()
        if plan.total("deactivations"):
            await self._carry_out(session.upsert_many, self._deactivated())

    async def _carry_out(self, send: Callable[[Any], Bulk], changes: Changes) -> None:
        if self._is_stopped:
            return
        ledger = Ledger(self._take)
        self._bulk = bulk = send(ledger.records(changes))
        try:
            await ledger.settle(bulk, self._make_room)
        except TimebackError as error:
            self._end(error)
        finally:
            self.report.add_up(bulk.report)

    def _end(self, error: TimebackError) -> None:
        log.warning("stopped: %s", error)
        self.error = error
        self.report.stopped = str(error)
        self.stop()

    # -- what is sent

    async def _deactivated(self) -> AsyncIterator[tuple[Change, Any]]:
        """Yield people who are absent from the files, then those whom the files deactivate."""
        # Of the absent ones:
        #   the server has them  -> they are sent as they are there, but deleted
        #   it has them not      -> there is nothing to do; they count as deleted
        #   nobody knows         -> they are left for the next run
        session, today, hash_of = self._session, self._plan.roster.today, self._state.hash_of
        absent = {change.known.id: change for change in self._deactivations(absent=True)}
        # All of them before anything is written, which could move the pages of the listing.
        people = people_at_server(session, self._state.keys, absent)
        found = {key: person async for key, person in people} if absent else {}
        for key, person in found.items():
            if person is not None:
                change = absent.pop(key)
                yield change, deactivated(person, change.kind, today)
        for key, change in absent.items():
            outcome, error = (DELETED, None) if key in found else (Outcome.NOT_SENT, NOT_KNOWN)
            result = ItemResult(
                index=0, kind=change.kind, sourced_id="", outcome=outcome, error=error
            )
            self._note(change, result)
        leavers = self._deactivations(absent=False)
        async for change, record in completed(session, leavers, today, hash_of):
            yield change, record

    def _deactivations(self, *, absent: bool) -> Iterator[Change]:
        """Yield the deactivations of people who are absent from the files, or of the others."""
        changes = self._plan.changes("deactivations")
        return (each for each in changes if (each.content is None) == absent)

    # -- what came of it

    async def _make_room(self) -> None:
        """Wait while the journal cannot keep up; stop if it cannot write at all."""
        await self._journal.room()
        if self._journal.error is not None and self.error is None:
            self._end(self._journal.error)

    def _take(self, change: Change, result: ItemResult) -> None:
        if change.phase == "unlinks" and isinstance(result.error, NotFoundError):
            self._unfound.append((change, result))
        else:
            self._note(change, result)

    async def _look_for_unfound(self) -> None:
        """Find out whether the links that the server has not found are gone."""
        if self._unfound and not self._is_stopped:
            keys = [change.content for change, _ in self._unfound]
            self._gone = await gone_links(
                self._session, cast("list[AgentKey]", keys), self._is_begun
            )

    def _is_begun(self, bulk: Bulk) -> None:
        self._bulk = bulk

    def _note_unfound(self) -> None:
        gone = {"outcome": DELETED, "error": None}
        with ExitStack() as each:  # every one is noted, whatever the caller's function raises
            for change, result in reversed(self._unfound):
                found = replace(result, **gone) if change.content in self._gone else result
                each.callback(self._note, change, found)

    def _note(self, change: Change, result: ItemResult) -> None:
        """Count a result, write it to the state, and report it to the caller."""
        outcome = result.outcome
        self.report.count(change, result, time.monotonic() - self._started)
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
        if not is_done and self._is_night:
            self._doubt(change)
        if self._on_result is not None:
            self._on_result(change, result)

    def _doubt(self, change: Change) -> None:
        """Note that the people of a change have to be read again next time."""
        night, known = self._plan.roster.night, change.known
        assert night is not None
        for person in (known.student, known.user) if change.kind == "agent" else (known.id,):
            if person:
                night.doubt(self._state.keys.owner_of_key(person))

    def _draw(self, take_note: Callable[[int, Callable[[], Statistics]], None]) -> None:
        with suppress(SessionError):  # it was closed meanwhile; the results still count
            take_note(self._done, self._session.statistics)

    async def _conclude(self) -> None:
        """Write how the roster was mapped, if a full set was sent completely."""
        roster = self._plan.roster
        facts: dict[str, Any] = {"last_run": time.time()}
        if not self.report.stopped and all(s.mode == "bulk" for s in roster.sources.values()):
            facts["fingerprint"] = roster.fingerprint
        try:
            if self._journal.error is not None:
                raise self._journal.error
            await asyncio.to_thread(self._state.note, **facts)
            is_night = self._is_night and self._state.changes == self._changes
            if is_night and not self.report.stopped and not self.report.not_reached:
                await asyncio.to_thread(self._remember)
        except StateError as error:
            if self.error is None:
                self._end(error)
        log.info("%s in %.1f s", self.report, self.report.sending)

    def _remember(self) -> None:
        """Remember what the files were like; whoever was not saved is read again next time."""
        night = self._plan.roster.night
        assert night is not None
        with suppress(ValueError), self._plan.roster.database.lock:
            self._state.remember(night.parts())


async def _whole(task: asyncio.Task[None]) -> None:
    """Let a task end, even if this one is cancelled; raise what it raised."""
    await to_its_end(task)
    task.result()


def run(
    session: TimebackSession,
    plan: Plan,
    *,
    on_result: Callable[[Change, ItemResult], None] | None = None,
) -> SyncRun:
    """Carry out a plan. `await` the run that this returns; its `stop()` ends it early.

    Args:
        session: The client, open.
        plan: What to send; it can be carried out once.
        on_result: Called with each change and its result, as it becomes known.

    Returns:
        The run. An error that ends it early (credentials, a server that stays down, a full disk)
        is its `error` and is not raised.

    Raises:
        PlanRefusedError: The plan was refused when it was made.
        ConfigError: The plan's state is another endpoint's or client's.
    """
    plan.state.claim(session.config)
    return SyncRun(session, plan, on_result)
