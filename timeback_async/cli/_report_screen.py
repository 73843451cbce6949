"""The output of `sync`, `upsert` and `verify` at their end: with ids but no names."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from ..sync import CODES, Cause, Failure, SyncReport, VerifyReport
from ._chart import print_chart
from ._options_words import as_flags
from ._screen import (
    COLOURS,
    MAX_FAILURE_ROWS,
    FailureRow,
    counted,
    out,
    print_failures,
    printable,
)

__all__ = ["print_causes", "print_read", "print_sync_report"]

SHORTEST_CHART = 1.0  # s

SEVERITY_LABELS = {"error": "[red]error:[/]", "warning": "[yellow]warning:[/]"}
KIND_LABELS = {"student": "student", "user": "user", "agent": "link"}


def print_sync_report(report: SyncReport, kept: Path | None) -> None:
    """Print what a run did, or what a dry run would do.

    Args:
        report: The report of the run.
        kept: The file with the records that were not saved; None if there is no such file.
    """
    print_read(report)
    if report.is_resumable and (report.dry_run or report.is_refused):
        _print_plan(report)
    else:
        out.print(_phases(report))
    if not (report.dry_run or report.is_refused):
        out.print(
            f"{counted(report.requests, 'request')} ({counted(report.retries, 'retry', 'retries')},"
            f" {report.throttled:,} throttled), {report.token_requests:,} for tokens; "
            f"{report.elapsed:.1f} s, of which {report.sending:.1f} s of sending, "
            f"{report.rate:,.0f} records/s"
        )
    if report.causes:
        print_causes(report.causes)
    if report.failures:
        _print_failures(report, kept)
    if report.requests and report.sending > SHORTEST_CHART:
        print_chart(report.trace)
    left_alone = {kind: n for kind, n in report.absent.items() if not _is_removed(kind, report)}
    if left_alone:
        gone = ", ".join(
            counted(left_alone[kind], KIND_LABELS[kind]) for kind in sorted(left_alone)
        )
        out.print(
            f"No longer in the files: {gone}. They were not removed; to remove them, see "
            "--deactivate-absent and --unlink-absent."
        )
    for line in _last_lines(report, kept):
        out.print(line)


def _last_lines(report: SyncReport, kept: Path | None) -> Iterator[str]:
    """Yield what was not done, and what to do."""
    if report.dry_run:
        more = " --plan OUT.jsonl lists every change." if report.is_resumable else ""
        yield f"Dry run: everything was read and checked, nothing was sent.{more}"
    elif report.stopped and not report.is_refused:
        if not report.is_resumable:
            advice = "--failures OUT.jsonl writes what was not sent to a file."
            if kept is not None:
                advice = f"{escape(str(kept))} holds all that was not sent."
        else:
            fix = "" if report.stopped == "interrupted" else "Fix this, then "
            advice = f"{fix}{'run' if fix else 'Run'} the same command again: it continues where "
            advice += "this run ended."
        yield f"[yellow]Stopped before the end:[/] {escape(report.stopped)}. {advice}"


def _is_removed(kind: str, report: SyncReport) -> bool:
    return bool(report.phases["unlinks" if kind == "agent" else "deactivations"].planned)


def _print_failures(report: SyncReport, kept: Path | None) -> None:
    rows = [
        FailureRow(each.where, each.kind, each.who, each.outcome, each.reason)
        for each in report.examples(MAX_FAILURE_ROWS)
    ]
    print_failures(rows, report.more(len(rows)))
    if kept is not None:
        out.print(f"{kept} holds all of them.", markup=False, soft_wrap=True)
    elif report.is_resumable:
        out.print("The next run sends them again. --failures OUT.jsonl also writes them to a file.")
    else:
        out.print("--failures OUT.jsonl writes all of them to a file.")
    if report.is_resumable and any(_has_lost_people(each) for each in report.failures):
        out.print(
            "TimeBack does not know people of these links: if it has lost some that were saved "
            "before, --resend sends everybody again."
        )


def _has_lost_people(failure: Failure) -> bool:
    return failure.kind == "agent" and failure.reason.startswith("HTTP 404")


def print_read(report: SyncReport | VerifyReport) -> None:
    """Print what was read, and what became of the rows."""
    read = report.read
    kinds = ", ".join(counted(read[f"{kind}s"], kind) for kind in ("student", "user", "link"))
    repeated = f"{read['repeated']:,} repeated, " if read["repeated"] else ""
    out.print(
        f"[bold]{escape(report.format)}:[/] {kinds}; {counted(read['rows'], 'row')} read, "
        f"{repeated}{read['left_out']:,} left out"
    )


def _print_plan(report: SyncReport) -> None:
    """Print what would be sent, and the first changes of each phase."""
    table = Table()
    table.add_column("phase")
    table.add_column("planned")
    for name in report.phases:
        table.add_row(name, report.planned_as(name) or "nothing")
    table.add_row("unchanged", f"{report.unchanged:,}")
    out.print(table)
    for some in report.samples.values():
        for each in some:
            out.print(f"  {escape(each)}", soft_wrap=True)


def _phases(report: SyncReport) -> Table:
    """Return what became of what was planned."""
    table = Table()
    table.add_column("phase")
    table.add_column("planned", justify="right")
    table.add_column("result", overflow="fold")
    for name, phase in report.phases.items():
        if not (phase.planned or report.is_resumable):
            continue
        ended = [
            _coloured(number, COLOURS[outcome], outcome.value.replace("_", " "))
            for outcome, number in phase.counts.items()
            if number
        ]
        if phase.not_reached:
            rest = ("green", "valid") if report.dry_run else ("yellow", "not reached")
            ended.append(_coloured(phase.not_reached, *rest))
        table.add_row(name, f"{phase.planned:,}", ", ".join(ended))
    if report.is_resumable:
        table.add_row("unchanged", f"{report.unchanged:,}", "not sent")
    return table


def _coloured(number: int, colour: str, what: str) -> str:
    return f"[{colour}]{number:,} {what}[/]"


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
