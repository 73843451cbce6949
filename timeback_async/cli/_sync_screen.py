"""The output of `sync` at its end: phases, findings and failures, with ids but no names."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from ..sync import CODES, Cause, SyncReport
from ._chart import print_chart
from ._options_words import as_flags
from ._screen import COLOURS, MAX_FAILURE_ROWS, FailureRow, out, print_failures, printable

__all__ = ["print_causes", "print_sync_report"]

SEVERITY_LABELS = {"error": "[red]error:[/]", "warning": "[yellow]warning:[/]"}
KIND_LABELS = {"student": "students", "user": "users", "agent": "links"}
READ_LABELS = {
    "students": "students",
    "users": "users",
    "links": "links",
    "left_out": "rows left out",
}


def print_sync_report(report: SyncReport, samples: dict[str, list[str]], kept: Path | None) -> None:
    """Print what a run did, or what a dry run would do.

    Args:
        report: The report of the run.
        samples: Descriptions of some changes of each phase, for a dry run.
        kept: The file with the records that were not saved; None if there is no such file.
    """
    _print_phases(report, samples)
    if report.causes:
        print_causes(report.causes)
    if report.failures:
        _print_failures(report, kept)
    if not report.dry_run:
        print_chart(report.trace)
    left_alone = {kind: n for kind, n in report.absent.items() if not _is_removed(kind, report)}
    if left_alone:
        gone = ", ".join(f"{left_alone[kind]:,} {KIND_LABELS[kind]}" for kind in sorted(left_alone))
        out.print(
            f"No longer in the files: {gone}. They were not removed; to remove them, see "
            "--deactivate-absent and --unlink-absent."
        )
    if report.dry_run:
        out.print("Dry run: all files were read and compared, nothing was sent.")
    if report.stopped:
        advice = "Run the same command again"
        if report.stopped != "interrupted":
            advice = "Fix this, then run the same command again"
        out.print(
            f"[yellow]Stopped before the end:[/] {escape(report.stopped)}. {advice}: it continues "
            "where this run ended."
        )


def _is_removed(kind: str, report: SyncReport) -> bool:
    return bool(report.phases["unlinks" if kind == "agent" else "deactivations"].planned)


def _print_failures(report: SyncReport, kept: Path | None) -> None:
    rows = [
        FailureRow(each.where, each.kind, each.who, each.outcome, each.reason)
        for each in report.examples(MAX_FAILURE_ROWS)
    ]
    print_failures(rows, report.more(len(rows)))
    if kept is None:
        out.print("The next run sends them again. --failures OUT.jsonl also writes them to a file.")
    else:
        out.print(f"{escape(str(kept))} holds all of them.")


def _print_phases(report: SyncReport, samples: dict[str, list[str]]) -> None:
    read = (f"{number:,} {READ_LABELS[what]}" for what, number in report.read.items())
    out.print(f"[bold]{escape(report.format)}:[/] {', '.join(read)}")
    table = Table()
    table.add_column("phase")
    table.add_column("planned", justify="right")
    table.add_column("result" if not report.dry_run else "examples", overflow="fold")
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


def print_causes(causes: Sequence[Cause]) -> None:
    """Print what was found in the files, and what to do about it; of notes only how many."""
    out.print("[bold]Findings in the files[/]")
    for cause in causes:
        if cause.severity != "note":
            _print_cause(cause)
    notes: Counter[str] = Counter()
    for cause in causes:
        if cause.severity == "note":
            notes[cause.code] += cause.count
    if notes:
        kinds = ", ".join(f"{code} {number:,}" for code, number in notes.items())
        out.print(
            f"[dim]notes:[/] {notes.total():,} of what was understood all the same ({kinds}). "
            "--findings OUT.csv lists them."
        )


def _print_cause(cause: Cause) -> None:
    first = cause.examples[0]
    where = f"{first.file}:{first.line}" if first.line else first.file
    detail = f"({printable(first.detail)})" if first.detail else ""
    place = " ".join(filter(None, (where, detail)))
    times = "once" if cause.count == 1 else f"{cause.count:,} times"
    label = "[dim]accepted:[/]" if cause.is_accepted else SEVERITY_LABELS[cause.severity]
    out.print(
        f"{label} {times} {escape(str(cause))}; first: {escape(place) or 'the package'}. "
        f"{escape(_advice(cause))}. {escape(f'[{cause.code}]')}"
    )


def _advice(cause: Cause) -> str:
    """Return the advice of a finding as a sentence, for users of the command."""
    advice = as_flags(CODES[cause.code].advice)
    if re.match(r"nothing\b", advice):
        return f"No action needed{advice.removeprefix('nothing')}"
    return f"To do: {advice}"
