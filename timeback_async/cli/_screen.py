"""What the command prints: progress on stderr, results on stdout, nothing personal on either."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from rich.console import Console
from rich.markup import escape
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
from rich.table import Table

from .._flow.pool import Statistics
from .._report import Report
from .._results import ItemResult, Outcome
from .._trace import Trace

__all__ = [
    "COLOURS",
    "REDRAW",
    "Meter",
    "columns",
    "err",
    "facts_of",
    "out",
    "print_error",
    "print_failures",
    "print_json",
    "print_report",
    "print_table",
    "printable",
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

REDRAW = 0.1  # s; drawing for each record would cost more than sending it
COLOURS = {
    Outcome.SAVED: "green",
    Outcome.DELETED: "green",
    Outcome.FETCHED: "green",
    Outcome.FAILED: "red",
    Outcome.INVALID: "red",
    Outcome.UNKNOWN: "yellow",
    Outcome.NOT_SENT: "yellow",
}


class Meter:
    """A progress bar with rate, retries, throttling and time left.

    Attributes:
        done: Results so far.
        trace: How it went over time.
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
        with Progress(*columns(), console=err, disable=not visible) as progress:
            meter = cls(progress, progress.add_task("", total=total, facts=""), statistics)
            yield meter
            meter.draw()
            meter.trace.end(meter.done, statistics)

    def count(self, result: ItemResult) -> None:
        """Take one more result into the picture."""
        self.done += 1
        self._bad += result.error is not None
        if monotonic() - self._drawn_at > REDRAW:
            self.draw()

    def draw(self) -> None:
        """Bring the picture up to date."""
        self._drawn_at = monotonic()
        statistics = self._statistics()
        self.trace.note(self.done, self._statistics)
        facts = facts_of(self._progress.tasks[self._task].speed or 0.0, statistics)
        if self._bad:
            facts += f" · [red]{self._bad} not saved[/red]"
        self._progress.update(self._task, completed=self.done, facts=facts)


def columns() -> tuple[ProgressColumn, ...]:
    """Return what a progress bar shows."""
    return (
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


def facts_of(rate: float, statistics: Statistics) -> str:
    """Return how it goes, in a few words."""
    return (
        f"{rate:,.0f}/s · {statistics.retries} retries · {statistics.throttled} throttled"
        f" · window {statistics.window:.3g}"
    )


def print_report(report: Report, unread: int = 0) -> None:
    """Print the figures of a run as a table.

    Args:
        report: The run's own account.
        unread: Records that the run never came to.
    """
    table = Table(title="Report", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("records read", f"{report.submitted:,}")
    if unread:
        table.add_row("[yellow]never read[/]", f"{unread:,}")
    for outcome, number in report.counts.items():
        if number:
            label = f"[{COLOURS[outcome]}]{outcome.value.replace('_', ' ')}[/]"
            table.add_row(label, f"{number:,}")
    table.add_section()
    table.add_row("requests", f"{report.attempts:,}")
    table.add_row("retries", f"{report.retries:,}")
    table.add_row("throttled", f"{report.throttled:,}")
    table.add_row("token requests", f"{report.token_requests:,}")
    table.add_row("seconds", f"{report.elapsed:.1f}")
    table.add_row("records/s", f"{report.rate:,.0f}")
    if report.latency.p50 is not None:
        times = (report.latency.p50, report.latency.p95, report.latency.p99)
        shown = " / ".join(f"{(time or 0.0) * 1000:.0f}" for time in times)
        table.add_row("latency p50 / p95 / p99, ms", shown)
    out.print(table)
    if report.dry_run:
        out.print("Dry run: everything was checked, nothing was sent.")
    if report.stopped or unread:
        why = escape(report.stopped) or "interrupted"
        out.print(f"[yellow]Stopped before the end:[/] {why}; {unread:,} records were never read.")


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print plain text as a table under a title; long cells are folded."""
    table = Table(title=escape(title), title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)


def print_error(error: object) -> None:
    """Print what ended a command on stderr, as one line."""
    err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)


def print_failures(failures: Iterable[tuple[str, ItemResult]], more: int = 0) -> None:
    """Print where each record stands that did not make it, and why; `more` are not shown."""
    table = Table(title="Not saved", title_justify="left")
    for heading in ("where", "kind", "id", "outcome", "reason"):
        table.add_column(heading, overflow="fold")
    for where, result in failures:
        reason = escape(str(result.error))
        cells = (where, result.kind, printable(result.sourced_id), result.outcome.value)
        table.add_row(*map(escape, cells), reason)
    out.print(table)
    if more:
        out.print(f"… and {more:,} more.")


def printable(text: str) -> str:
    """Return an id fit for a screen: a hostile one may hold what moves the cursor."""
    shown = text if len(text) <= 64 else text[:63] + "…"
    return shown if shown.isprintable() else repr(shown)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object, for a machine."""
    print(json.dumps(value, ensure_ascii=False))
