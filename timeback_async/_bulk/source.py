"""Read records one at a time from an iterable or an async iterable of the caller.

A record is read when a worker asks for it, never earlier.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["END", "AsyncSource", "SyncSource", "open_source"]

END: Any = object()
# Other tasks get a turn after this many reads, since reading an iterable never waits.
YIELD_EVERY = 64


class SyncSource:
    """Reads an iterable.

    Attributes:
        is_sync: Whether reading never waits, so that a worker keeps its slot meanwhile.
        ended: Whether there is nothing more to read.
        error: The exception that the iterable raised, or None.
        unclaimed: Records that were read for a worker that was cancelled before it got them.
    """

    is_sync = True

    def __init__(self, records: Iterable[object]) -> None:
        self._records = records
        self._iterator: Any = None
        self._reads = 0
        self.ended = False
        self.error: BaseException | None = None
        self.unclaimed: list[object] = []

    def start(self, group: asyncio.TaskGroup) -> None:
        """Do nothing: `read` does the reading."""

    async def read(self) -> object:
        """Return the next record, or END."""
        self._reads += 1
        if self._reads % YIELD_EVERY == 0:
            await asyncio.sleep(0)
        if self.ended:
            return END
        try:
            if self._iterator is None:
                self._iterator = iter(self._records)
            return next(self._iterator)
        except StopIteration:
            self.ended = True
        except (Exception, asyncio.CancelledError) as error:  # nothing here is cancelled
            self.ended, self.error = True, error
        return END

    def stop(self) -> None:
        """Read no more."""
        self.ended = True


class AsyncSource:
    """Reads an async iterable in a task of its own, since only one read at a time is allowed.

    Attributes:
        is_sync: Whether reading never waits, so that a worker keeps its slot meanwhile.
        ended: Whether there is nothing more to read.
        error: The exception that the iterable raised, or None.
        unclaimed: Records that were read for a worker that was cancelled before it got them.
    """

    is_sync = False

    def __init__(self, records: AsyncIterable[object]) -> None:
        self._records = records
        self._asking: deque[asyncio.Future[object]] = deque()
        self._asked = asyncio.Event()
        self._feeder: asyncio.Task[None] | None = None
        self.ended = False
        self.error: BaseException | None = None
        self.unclaimed: list[object] = []

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start the reading task."""
        self._feeder = group.create_task(self._feed())

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
        """Read no more, and cancel a read that is under way."""
        if self._feeder is not None:
            self._feeder.cancel()

    async def _feed(self) -> None:
        try:
            iterator = aiter(self._records)
            while True:
                await self._asked.wait()
                record = await anext(iterator)
                while self._asking and self._asking[0].done():
                    self._asking.popleft()
                if self._asking:
                    self._asking.popleft().set_result(record)
                else:
                    self.unclaimed.append(record)
                if not self._asking:
                    self._asked.clear()
        except StopAsyncIteration:
            pass
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.error = error  # raised by the iterable: this task was not cancelled
        except Exception as error:
            self.error = error
        finally:
            self.ended = True
            for answer in self._asking:
                if not answer.done():
                    answer.set_result(END)


def open_source(records: object) -> SyncSource | AsyncSource:
    """Return the source for an iterable or async iterable of records.

    Raises:
        TypeError: `records` is neither, or is a single record.
    """
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
