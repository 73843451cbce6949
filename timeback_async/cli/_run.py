"""One bulk run as a command: progress, Ctrl-C, failures to a file, exit code."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterable
from itertools import islice
from typing import Generic, Protocol, TypeVar

from .._bulk.ledger import Ledger
from .._bulk.run import Bulk
from .._report import MOST_FOR_ONE_REASON, Report
from .._results import ItemResult, Outcome
from .._session import TimebackSession
from .._trace import Trace
from ..errors import SourceError, TimebackError
from ._exit import EXIT
from ._progress import Meter
from ._screen import MAX_FAILURE_ROWS, FailureRow

__all__ = ["Place", "Run"]


class Place(Protocol):
    """Where a record stands in the input."""

    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...


P = TypeVar("P", bound=Place)
Records = Iterable[tuple[P, object]] | AsyncIterable[tuple[P, object]]


class Run(Generic[P]):
    """Sends the records of a command, once, and collects what the command prints about them.

    Attributes:
        report: The report of the bulk run; None before the run.
        failures: Some of the records that were not saved, by index in the input: the first 20,
            and at most 3 for one reason.
        failed: How many records were not saved, of those that were read.
        unread: How many records were never read, because the run ended early.
        error: The error that ended the run early, or None.
        interrupted: Whether Ctrl-C or SIGTERM ended the run.
        trace: Rate, window and throttling over time.
    """

    trace: Trace

    def __init__(
        self,
        session: TimebackSession,
        on_failure: Callable[[P, ItemResult], None] = lambda place, result: None,
        on_each: Callable[[P, ItemResult], None] = lambda place, result: None,
    ) -> None:
        self._session = session
        self._on_failure, self._on_each = on_failure, on_each
        self._bulk: Bulk | None = None
        self.report: Report | None = None
        self.failures: dict[int, FailureRow] = {}
        self.failed = self.unread = 0
        self._reasons: Counter[str] = Counter()
        self.error: TimebackError | None = None
        self.interrupted = False

    async def __call__(
        self,
        places: Callable[[], Iterable[P]],
        records: Records[P],
        *,
        total: int | None = None,
        visible: bool = True,
        dry_run: bool = False,
    ) -> int:
        """Send everything and return the exit code.

        Args:
            places: Returns the places of all records, in their order, each time it is called.
            records: Each place with its record.
            total: How many there are, if that is known.
            visible: Whether to show a progress bar.
            dry_run: Whether to check everything and send nothing.
        """
        with Meter.shown(total, visible, self._session.statistics) as meter:
            self.trace = meter.trace

            def take(place: P, result: ItemResult) -> None:
                meter.count(result)
                self._on_each(place, result)
                if result.error is not None:
                    self._take(place, result)

            ledger = Ledger(take)
            bulk = self._session.upsert_many(ledger.records(records), dry_run=dry_run)

            self._bulk = bulk
            if self.interrupted:
                bulk.stop("interrupted")
            try:
                await ledger.settle(bulk)
            except TimebackError as error:
                self.error = error
            except asyncio.CancelledError:  # a second Ctrl-C; the report shows it
                self.interrupted = True
            self.report = bulk.report
            is_early = self.interrupted or self.error is not None
            if is_early and not isinstance(self.error, SourceError):  # whose rest cannot be read
                self._take_unread(islice(places(), bulk.report.submitted, None))
        return self._exit_code(self.report)

    def stop(self) -> None:
        """Read no more; what is in flight is finished. For the first Ctrl-C."""
        self.interrupted = True
        if self._bulk is not None:
            self._bulk.stop("interrupted")

    def _take(self, place: P, result: ItemResult) -> None:
        self.failed += 1
        reason = str(result.error)
        has_room = len(self.failures) < MAX_FAILURE_ROWS
        if has_room and self._reasons[reason] < MOST_FOR_ONE_REASON:
            self._reasons[reason] += 1
            where = f"{place.file}:{place.line}"
            row = FailureRow(where, result.kind, result.sourced_id, result.outcome, reason)
            self.failures[result.index] = row
        self._on_failure(place, result)

    def _take_unread(self, places: Iterable[P]) -> None:
        """Count the records that were never read, and hand them on as failures."""
        why = self.error or TimebackError("interrupted before its turn")
        for place in places:
            self.unread += 1
            unread = ItemResult(
                index=0, kind="", sourced_id="", outcome=Outcome.NOT_SENT, error=why
            )
            self._on_each(place, unread)
            self._on_failure(place, unread)

    def _exit_code(self, report: Report) -> int:
        if self.interrupted:
            return EXIT.INTERRUPTED
        if self.error is not None:
            return EXIT.PARTIAL if report.attempts else EXIT.NOTHING_SENT
        return EXIT.OK if report.ok else EXIT.PARTIAL
