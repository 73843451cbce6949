"""One bulk run as a command: progress, Ctrl-C, failures to a file, exit code."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._report import Report
from .._results import ItemResult, Outcome
from .._session import TimebackSession
from .._trace import Trace
from ..errors import TimebackError, TransportError
from ..sync._running.sync_report import FOR_ONE_REASON
from ._exit import EXIT
from ._input import InputRecord
from ._output_files import Failures
from ._progress import Meter
from ._screen import MAX_FAILURE_ROWS, FailureRow, err
from ._signals import interruptible

__all__ = ["Run"]


class Run:
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

    def __init__(self, session: TimebackSession, entries: Iterator[InputRecord]) -> None:
        self._session = session
        self._entries = entries
        self._on_their_way: dict[int, InputRecord] = {}
        self._failures_file: Failures | None = None
        self.report: Report | None = None
        self.failures: dict[int, FailureRow] = {}
        self.failed = self.unread = 0
        self._reasons: Counter[str] = Counter()
        self.error: TimebackError | None = None
        self.interrupted = False

    async def __call__(
        self,
        *,
        total: int | None = None,
        visible: bool = True,
        dry_run: bool = False,
        failures: Path | None = None,
    ) -> int:
        """Send everything and return the exit code.

        Raises:
            ConfigError: The file for the failures cannot be written.
        """
        statistics = self._session.statistics
        with (
            Failures.opened(failures) as self._failures_file,
            Meter.shown(total, visible, statistics) as meter,
        ):
            self.trace = meter.trace
            bulk = self._session.upsert_many(self._records(), dry_run=dry_run)

            def interrupt() -> None:
                self.interrupted = True
                bulk.stop("interrupted")

            try:
                with interruptible(interrupt, err.print):
                    async with bulk as results:
                        async for result in results:
                            meter.count(result)
                            self._take(result)
            except TimebackError as error:
                self.error = error
            except asyncio.CancelledError:
                self._take_undelivered(bulk.report)
            self.report = bulk.report
            if self.interrupted or self.error is not None:
                self._take_unread()
        return self._exit_code(self.report)

    def _records(self) -> Iterator[Any]:
        # Records not taken here stay in the iterator, for `_take_unread`.
        for index, entry in enumerate(self._entries):
            self._on_their_way[index] = entry
            yield entry.record

    def _take(self, result: ItemResult) -> None:
        entry = self._on_their_way.pop(result.index)
        if result.error is None:
            return
        self.failed += 1
        reason = str(result.error)
        self._reasons[reason] += 1
        if len(self.failures) < MAX_FAILURE_ROWS and self._reasons[reason] <= FOR_ONE_REASON:
            where = f"{entry.file}:{entry.line}"
            row = FailureRow(where, result.kind, result.sourced_id, result.outcome, reason)
            self.failures[result.index] = row
        if self._failures_file is not None:
            self._failures_file.write(entry, result)

    def _take_unread(self) -> None:
        """Count the records that were never read, and write them to the file of failures."""
        why = self.error or TimebackError("interrupted before its turn")
        for entry in self._entries:
            self.unread += 1
            if self._failures_file is not None:
                unread = ItemResult(
                    index=0, kind="", sourced_id="", outcome=Outcome.NOT_SENT, error=why
                )
                self._failures_file.write(entry, unread)

    def _take_undelivered(self, report: Report) -> None:
        """Give every cancelled record a result: its own if it had one, else `unknown`."""
        known = {result.index: result for result in report.failures}
        for index in sorted(self._on_their_way):
            unanswered = ItemResult(
                index=index, kind="", sourced_id="", outcome=Outcome.UNKNOWN,
                error=TransportError("cancelled before the answer"),
            )  # fmt: skip
            self._take(known.get(index, unanswered))

    def _exit_code(self, report: Report) -> int:
        if self.interrupted:
            return EXIT.INTERRUPTED
        if self.error is not None:
            return EXIT.PARTIAL if report.attempts else EXIT.NOTHING_SENT
        return EXIT.OK if report.ok else EXIT.PARTIAL
