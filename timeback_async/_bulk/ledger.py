"""Match each result of a bulk run to its entry, so that every entry gets exactly one result.

It is for code that makes records from something else, such as a line of a file or a planned
change, and has to report what became of that.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Generic, TypeVar

from .._report import Report
from .._results import ItemResult, Outcome
from ..errors import SourceError, TimebackError, TransportError
from .run import Bulk
from .source import aclose_generator, close_generator

__all__ = ["Ledger"]

T = TypeVar("T")


class Ledger(Generic[T]):
    """The entries of one bulk run that have been read and have no result yet.

    Args:
        take: Called with each entry that was read and its result: exactly once, however the run
            ends.
    """

    def __init__(self, take: Callable[[T, ItemResult], None]) -> None:
        self._take = take
        self._open: dict[int, T] = {}

    def records(
        self, entries: Iterable[tuple[T, object]] | AsyncIterable[tuple[T, object]]
    ) -> Iterable[object] | AsyncIterable[object]:
        """Return the record of each entry, as the source of the run: async if the entries are."""
        return self._await(entries) if isinstance(entries, AsyncIterable) else self._each(entries)

    def _each(self, entries: Iterable[tuple[T, object]]) -> Iterator[object]:
        try:
            for index, (entry, record) in enumerate(entries):
                self._open[index] = entry
                yield record
        finally:
            close_generator(entries)

    async def _await(self, entries: AsyncIterable[tuple[T, object]]) -> AsyncIterator[object]:
        index = 0
        try:
            async for entry, record in entries:
                self._open[index] = entry
                index += 1
                yield record
        finally:
            await aclose_generator(entries)

    async def settle(
        self, bulk: Bulk, after_each: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Carry out a run and take its results.

        Args:
            bulk: A run over the records of this ledger that has not begun.
            after_each: Awaited after each result, for example to slow the run down.

        Raises:
            TimebackError: The error that ended the run; see `Bulk`. An error of ours that the
                entries raised is raised as it is.
            CancelledError: This task was cancelled. An entry whose result was not delivered, and
                is not in the report either, is `unknown`.
        """
        try:
            async with bulk:
                async for result in bulk:
                    self._take(self._open.pop(result.index), result)
                    if after_each is not None:
                        await after_each()
        except SourceError as error:
            # The entries ask the server themselves, and its answer is what ended the run.
            if isinstance(error.__cause__, TimebackError):
                raise error.__cause__ from None
            raise
        finally:
            if self._open:
                self._take_undelivered(bulk.report)

    def _take_undelivered(self, report: Report) -> None:
        """Take the entries whose results were not delivered.

        In doubt the outcome is `unknown`, so that the entry is sent again.
        """
        known = {result.index: result for result in report.failures}
        for index in sorted(self._open):
            doubtful = ItemResult(
                index=index,
                kind="",
                sourced_id="",
                outcome=Outcome.UNKNOWN,
                error=TransportError("cancelled before the answer"),
            )
            self._take(self._open.pop(index), known.get(index, doubtful))
