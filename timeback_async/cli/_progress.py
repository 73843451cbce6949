"""The progress of a run: bars on stderr, or lines in the log."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import monotonic

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .._results import ItemResult
from .._statistics import Statistics
from .._trace import Trace
from ._screen import err

__all__ = ["Meter", "PhaseMeter"]

log = logging.getLogger("timeback_async.sync")

REDRAW = 0.1  # s; drawing for each record would cost more than sending it
LOG_EVERY = 10.0  # s


class Meter:
    """A progress bar with rate, retries, throttling and time left.

    Attributes:
        done: Results so far.
        trace: Rate, window and throttling over time.
    """

    def __init__(
        self, progress: Progress, task: TaskID, statistics: Callable[[], Statistics]
    ) -> None:
        self._progress, self._task, self._statistics = progress, task, statistics
        self.done = self._bad = 0
        self._drawn_at = monotonic()
        self.trace = Trace()

    @classmethod
    @contextmanager
    def shown(
        cls, total: int | None, visible: bool, statistics: Callable[[], Statistics]
    ) -> "Iterator[Meter]":
        """Show the bar while the block runs."""
        with Progress(*_columns(), console=err, disable=not visible) as progress:
            meter = cls(progress, progress.add_task("", total=total, facts=""), statistics)
            yield meter
            meter.draw()
            meter.trace.end(meter.done, statistics)

    def count(self, result: ItemResult) -> None:
        """Count one more result."""
        self.done += 1
        self._bad += result.error is not None
        if monotonic() - self._drawn_at > REDRAW:
            self.draw()

    def draw(self) -> None:
        """Draw the bar as things are now."""
        self._drawn_at = monotonic()
        statistics = self._statistics()
        self.trace.note(self.done, self._statistics)
        facts = _facts(self._progress.tasks[self._task].speed or 0.0, statistics)
        if self._bad:
            facts += f" · [red]{self._bad} not saved[/red]"
        self._progress.update(self._task, completed=self.done, facts=facts)


class PhaseMeter:
    """A progress bar for each phase of a sync, and every 10 s a line in the log for each.

    Only phases with something to do have a bar.
    """

    def __init__(
        self,
        progress: Progress,
        planned: Mapping[str, int],
        statistics: Callable[[], Statistics],
    ) -> None:
        self._progress, self._statistics = progress, statistics
        self._planned = {phase: total for phase, total in planned.items() if total}
        self._tasks = {
            phase: progress.add_task(phase, total=total, facts="", start=False)
            for phase, total in self._planned.items()
        }
        self._done = dict.fromkeys(self._planned, 0)
        self._logged, self._logged_at = self._done.copy(), monotonic()

    @classmethod
    @asynccontextmanager
    async def shown(
        cls, planned: Mapping[str, int], visible: bool, statistics: Callable[[], Statistics]
    ) -> "AsyncIterator[PhaseMeter]":
        """Draw and log while the block runs, even while no answer arrives.

        Args:
            planned: Number of records in each phase, in the order of the phases.
            visible: Whether to draw the bars; the log is written in any case.
            statistics: The session's figures.
        """
        description = TextColumn("{task.description}")
        with Progress(description, *_columns(), console=err, disable=not visible) as progress:
            meter = cls(progress, planned, statistics)
            refreshing = asyncio.create_task(meter._refresh())
            try:
                yield meter
            finally:
                refreshing.cancel()
            meter.draw()

    def count(self, phase: str) -> None:
        """Count one more result of a phase."""
        self._done[phase] += 1

    async def _refresh(self) -> None:
        """Draw and log until this task is cancelled."""
        while True:
            await asyncio.sleep(REDRAW)
            self.draw()
            if monotonic() - self._logged_at > LOG_EVERY:
                self._log()

    def draw(self) -> None:
        """Draw the bars as things are now."""
        statistics = self._statistics()
        for phase, task in self._tasks.items():
            if self._done[phase]:
                self._progress.start_task(task)
                facts = _facts(self._progress.tasks[task].speed or 0.0, statistics)
                self._progress.update(task, completed=self._done[phase], facts=facts)

    def _log(self) -> None:
        """Log the unfinished phases, each with its rate since the last time."""
        statistics, now = self._statistics(), monotonic()
        unfinished = [phase for phase in self._planned if self._done[phase] < self._planned[phase]]
        for phase in unfinished:
            done, planned = self._done[phase], self._planned[phase]
            if not done and phase != unfinished[0]:
                continue
            rate = (done - self._logged[phase]) / (now - self._logged_at)
            fields = {
                "phase": phase,
                "done": done,
                "planned": planned,
                "per_second": round(rate, 1),
                "seconds_left": round((planned - done) / rate) if rate else None,
                "retries": statistics.retries,
                "throttled": statistics.throttled,
                "window": round(statistics.window, 1),
            }
            summary = f"{done:,} of {planned:,} · {_facts(rate, statistics)}"
            log.info("%s: %s", phase, summary, extra={"fields": fields})
        self._logged, self._logged_at = self._done.copy(), now


def _columns() -> tuple[ProgressColumn, ...]:
    """Return the columns of a progress bar."""
    return (
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


def _facts(rate: float, statistics: Statistics) -> str:
    """Return rate, retries, throttling and window, as short text."""
    return (
        f"{rate:,.0f}/s · {statistics.retries} retries · {statistics.throttled} throttled"
        f" · window {statistics.window:.3g}"
    )
