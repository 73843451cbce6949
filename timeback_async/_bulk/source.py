"""Read records one at a time from an iterable or an async iterable of the caller.

A record is read when a worker asks for it, never earlier. A generator is closed when the run needs
no more of it, so that its `finally` is run. Any other iterator, such as an open file, is left as it
is: its owner may go on with it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping
from typing import Any

import msgspec

from .._tables import is_table
from .._tasks import to_its_end

__all__ = [
    "END",
    "AsyncSource",
    "SyncSource",
    "aclose_generator",
    "close_generator",
    "open_source",
]

log = logging.getLogger("timeback_async.bulk")

END: Any = object()
# Warn when an async source has not ended this many seconds after it was cancelled.
SLOW_TO_END = 10.0


class SyncSource:
    """Reads an iterable, which never waits.

    Attributes:
        ended: Whether no more is read.
        error: The exception that the iterable raised, or None.
        unclaimed: Records that were read for a worker that was cancelled before it got them.
    """

    def __init__(self, records: Iterable[object]) -> None:
        self._records: Iterable[object] = records
        self._iterator: Any = None
        self.ended = False
        self.error: BaseException | None = None
        self.unclaimed: list[object] = []

    def start(self) -> None:
        """Do nothing: `read` does the reading."""

    def read(self) -> object:
        """Return the next record, or END."""
        if self.ended:
            return END
        try:
            if self._iterator is None:
                self._iterator = iter(self._records)
            return next(self._iterator)
        except StopIteration:
            self.ended = True
        except BaseException as error:  # a CancelledError is the iterable's own: nothing waits here
            self.ended, self.error = True, error
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        return END

    def stop(self) -> None:
        """Read no more."""
        self.ended = True

    async def aclose(self) -> None:
        """Close a generator, and keep nothing of the caller's. Its error is kept as `error`."""
        iterator = self._records if self._iterator is None else self._iterator
        self.ended, self._records, self._iterator = True, (), None
        try:
            close_generator(iterator)
        except Exception as error:
            self.error = self.error or error


class AsyncSource:
    """Reads an async iterable in a task of its own, since only one read at a time is allowed.

    Attributes:
        ended: Whether no more is read, once the read that is under way has ended.
        error: The exception that the iterable raised, or None.
        unclaimed: Records that were read for a worker that was cancelled before it got them.
    """

    def __init__(self, records: AsyncIterable[object]) -> None:
        self._records: Any = records
        self._asking: deque[asyncio.Future[object]] = deque()
        self._asked = asyncio.Event()
        self._feeder: asyncio.Task[None] | None = None
        self._is_reading = False
        self._alarm: asyncio.TimerHandle | None = None
        self.ended = False
        self.error: BaseException | None = None
        self.unclaimed: list[object] = []

    def start(self) -> None:
        """Start the reading task. It has to be awaited with `aclose`."""
        self._feeder = asyncio.get_running_loop().create_task(self._feed())

    async def read(self) -> object:
        """Return the next record, or END."""
        if self.ended:
            return END
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._asking.append(answer)
        self._asked.set()
        try:
            return await answer
        except asyncio.CancelledError:
            if not answer.cancelled() and answer.result() is not END:
                self.unclaimed.append(answer.result())
            raise

    def stop(self) -> None:
        """Read no more, and cancel a read that is under way.

        A source that ignores its cancellation is waited for all the same: asyncio cannot end a task
        against its will. When that takes long, it is logged.
        """
        if self.ended:
            return
        self.ended = True
        self._asked.set()
        feeder = self._feeder
        if feeder is not None:
            self._alarm = asyncio.get_running_loop().call_later(SLOW_TO_END, _warn)
            # A source that stops the run itself is not waiting, and ends its read.
            if self._is_reading and feeder is not asyncio.current_task():
                feeder.cancel()

    async def _feed(self) -> None:
        iterator, self._records = self._records, None
        try:
            iterator = iterator if self.ended else aiter(iterator)
            while not self.ended:
                if self._asking:
                    self._is_reading = True
                    record = await anext(iterator)
                    self._is_reading = False
                    self._hand_over(record)
                else:
                    self._asked.clear()
                    await self._asked.wait()
        except StopAsyncIteration:
            pass
        except BaseException as error:
            # A stop cancels a read. Any other cancellation is the source's own: it has not ended.
            if not (self.ended and isinstance(error, asyncio.CancelledError)):
                self.error = error
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        finally:
            self._is_reading = False
            self._answer_the_end()
            await self._close(iterator)

    def _hand_over(self, record: object) -> None:
        """Give a record to the first reader that still waits."""
        while self._asking:
            answer = self._asking.popleft()
            if not answer.done():
                answer.set_result(record)
                return
        self.unclaimed.append(record)

    def _answer_the_end(self) -> None:
        self.ended = True
        for answer in self._asking:
            if not answer.done():
                answer.set_result(END)
        self._asking.clear()

    async def _close(self, iterator: object) -> None:
        """Close a generator, here and not in another task, which it might not work in."""
        try:
            await aclose_generator(iterator)
        except Exception as error:
            self.error = self.error or error
        finally:
            if self._alarm is not None:
                self._alarm.cancel()

    async def aclose(self) -> None:
        """Read no more, and wait until the reading task has closed a generator and ended.

        Raises:
            CancelledError: The wait was cancelled. The task has ended all the same.
        """
        self.stop()
        assert self._feeder is not None
        await to_its_end(self._feeder)


def close_generator(iterator: object) -> None:
    """Close a generator that is not needed any more; leave any other iterator to its owner."""
    if isinstance(iterator, Generator):
        iterator.close()


async def aclose_generator(iterator: object) -> None:
    """Do the same for an async generator."""
    if isinstance(iterator, AsyncGenerator):
        await iterator.aclose()


def open_source(records: object) -> SyncSource | AsyncSource:
    """Return the source for an iterable or async iterable of records.

    Raises:
        TypeError: `records` is neither, or is a single record, or a table.
    """
    if is_table(records):
        raise TypeError(
            f"a {type(records).__name__} is a table, whose rows are no records; "
            'pass records_from(table, "student"), or "user" or "agent"'
        )
    if isinstance(records, AsyncIterable):
        return AsyncSource(records)
    if isinstance(records, Iterable) and not isinstance(
        records, str | bytes | Mapping | msgspec.Struct
    ):
        return SyncSource(records)
    raise TypeError(
        "records must be an iterable or async iterable of records, "
        f"not a {type(records).__name__}; wrap a single record in a list"
    )


def _warn() -> None:
    log.warning(
        "a bulk run was stopped %g s ago and waits for its source, which ignores its cancellation",
        SLOW_TO_END,
    )
