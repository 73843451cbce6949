"""What `sync` prints at its end: phases, findings, failures; ids and nothing else of anybody."""

from collections.abc import Iterable
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from ..sync import CODES, Cause, SyncReport
from ._chart import print_chart
from ._options_words import as_flags
from ._screen import COLOURS, out, printable

__all__ = ["print_sync_report"]

SEVERITIES = {
    "error": "[red]left out:[/]",
    "warning": "[yellow]check:[/]",
    "note": "[dim]note:[/]",
}
KIND_NAMES = {"student": "students", "user": "users", "agent": "links"}
READ = {"students": "students", "users": "users", "links": "links", "left_out": "rows left out"}
MAX_FAILURES_SHOWN = 20


def print_sync_report(report: SyncReport, samples: dict[str, list[str]], kept: Path | None) -> None:
    """Print what a run did, or a dry one would.

    Args:
        report: The run's own account.
        samples: Some changes of each phase, of a dry run.
        kept: Where the records are that did not make it; None where they are not kept.
    """
    _print_phases(report, samples)
    if report.causes:
        _print_causes(report.causes)
    if report.failures:
        _print_failures(report, kept)
    if not report.dry_run:
        print_chart(report.trace)
    left_alone = {kind: n for kind, n in report.absent.items() if not _is_removed(kind, report)}
    if left_alone:
        gone = ", ".join(f"{left_alone[kind]:,} {KIND_NAMES[kind]}" for kind in sorted(left_alone))
        out.print(f"No longer in the files: {gone}. They are left alone, unless you ask for more.")
    if report.dry_run:
        out.print("Dry run: everything was read and compared, nothing was sent.")
    if report.stopped:
        advice = "Run the same command again"
        if report.stopped != "interrupted":
            advice = "When that is mended, run the same command again"
        out.print(
            f"[yellow]Stopped before the end:[/] {escape(report.stopped)}. {advice}: it goes on "
            "where this ended."
        )


def _is_removed(kind: str, report: SyncReport) -> bool:
    return bool(report.phases["unlinks" if kind == "agent" else "deactivations"].planned)


def _print_failures(report: SyncReport, kept: Path | None) -> None:
    table = Table(title="Not saved", title_justify="left")
    for heading in ("where", "kind", "id", "outcome", "reason"):
        table.add_column(heading, overflow="fold")
    examples = report.examples(MAX_FAILURES_SHOWN)
    for each in examples:
        cells = each.where, each.kind, printable(each.who), each.outcome.value, each.reason
        table.add_row(*map(escape, cells))
    out.print(table)
    if more := report.more(len(examples)):
        out.print(f"… and {more:,} more.")
    if kept is None:
        out.print("--failures OUT.jsonl keeps such records; the next run sends them again anyway.")
    else:
        out.print(f"{escape(str(kept))} holds them all.")


def _print_phases(report: SyncReport, samples: dict[str, list[str]]) -> None:
    read = (f"{number:,} {READ[what]}" for what, number in report.read.items())
    out.print(f"[bold]{escape(report.format)}:[/] {', '.join(read)}")
    table = Table()
    table.add_column("phase")
    table.add_column("planned", justify="right")
    table.add_column("became" if not report.dry_run else "such as", overflow="fold")
    for name, phase in report.phases.items():
        ended = ", ".join(
            f"[{COLOURS[outcome]}]{number:,} {outcome.value.replace('_', ' ')}[/]"
            for outcome, number in phase.counts.items()
            if number
        )
        if phase.not_reached and not report.dry_run:
            ended += f"{', ' if ended else ''}[yellow]{phase.not_reached:,} not reached[/]"
        table.add_row(name, f"{phase.planned:,}", ended or escape(", ".join(samples.get(name, []))))
    table.add_row("unchanged", f"{report.unchanged:,}", "not sent")
    out.print(table)
    if not report.dry_run:
        out.print(
            f"{report.requests:,} requests ({report.retries:,} retries, {report.throttled:,} "
            f"throttled), {report.token_requests} for tokens, {report.elapsed:.1f} s"
        )


def _print_causes(causes: Iterable[Cause]) -> None:
    out.print("[bold]Found in the files, causes first[/]")
    for cause in causes:
        first, advice = cause.examples[0], as_flags(CODES[cause.code].advice)
        where = f"{first.file}:{first.line}" if first.line else first.file
        detail = f"({printable(first.detail)})" if first.detail else ""
        place = " ".join(filter(None, (where, detail)))
        times = "once" if cause.count == 1 else f"{cause.count:,} times"
        out.print(
            f"{SEVERITIES[cause.severity]} {times} {escape(str(cause))}; first: "
            f"{escape(place) or 'the package'}. To do: {escape(advice)}."
        )
