"""Send many records, and return one result for each.

The workers of a `WorkerPool` pull records from the source, so memory follows the number in flight,
not the number of records. This module has what a worker does with a record; `order` decides what
waits for what, and `ending` decides what ends a run. It is one concept in more than 300 lines,
since a run can be used in two ways: awaited, and iterated over.
"""

import asyncio
import copy
import warnings
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self

from .._flow.call import Abandoned, Call
from .._flow.pool import RequestPool
from .._frames import without_frames
from .._report import Report, Tally
from .._results import ItemResult, Outcome
from .._tasks import to_its_end
from .._wire.codec import Gone, Operation, identify
from ..errors import (
    ConfigError,
    RecordError,
    SessionError,
    SourceError,
    TimebackError,
    TransportError,
)
from .delivery import Delivery
from .ending import Ending
from .item import Item
from .order import Order
from .source import END, AsyncSource, SyncSource, open_source
from .workers import WorkerPool

__all__ = ["Bulk", "outcome_of"]

# Other tasks get a turn after this many records: reading an iterable never waits.
YIELD_EVERY = 64
# With `ordered`, at most this many results per slot wait for an earlier one.
ORDERED_PER_SLOT = 4
# The last answer of a call, if the server has not looked at its record: the token was rejected, or
# it had to wait. (None: no connection. A 503 that asks for no wait makes a call `doubtful`.)
TURNED_AWAY = (None, 401, 429, 503)


class Bulk:
    """Run over many records: `await` it for the `Report`, or iterate over its results.

        report = await timeback.upsert_many(students)

        async with timeback.upsert_many(students) as results:
            async for result in results:
                ...

    Leaving the block early cancels the requests in flight, and no task is left. Memory follows
    the number in flight. It also holds the ids of people who were not saved, for the links that
    name them, and the first 1,000 failures.

    A generator given as the source is closed by the end of the run; any other iterator is left as
    it is. The run waits for a read that is under way: asyncio cannot end a source that ignores its
    cancellation. A warning is logged after 10 s.

    Raises (from `await`, or from the iteration after the last result):
        SourceError: The source raised an exception. The records read before it are finished.
        AuthError: There was no way to get a token, or three records in a row were rejected with a
            token that no record was accepted with.
        ConnectError: TLS failed for good, or the name of the host stayed unknown for 30 s.
        RateLimitError, ServerError: The server asked for a longer wait than `retry.patience`.
        TransportError, ServerError, DeadlineError: Nothing has come through for longer than that.
        SessionError: The session was closed, or the run is used a second time.

    The `report` of these errors is the report of the run, except when a run is used a second time.
    Any other exception is one that a `transport` of your own raised.
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
        self._ordered = ordered
        self._stop_after_failures = stop_after_failures
        self._dry_run = dry_run

        self._loop = asyncio.get_running_loop()
        self._runner: asyncio.Task[None] | None = None
        self._workers: WorkerPool
        self._submitted = self._throttled = 0
        self._open: dict[int, Item] = {}
        self._order = Order()
        self._ending = Ending(patience, pool.down_for)
        self._tally = Tally()
        self._delivery: Delivery | None = None  # only in `async with`
        self._report: Report | None = None
        self._ended: Callable[[Report], None] = lambda report: None

    @property
    def report(self) -> Report:
        """What became of all records read. It is there once the run has ended in any way.

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
        """Read no more records, and send no more requests. Those in flight are finished.

        A record that was read and not sent gets the outcome `not_sent`.

        Args:
            reason: The `stopped` of the report.
        """
        self._stop(reason)

    # -- the two ways to run

    def __await__(self) -> Generator[Any, None, Report]:
        return self._to_end().__await__()

    async def _to_end(self) -> Report:
        self._check_unused()
        # The task itself is awaited: a cancelled caller cancels it, and returns after its end.
        await self._start()
        return self._conclude()

    async def __aenter__(self) -> Self:
        self._check_unused()
        room = self._in_flight * (ORDERED_PER_SLOT if self._ordered else 1)
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
            self._runner.cancel()
            await to_its_end(self._runner)
        if error is None and not self._runner.cancelled():
            self._runner.result()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemResult:
        delivery = self._delivery
        if delivery is None:
            raise SessionError("the run was not entered: use `async with`, or await its report")
        while (result := delivery.take()) is None:
            if not await delivery.wait():
                self._conclude()
                raise StopAsyncIteration
        return result

    def _check_unused(self) -> None:
        if self._runner is not None:
            raise SessionError("a run can be awaited or entered once; create a new one")

    def _start(self) -> asyncio.Task[None]:
        self._started, self._latency = self._loop.time(), self._pool.latency.snapshot()
        self._token_requests = self._pool.tokens.requests
        # Not in `__init__`: it refers to this run, and that cycle would delay `__del__`'s warning.
        self._workers = WorkerPool(self._in_flight, self._step)
        context = None
        if (watched := self._pool.watched) is not None:
            context, self._ended = watched.run()
        self._runner = self._loop.create_task(self._run(), context=context)
        return self._runner

    def _conclude(self) -> Report:
        """Return the report of a run that has ended, or raise the error that ended it."""
        assert self._runner is not None
        if not self._runner.cancelled():
            self._runner.result()
        fatal = self._ending.fatal
        if isinstance(fatal, TimebackError):
            error = copy.copy(fatal)
            error.report = self.report
            raise error from fatal
        if fatal is not None:
            raise fatal
        if self._source.error is not None:
            raised = SourceError(f"the source raised {type(self._source.error).__name__}")
            raised.report = self.report
            raise raised from self._source.error
        return self.report

    def __del__(self) -> None:
        if getattr(self, "_runner", self) is None:
            warnings.warn(
                "a bulk run was created but never awaited: nothing was sent",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )

    # -- the run

    async def _run(self) -> None:
        self._pool.on_close.add(self._session_closed)
        try:
            self._source.start()
            try:
                async with asyncio.TaskGroup() as group:
                    self._workers.start(group)
            finally:
                await self._source.aclose()
        except asyncio.CancelledError:
            self._stop("cancelled")
            raise
        finally:
            self._pool.on_close.discard(self._session_closed)
            self._settle()

    def _settle(self) -> None:
        """Give a result to each record that a cancelled run leaves open, and build the report."""
        if self._source.error is not None and not self._ending.reason:
            self._ending.reason = f"the source raised {type(self._source.error).__name__}"
        self._abort_open()
        self._report = self._tally.report(
            submitted=self._submitted,
            throttled=self._throttled,
            token_requests=self._pool.tokens.requests - self._token_requests,
            elapsed=self._loop.time() - self._started,
            latency=self._pool.latency.latency(since=self._latency),
            dry_run=self._dry_run,
            stopped=self._ending.reason,
        )
        self._ended(self._report)

    async def _step(self) -> bool:
        """Read one record and bring it to its result; return whether there was a record.

        The steps:
        - wait until there is room for results
        - read, check and encode a record
        - wait for the earlier records that have to end before it
        - send it, unless the run is ending, or a person of the link was not saved
        """
        if self._delivery is not None and self._delivery.is_full:
            await self._workers.without_slot(self._delivery.has_room.wait())
        source = self._source
        if isinstance(source, SyncSource):
            item = self._entered(source.read())
        else:
            item = await self._workers.without_slot(self._read(source))
        if item is None:
            return False
        if not (item.index + 1) % YIELD_EVERY:
            await asyncio.sleep(0)
        operation = item.operation
        if operation is None or self._dry_run:
            return True
        if item.earlier:
            for earlier in item.earlier:
                await self._workers.without_slot(self._finished(earlier), replace=True)
            item.earlier = ()
        hindrance = self._order.hindrance(item, operation) if operation.needs else None
        if hindrance is not None or self._ending.begun.is_set():
            self._finish(item, Outcome.NOT_SENT, hindrance or self._ending.why())
            return True
        item.call = call = Call(operation.request, self._allowed)
        try:
            response = await self._pool.send(call, self._pause)
        except Exception as error:
            self._fail(item, call, error)
        else:
            self._ending.rejections = 0
            self._finish(item, operation.success, None, response.body)
        return True

    async def _read(self, source: AsyncSource) -> Item | None:
        return self._entered(await source.read())

    def _entered(self, record: object) -> Item | None:
        """Find out what to send for a record, before the next one is read, and give it its place.

        A record that is not sent gets its result already. A record may raise anything, a
        `CancelledError` of its own as well: this task cannot be cancelled here, since nothing
        waits.
        """
        if record is END:
            return None
        item = self._admitted(record)
        try:
            item.operation = operation = self._prepare(record)
        except Gone:
            self._finish(item, Outcome.DELETED)
        except RecordError as error:
            self._finish(item, Outcome.INVALID, error)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            unreadable = RecordError("", f"cannot be read ({type(error).__name__})")
            self._finish(item, Outcome.INVALID, unreadable)
        else:
            if self._dry_run:
                self._finish(item, Outcome.NOT_SENT)
            else:
                self._order.enter(item, operation)
        return item

    def _admitted(self, record: object) -> Item:
        item = Item(self._submitted, record, self._loop.time())
        self._open[item.index] = item
        self._submitted += 1
        return item

    def _fail(self, item: Item, call: Call, error: Exception) -> None:
        """Give a record that was not saved its result, and end the run if there is a reason."""
        if isinstance(error, Abandoned):
            self._finish(item, outcome_of(call, ended=True), call.error or self._ending.why())
            return
        fatal = self._ending.cause(call, error)
        self._finish(item, outcome_of(call, ended=fatal is error), error)
        if fatal is not None:
            self._stop(str(fatal), fatal)

    def _stop(self, reason: str, fatal: Exception | None = None) -> None:
        """End the run: read no more, begin nothing new, finish what is in flight."""
        if self._ending.begin(reason, fatal):
            self._source.stop()
            for item in self._open.values():
                if item.call is not None:
                    item.call.abandon()

    def _session_closed(self) -> None:
        error = SessionError("the session was closed")
        self._stop(str(error), error)

    # -- waiting

    async def _pause(self, delay: float) -> None:
        """Wait between two attempts of one record, unless the run is stopped meanwhile."""
        if await self._workers.without_slot(self._stops_within(delay), replace=True):
            raise Abandoned

    async def _stops_within(self, delay: float) -> bool:
        # Not `wait_for`: before Python 3.12 it swallows a cancellation that comes with a stop.
        try:
            async with asyncio.timeout(delay):
                await self._ending.begun.wait()
        except TimeoutError:
            return False
        return True

    async def _finished(self, item: Item) -> None:
        if item.index in self._open:
            if item.done is None:
                item.done = self._loop.create_future()
            await asyncio.shield(item.done)

    # -- results

    def _finish(
        self,
        item: Item,
        outcome: Outcome,
        error: Exception | None = None,
        body: bytes = b"",
    ) -> None:
        """Give a record its one result."""
        del self._open[item.index]
        operation, call = item.operation, item.call
        item.is_ok = error is None
        if operation is None:
            kind, sourced_id = identify(item.record)
        else:
            kind, sourced_id = operation.kind, operation.sourced_id
        self._order.end(item, kind, sourced_id)
        attempts = 0
        if call is not None:
            attempts = call.attempts
            self._throttled += call.throttles
        self._tally.count(outcome, attempts)
        if item.done is not None and not item.done.done():
            item.done.set_result(None)
        watched = self._pool.watched
        if error is None and self._delivery is None and watched is None:
            return  # it is counted, and nobody reads it
        if isinstance(error, TimebackError):  # any other error is raised, and needs its frames
            without_frames(error)
        request_id = ""
        if call is not None:
            # The server's own id takes as long to find as all the rest of a result.
            is_shown_alone = error is None and self._delivery is None
            request_id = call.sent_as if is_shown_alone else call.request_id
        result = ItemResult(
            index=item.index,
            kind=kind,
            sourced_id=sourced_id,
            outcome=outcome,
            error=error,
            status=call.status if call else None,
            attempts=attempts,
            elapsed=self._loop.time() - item.started,
            request_id=request_id,
            _body=body,
            _decode=operation.decode if operation and outcome is operation.success else None,
        )
        if watched is not None:
            watched.result(result)
        if error is not None:
            self._tally.keep(result)
            if self._tally.failed == self._stop_after_failures:
                self._stop(f"{self._tally.failed} records failed")
        if self._delivery is not None:
            self._delivery.put(result)

    def _abort_open(self) -> None:
        """Give a result to every record that has none when the run ends."""
        for record in self._source.unclaimed:
            self._admitted(record)
        for item in list(self._open.values()):
            outcome = outcome_of(item.call, ended=True)
            if outcome is Outcome.UNKNOWN:
                why: Exception = TransportError("cancelled before the answer")
            else:
                why = (item.call and item.call.error) or self._ending.why()
            self._finish(item, outcome, why)


def outcome_of(call: Call | None, ended: bool) -> Outcome:
    """Return the outcome of a call that did not succeed.

    The cases, in the order of the code:
    - the server may have acted on an attempt that was not answered
    - the run ended (`ended`) before the server looked at the record: it was not sent, or every
      attempt was turned away
    - any other failure
    """
    if call is not None and call.unanswered:
        return Outcome.UNKNOWN
    if ended and (call is None or (call.status in TURNED_AWAY and not call.doubtful)):
        return Outcome.NOT_SENT
    return Outcome.FAILED
