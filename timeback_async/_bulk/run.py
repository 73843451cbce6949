"""Send many records, and tell what became of each.

The workers of a `Crew` pull from the source, so memory follows the number in flight and not the
number of records. Here is what they do with a record, what has to wait for what, and what ends
a run.
"""

import asyncio
import copy
import warnings
from collections.abc import Callable, Generator, Hashable
from types import TracebackType
from typing import Any, Self

import anyio

from .._flow.call import Abandoned, Call
from .._flow.pool import RequestPool
from .._report import Report, Tally
from .._results import ItemResult, Outcome
from .._retry import is_throttle
from .._wire.codec import Operation, identify
from ..errors import (
    ApiError,
    AuthError,
    ConfigError,
    ConnectError,
    RecordError,
    SessionError,
    SourceError,
    TimebackError,
    TransportError,
)
from .delivery import Delivery
from .source import END, SyncSource, open_source
from .workers import Crew

__all__ = ["Bulk"]

# Results held back to be in order, for each place.
ORDERED_PER_PLACE = 4
# So many refusals by a token that nothing has been accepted with end the run.
MAX_REFUSALS = 3


class _Item:
    """One record between reading and result."""

    # On the class until they are there.
    operation: Operation | None = None
    call: Call | None = None
    done: asyncio.Future[None] | None = None

    def __init__(self, index: int, record: object, started: float) -> None:
        self.index, self.record, self.started = index, record, started


class Bulk:
    """A run over many records: `await` it for the `Report`, or iterate over its results.

        report = await timeback.upsert_many(students)

        async with timeback.upsert_many(students) as results:
            async for result in results:
                ...

    Leaving the block early cancels what is in flight and leaves no task behind. Memory follows
    the number in flight, and holds the ids of people who failed, for the links that name them.

    Attributes:
        report: What became of every record read, once the run has ended in whatever way.

    Raises (from `await`, or from the iteration after the last result, `report` attached):
        SourceError: The source raised; what had been read was finished.
        AuthError, ConnectError: Credentials, scope or TLS were refused.
        RateLimitError, ServerError: The server asked for a longer wait than `retry.patience`.
        TransportError, ServerError, DeadlineError: Nothing came through for longer than that.
        SessionError: The session was closed, or this run was used twice.
    """

    def __init__(
        self,
        pool: RequestPool,
        prepare: Callable[[Any], Operation],
        records: object,
        *,
        in_flight: int,
        allowed: float,
        patience: float,
        ordered: bool = False,
        stop_after_failures: int | None = None,
        dry_run: bool = False,
    ) -> None:
        for name, value in (("in_flight", in_flight), ("stop_after_failures", stop_after_failures)):
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(f"{name}: must be a whole number, 1 or more")
        self._pool = pool
        self._prepare = prepare
        self._source = open_source(records)
        self._in_flight = in_flight
        self._allowed = allowed
        self._patience = patience
        self._ordered = ordered
        self._stop_after_failures = stop_after_failures
        self._dry_run = dry_run

        self._loop = asyncio.get_running_loop()
        self._runner: asyncio.Task[None] | None = None
        self._crew: Crew
        self._submitted = 0
        self._open: dict[int, _Item] = {}
        self._latest: dict[Hashable, _Item] = {}  # by key: the last one read that has no result
        # People whose last record in this run is not saved, and where in the source that stood.
        self._lost: dict[str, int] = {}
        self._refusals = self._throttled = 0
        self._tally = Tally()
        self._fatal: Exception | None = None
        self._stopped = ""
        self._stopping = asyncio.Event()

        self._delivery: Delivery | None = None  # only where somebody iterates
        self._report: Report | None = None

    @property
    def report(self) -> Report:
        """What became of every record read.

        Raises:
            SessionError: The run has not ended.
        """
        if self._runner is None or not self._runner.done():
            raise SessionError("the run has no report before its end")
        if self._report is None:  # cancelled before its first step
            self._stop("cancelled")
            self._settle()
        assert self._report is not None
        return self._report

    def stop(self, reason: str = "stopped by its owner") -> None:
        """Read no more and begin nothing new. What is in flight is finished and delivered.

        Records that were read and not sent come back `not_sent`.
        """
        self._stop(reason)

    # -- the two ways to run

    def __await__(self) -> Generator[Any, None, Report]:
        return self._to_end().__await__()

    async def _to_end(self) -> Report:
        self._check_unused()
        # Awaiting the task itself: who cancels us cancels it, and we return after its end.
        await self._start()
        return self._conclude()

    async def __aenter__(self) -> Self:
        self._check_unused()
        room = self._in_flight * (ORDERED_PER_PLACE if self._ordered else 1)
        self._delivery = delivery = Delivery(room, self._ordered)
        self._start().add_done_callback(lambda _: delivery.close())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        if not self._runner.done():
            await self._cancel(self._runner)
        if error is None and not self._runner.cancelled():
            self._runner.result()

    async def _cancel(self, runner: asyncio.Task[None]) -> None:
        """Cancel the run and wait for its end, whoever cancels us meanwhile."""
        runner.cancel()
        again: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while not runner.done():
                try:
                    await asyncio.wait([runner])
                except asyncio.CancelledError as cancelled:  # a second time: no reason to leave
                    again = cancelled
        if again is not None:
            raise again

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemResult:
        if self._delivery is None:
            raise SessionError("results come inside `async with`; or await the run for its report")
        result = await self._delivery.get()
        if result is None:
            self._conclude()
            raise StopAsyncIteration
        return result

    def _check_unused(self) -> None:
        if self._runner is not None:
            raise SessionError("a run can be awaited or entered once; make a new one")

    def _start(self) -> asyncio.Task[None]:
        self._started, self._latency = self._loop.time(), self._pool.latency.snapshot()
        self._token_requests = self._pool.tokens.requests
        self._crew = Crew(self._in_flight, self._step)
        self._pool.on_close.add(self._session_closed)
        self._runner = self._loop.create_task(self._run())
        return self._runner

    def _conclude(self) -> Report:
        """Return the report of a run that has ended, or raise what ended it."""
        assert self._runner is not None
        if not self._runner.cancelled():
            self._runner.result()
        if isinstance(self._fatal, TimebackError):
            error = copy.copy(self._fatal)
            error.report = self.report
            raise error from self._fatal
        if self._fatal is not None:
            raise self._fatal
        if self._source.error is not None:
            raised = SourceError(f"the source raised {type(self._source.error).__name__}")
            raised.report = self.report
            raise raised from self._source.error
        return self.report

    def __del__(self) -> None:
        if getattr(self, "_runner", self) is None:
            warnings.warn(
                "a bulk run was made but never awaited: nothing was sent",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )

    # -- the run

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._source.start(group)
                self._crew.start(group)
        except asyncio.CancelledError:
            self._stop("cancelled")
            raise
        finally:
            self._settle()

    def _settle(self) -> None:
        """Give what a cancelled run leaves behind its results, and make the report."""
        self._pool.on_close.discard(self._session_closed)
        if self._source.error is not None and not self._stopped:
            self._stopped = f"the source raised {type(self._source.error).__name__}"
        self._abort_open()
        self._report = self._tally.report(
            submitted=self._submitted,
            throttled=self._throttled,
            token_requests=self._pool.tokens.requests - self._token_requests,
            elapsed=self._loop.time() - self._started,
            latency=self._pool.latency.latency(since=self._latency),
            dry_run=self._dry_run,
            stopped=self._stopped,
        )

    async def _step(self) -> bool:
        """Read one record and bring it to its result; return whether there was one."""
        if self._delivery is not None and not self._delivery.has_room.is_set():
            await self._crew.parked(self._delivery.has_room.wait())
        if isinstance(self._source, SyncSource):
            item = self._admitted(await self._source.read())
        else:
            item = await self._crew.parked(self._next())
        if item is None:
            return False
        operation = self._prepared(item)
        if operation is not None:
            for earlier in self._register(item, operation):
                await self._crew.parked(self._finished(earlier), hire=True)
            hindrance = self._hindrance(operation)
            if hindrance is None:
                await self._send(item, operation)
            else:
                self._finish(item, Outcome.NOT_SENT, hindrance)
        return True

    async def _next(self) -> _Item | None:
        return self._admitted(await self._source.read())

    def _admitted(self, record: object) -> _Item | None:
        if record is END:
            return None
        item = _Item(self._submitted, record, self._loop.time())
        self._open[item.index] = item
        self._submitted += 1
        return item

    def _prepared(self, item: _Item) -> Operation | None:
        """Return what is to be sent for a record, or None where it has its result already."""
        try:
            item.operation = operation = self._prepare(item.record)
        except Exception as error:
            if not isinstance(error, RecordError):  # a mapping of the caller's own raised it
                error = RecordError("", f"cannot be read ({type(error).__name__})")
            self._finish(item, Outcome.INVALID, error)
            return None
        if self._dry_run:
            self._finish(item, Outcome.NOT_SENT)
            return None
        return operation

    def _hindrance(self, operation: Operation) -> Exception | None:
        """Return why a record is not to be sent after all."""
        if operation.needs and self._lost:
            for field, person in zip(("studentId", "userId"), operation.needs, strict=True):
                if person in self._lost:
                    return RecordError(field, f"{person!r} was not saved in this run")
        return self._why_stopped() if self._stopping.is_set() else None

    async def _send(self, item: _Item, operation: Operation) -> None:
        item.call = call = Call(operation.request, self._allowed, outlasts_outages=True)
        try:
            response = await self._pool.send(call, self._pause)
        except Abandoned:
            self._finish(item, _outcome(call, ended=True), call.error or self._why_stopped())
        except Exception as error:
            is_fatal = self._is_fatal(call, error)
            self._finish(item, _outcome(call, ended=is_fatal), error)
            if is_fatal:
                self._stop(str(error), fatal=error)
            elif call.refused:
                self._refusals += 1
                if self._refusals == MAX_REFUSALS:
                    self._stop_refused(error)
        else:
            self._refusals = 0
            self._finish(item, operation.success, body=response.body)

    def _is_fatal(self, call: Call, error: Exception) -> bool:
        """Whether an error is not about this record, and the next one will meet it too."""
        if self._pool.down_for() > self._patience:
            return True
        if isinstance(error, AuthError):
            return error is not call.error  # there is no token at all
        if is_throttle(error):
            assert isinstance(error, ApiError)
            return (error.retry_after or 0) > self._patience
        if isinstance(error, ConnectError):
            return not error.retryable
        # An error we have no name for must not be mistaken for one record's fault.
        return isinstance(error, SessionError) or not isinstance(error, TimebackError)

    def _stop_refused(self, error: Exception) -> None:
        reason = f"{MAX_REFUSALS} records in a row were refused by a fresh token"
        code, status = getattr(error, "code", ""), getattr(error, "status", None)
        fatal = AuthError(reason, code, status, getattr(error, "request_id", ""))
        self._stop(str(fatal), fatal=fatal)

    def _stop(self, reason: str, fatal: Exception | None = None) -> None:
        """Read no more, begin nothing new; what is in flight is finished."""
        if fatal is not None and self._fatal is None:
            self._stopped, self._fatal = reason, fatal
        if self._stopping.is_set():
            return
        self._stopped = reason
        self._source.stop()
        self._stopping.set()
        for item in self._open.values():
            if item.call is not None:
                item.call.abandon()

    def _session_closed(self) -> None:
        error = SessionError("the session was closed")
        self._stop(str(error), fatal=error)

    def _why_stopped(self) -> Exception:
        return self._fatal or TimebackError(f"the run was stopped: {self._stopped}")

    # -- waiting

    async def _pause(self, delay: float) -> None:
        """Wait between two attempts of one record, unless the run is stopped."""
        if await self._crew.parked(self._stops_within(delay), hire=True):
            raise Abandoned

    async def _stops_within(self, delay: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), delay)
        except TimeoutError:
            return False
        return True

    def _register(self, item: _Item, operation: Operation) -> list[_Item]:
        """Return the records read earlier that have to end before this one may be sent."""
        latest, key = self._latest, operation.key
        needs = operation.needs
        earlier = [latest[person] for person in needs if person in latest] if needs else []
        if key is not None:
            if key in latest:
                earlier.append(latest[key])
            latest[key] = item
        return earlier

    async def _finished(self, item: _Item) -> None:
        if item.index in self._open:
            if item.done is None:
                item.done = self._loop.create_future()
            await asyncio.shield(item.done)

    # -- results

    def _finish(
        self,
        item: _Item,
        outcome: Outcome,
        error: Exception | None = None,
        body: bytes = b"",
    ) -> None:
        """Give a record its one result."""
        del self._open[item.index]
        operation, call = item.operation, item.call
        if operation is None:
            kind, sourced_id = identify(item.record)
        else:
            kind, sourced_id = operation.kind, operation.sourced_id
            if operation.key is not None and self._latest.get(operation.key) is item:
                del self._latest[operation.key]
        if kind != "agent" and sourced_id and (operation is None or operation.key is not None):
            if error is not None:
                self._lost[sourced_id] = max(item.index, self._lost.get(sourced_id, 0))
            elif self._lost and self._lost.get(sourced_id, item.index) < item.index:
                del self._lost[sourced_id]
        attempts = 0
        if call is not None:
            attempts = call.attempts
            self._throttled += call.throttles
        self._tally.count(outcome, attempts)
        if item.done is not None and not item.done.done():
            item.done.set_result(None)
        if error is None and self._delivery is None:
            return  # counted, and nobody will look at it
        result = ItemResult(
            index=item.index,
            kind=kind,
            sourced_id=sourced_id,
            outcome=outcome,
            error=error,
            status=call.status if call else None,
            attempts=attempts,
            elapsed=self._loop.time() - item.started,
            request_id=call.request_id if call else "",
            _body=body,
            _decode=operation.decode if operation and outcome is operation.success else None,
        )
        if error is not None:
            self._tally.keep(result)
            if self._tally.failed == self._stop_after_failures:
                self._stop(f"{self._tally.failed} records failed")
        if self._delivery is not None:
            self._delivery.put(result)

    def _abort_open(self) -> None:
        """Give a result to every record that a cancelled run leaves without one."""
        for record in self._source.unclaimed:
            self._admitted(record)
        for item in list(self._open.values()):
            outcome = _outcome(item.call, ended=True)
            if outcome is Outcome.UNKNOWN:
                why: Exception = TransportError("cancelled before the answer")
            else:
                why = (item.call and item.call.error) or self._why_stopped()
            self._finish(item, outcome, why)


def _outcome(call: Call | None, ended: bool) -> Outcome:
    """Return how a call ended that did not succeed; `ended`: because the whole run did."""
    if call is not None and call.unanswered:
        return Outcome.UNKNOWN
    if ended and (call is None or call.status is None):
        return Outcome.NOT_SENT
    return Outcome.FAILED
