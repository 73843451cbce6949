"""The progress of a run: bars on a terminal, plain lines elsewhere, or lines in the log."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from enum import Enum
from time import monotonic

from rich.console import JustifyMethod
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from .._results import ItemResult
from .._session import TimebackSession
from .._statistics import Statistics
from ._logs import LogFormat
from ._screen import err, out

__all__ = ["Meter", "Show", "working"]

log = logging.getLogger("timeback_async.sync")

REDRAW = 0.1  # s; drawing for each record would cost more than sending it
LOG_EVERY = 10.0  # s
SPEED_OF = 10.0  # s, over which the rate of a bar is measured
# An outage shorter than this is not worth a word on the screen.
SHORTEST_OUTAGE = 0.5  # s
NARROWEST_BAR, WIDEST_BAR = 6, 24
# What is said of a phase: in this order, if there is room for it by this importance.
LOOKS: dict[str, JustifyMethod] = {
    "phase": "left", "share": "right", "count": "right", "rate": "right", "left": "right",
    "time": "right",
}  # fmt: skip
BY_IMPORTANCE = ("phase", "share", "left", "count", "rate", "time")


class Show(Enum):
    """Where progress is shown."""

    BARS = "bars"
    LINES = "lines"
    LOG = "log"
    NOWHERE = "nowhere"

    @classmethod
    def of(cls, *, json: bool, log_format: LogFormat | None) -> "Show":
        """Return where, as the options of a command and its stderr have it."""
        if log_format is not None:
            return cls.LOG
        if json or out.quiet:
            return cls.NOWHERE
        return cls.BARS if err.is_terminal and not err.is_dumb_terminal else cls.LINES


@contextmanager
def working(what: str, show: Show) -> Iterator[None]:
    """Show that something goes on whose end is not known: a bar that moves, and its time."""
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        BarColumn(bar_width=WIDEST_BAR),
        TimeElapsedColumn(),
    )
    is_shown = show is Show.BARS
    with Progress(*columns, console=err, disable=not is_shown, transient=True) as progress:
        progress.add_task(what, total=None)
        yield


class Meter:
    """The progress of what is sent, in one or more phases; each with something to do has a bar.

    Args:
        planned: Number of records of each phase, in the order of the phases.
        show: Where it is shown.
        statistics: The session's figures.
        patience: For how many seconds an outage is waited for.
    """

    def __init__(
        self,
        planned: Mapping[str, int],
        show: Show,
        statistics: Callable[[], Statistics],
        patience: float,
    ) -> None:
        self._planned = {phase: total for phase, total in planned.items() if total}
        self._show, self._statistics, self._patience = show, statistics, patience
        self._bars = _Bars(
            console=err,
            auto_refresh=False,
            disable=show is not Show.BARS,
            speed_estimate_period=SPEED_OF,
            transient=True,  # the report follows
        )
        self._tasks = {
            phase: self._bars.add_task(phase, total=total, start=False)
            for phase, total in self._planned.items()
        }
        self._done = dict.fromkeys(self._planned, 0)
        self._bad = self._answered = self._answered_before = 0
        self._said, self._said_at = self._done.copy(), monotonic()
        self._outage = ""  # the failure of one that was shown

    @classmethod
    @asynccontextmanager
    async def shown(
        cls, planned: Mapping[str, int], show: Show, session: TimebackSession
    ) -> "AsyncIterator[Meter]":
        """Show progress while the block runs, even while no answer arrives."""
        meter = cls(planned, show, session.statistics, session.config.retry.patience)
        with meter._bars:
            refreshing = asyncio.create_task(meter._refresh())
            try:
                yield meter
            finally:
                refreshing.cancel()
            meter.draw()

    def count(self, phase: str, result: ItemResult) -> None:
        """Count one more result."""
        self._done[phase] += 1
        self._bad += result.error is not None
        self._answered += result.error is None or 400 <= (result.status or 0) < 500

    def draw(self) -> None:
        """Draw the bars as things are now."""
        statistics = self._statistics()
        self._note_outage(statistics)
        self._bars.note = self._outage or ", ".join(self._trouble(statistics))
        self._bars.is_waiting = bool(self._outage)
        for phase, task in self._tasks.items():
            if self._done[phase]:
                self._bars.start_task(task)
                self._bars.update(task, completed=self._done[phase])
        self._bars.refresh()

    async def _refresh(self) -> None:
        """Draw and say how far it has come, until this task is cancelled."""
        while True:
            await asyncio.sleep(REDRAW)
            self.draw()
            if monotonic() - self._said_at > LOG_EVERY:
                self._say()

    # -- outages

    def _note_outage(self, now: Statistics) -> None:
        """Say that nothing comes through, and after it that something does.

        With bars, the first is below them while it lasts. The log has lines of its own. A run that
        has given up waits no longer, which does not mean that TimeBack answers.
        """
        was = self._outage
        if now.down_for > SHORTEST_OUTAGE:
            self._answered_before = self._answered
            began = time.time() - now.down_for
            until = f", until {_clock(began + self._patience)} at most" if now.attempts else ""
            self._outage = (
                f"TimeBack does not answer ({now.failure}): waiting since {_clock(began)}{until}"
            )
            if not was and self._show is Show.LINES:
                print_line(self._outage)
        elif was and self._answered > self._answered_before:
            self._outage = ""
            if self._show in (Show.BARS, Show.LINES):
                print_line(f"TimeBack answers again ({_clock(time.time())})")

    # -- lines

    def _say(self) -> None:
        """Log or print the unfinished phases, each with its rate since the last time."""
        statistics, now = self._statistics(), monotonic()
        unfinished = [phase for phase in self._planned if self._done[phase] < self._planned[phase]]
        for phase in unfinished:
            done, planned = self._done[phase], self._planned[phase]
            if not done and phase != unfinished[0]:
                continue
            rate = (done - self._said[phase]) / (now - self._said_at)
            left = round((planned - done) / rate) if rate else None
            fields = {
                "phase": phase,
                "done": done,
                "planned": planned,
                "per_second": round(rate, 1),
                "seconds_left": left,
                "retries": statistics.retries,
                "throttled": statistics.throttled,
                "window": round(statistics.window, 1),
            }
            parts = [f"{done:,} of {planned:,}", f"{done / planned:.0%}", f"{rate:,.0f}/s"]
            parts += [f"{_span(left)} left"] if left is not None else []
            message = f"{phase}: {', '.join(parts + self._trouble(statistics))}"
            if self._show is Show.LINES:
                print_line(self._outage or message)
            else:
                log.info("%s", message, extra={"fields": fields})
        self._said, self._said_at = self._done.copy(), now

    def _trouble(self, statistics: Statistics) -> list[str]:
        """Return what does not go well, in words, the most important first."""
        numbers = {
            "not saved": self._bad,
            "throttled": statistics.throttled,
            "retries": statistics.retries,
        }
        pause = [f"a pause of {_span(statistics.gate)}, as asked"] if statistics.gate else []
        return pause + [f"{number:,} {name}" for name, number in numbers.items() if number]


class _Bars(Progress):
    """A line for each task, and one below them. What does not fit into the width is left out.

    Attributes:
        note: The line below; "" for none.
        is_waiting: Whether nothing moves, so that rate and time left say nothing.
    """

    note = ""
    is_waiting = False

    def get_renderables(self) -> Iterable[Table | Text]:
        """Yield what is drawn."""
        lines = [self._cells(task) for task in self.tasks]
        widths = {name: max(len(line[name]) for line in lines) for name in (lines or [{}])[0]}
        room, chosen = err.width, set()
        for name in BY_IMPORTANCE:
            if 0 < widths.get(name, 0) <= room:
                chosen.add(name)
                room -= widths[name] + 1
        table = Table.grid(padding=(0, 1, 0, 0))
        for task, line in zip(self.tasks, lines, strict=True):
            cells = [Text(line[name], justify=LOOKS[name]) for name in LOOKS if name in chosen]
            if room > NARROWEST_BAR:
                bar = ProgressBar(task.total, task.completed, width=min(room - 1, WIDEST_BAR))
                table.add_row(cells[0], bar, *cells[1:])
            else:
                table.add_row(*cells)
        yield table
        if self.note:
            yield Text(self.note, "yellow")

    def _cells(self, task: Task) -> dict[str, str]:
        """Return what may be said of a task, by name."""
        left = None if self.is_waiting or task.finished else task.time_remaining
        rate = None if self.is_waiting or task.finished else task.speed
        done, total = int(task.completed), int(task.total or 1)
        return {
            "phase": task.description,
            "share": f"{done * 100 // total} %",  # 100 % is the end alone
            "count": f"{done:,}/{total:,}",
            "rate": "" if rate is None else f"{rate:,.0f}/s",
            "left": "" if left is None else f"{_span(left)} left",
            "time": "" if task.elapsed is None else f"{_span(task.elapsed)} so far",
        }


def print_line(text: str) -> None:
    """Print a line on stderr, above the bars."""
    err.print(text, markup=False, soft_wrap=True)


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
