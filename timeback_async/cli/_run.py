"""One bulk run as a command: progress, Ctrl-C, and a result for every record."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from itertools import islice
from typing import Generic, TypeVar

from .._bulk.ledger import Ledger
from .._bulk.run import Bulk
from .._report import Report
from .._results import ItemResult, Outcome
from .._session import TimebackSession
from .._trace import Trace
from ..errors import SourceError, TimebackError
from ._progress import Meter, Show

__all__ = ["Run"]

P = TypeVar("P")
Records = Iterable[tuple[P, object]] | AsyncIterable[tuple[P, object]]


class Run(Generic[P]):
    """Sends the records of a command, once.

    Args:
        session: The session.
        on_result: Called with the place of each record that was read, and its result.
        trace: Where to note rate, window and throttling over time.

    Attributes:
        error: The error that ended the run early, or None.
        interrupted: Whether Ctrl-C or SIGTERM ended the run.
    """

    def __init__(
        self,
        session: TimebackSession,
        on_result: Callable[[P, ItemResult], None] = lambda place, result: None,
        trace: Trace | None = None,
    ) -> None:
        self._session = session
        self._on_result = on_result
        self._bulk: Bulk | None = None
        self.trace = trace or Trace()
        self.error: TimebackError | None = None
        self.interrupted = False

    async def __call__(
        self, records: Records[P], *, total: int, show: Show = Show.NOWHERE, dry_run: bool = False
    ) -> Report:
        """Send everything, and return the report.

        Args:
            records: Each place with its record.
            total: How many there are.
            show: Where to show the progress.
            dry_run: Whether to check everything and send nothing.
        """
        session, done = self._session, 0
        async with Meter.shown({"records": total}, show, session) as meter:

            def take(place: P, result: ItemResult) -> None:
                nonlocal done
                done += 1
                meter.count("records", result)
                self.trace.note(done, session.statistics)
                self._on_result(place, result)

            ledger = Ledger(take)
            self._bulk = bulk = session.upsert_many(ledger.records(records), dry_run=dry_run)
            if self.interrupted:
                bulk.stop("interrupted")
            try:
                await ledger.settle(bulk)
            except TimebackError as error:
                self.error = error
            except asyncio.CancelledError:  # a second Ctrl-C; the report shows it
                self.interrupted = True
            self.trace.end(done, session.statistics)
        return bulk.report

    def stop(self) -> bool:
        """Read no more; what is in flight is finished. Return whether anything has begun."""
        self.interrupted = True
        if self._bulk is not None:
            self._bulk.stop("interrupted")
        return self._bulk is not None

    def unread(self, places: Iterable[P], report: Report) -> Iterable[tuple[P, ItemResult]]:
        """Yield the records that were never read, each with a result that says so.

        Args:
            places: The places of all records, in their order.
            report: The report of the run.
        """
        is_early = self.interrupted or self.error is not None
        if not is_early or isinstance(self.error, SourceError):  # whose rest cannot be read
            return
        why = self.error or TimebackError("interrupted before its turn")
        for place in islice(places, report.submitted, None):
            unread = ItemResult(
                index=0, kind="", sourced_id="", outcome=Outcome.NOT_SENT, error=why
            )
            yield place, unread
