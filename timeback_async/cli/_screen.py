"""The output of commands: results on stdout, errors on stderr, nothing personal on either."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .._report import Report
from .._results import Outcome

__all__ = [
    "COLOURS",
    "MAX_FAILURE_ROWS",
    "FailureRow",
    "counted",
    "err",
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

MAX_FAILURE_ROWS = 20  # on screen
COLOURS = {
    Outcome.SAVED: "green",
    Outcome.DELETED: "green",
    Outcome.FETCHED: "green",
    Outcome.FAILED: "red",
    Outcome.INVALID: "red",
    Outcome.UNKNOWN: "yellow",
    Outcome.NOT_SENT: "yellow",
}


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its word: "1 link", "2 links"."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def print_report(report: Report, unread: int) -> None:
    """Print the figures of a bulk run as a table.

    Args:
        report: The report of the run.
        unread: Number of records that were never read.
    """
    table = Table(title="Report", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("records read", f"{report.submitted:,}")
    if unread:
        table.add_row("[yellow]not reached[/]", f"{unread:,}")
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


def print_table(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], console: Console = out
) -> None:
    """Print plain text as a table under a title; long cells are folded."""
    table = Table(title=escape(title), title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def print_error(error: object) -> None:
    """Print an error on stderr, as one line; on a terminal it is broken between words."""
    err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=not err.is_terminal)


class FailureRow(NamedTuple):
    """One line of the table of failures; `sourced_id` may name both people of a link."""

    where: str
    kind: str
    sourced_id: str
    outcome: Outcome
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return it for a program to read."""
        return {
            "where": self.where,
            "kind": self.kind,
            "id": self.sourced_id,
            "outcome": self.outcome.value,
            "reason": self.reason,
        }


def print_failures(rows: Iterable[FailureRow], more: int = 0) -> None:
    """Print a table of records that were not saved, and why.

    Args:
        rows: The failures to show.
        more: How many failures there are beside them.
    """
    print_table(
        "Not saved",
        ("where", "kind", "id", "outcome", "reason"),
        (
            (row.where, row.kind, printable(row.sourced_id), row.outcome.value, row.reason)
            for row in rows
        ),
    )
    if more:
        out.print(f"… and {more:,} more.")


def printable(text: str) -> str:
    """Return an id for the screen, shortened, with control characters escaped."""
    shown = text if len(text) <= 64 else text[:63] + "…"
    return shown if shown.isprintable() else repr(shown)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on stdout, on one line."""
    print(json.dumps(value, ensure_ascii=False))
