"""The output of `sync` at its end: phases, findings and failures, with ids but no names."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from ..sync import CODES, Cause, SyncReport
from ._chart import print_chart
from ._options_words import as_flags
from ._screen import COLOURS, MAX_FAILURE_ROWS, FailureRow, out, print_failures, printable

__all__ = ["print_causes", "print_read", "print_sync_report"]

SHORTEST_CHART = 1.0  # s

SEVERITY_LABELS = {"error": "[red]error:[/]", "warning": "[yellow]warning:[/]"}
KIND_LABELS = {"student": "students", "user": "users", "agent": "links"}


def print_sync_report(report: SyncReport, samples: dict[str, list[str]], kept: Path | None) -> None:
    """Print what a run did, or what a dry run would do.

    Args:
        report: The report of the run.
        samples: Descriptions of some changes of each phase, if they were not sent.
        kept: The file with the records that were not saved; None if there is no such file.
    """
    print_read(report.format, report.read)
    is_plan = report.dry_run or report.is_refused
    if is_plan:
        _print_plan(report, samples)
    else:
        out.print(_phases(report))
        requests = "1 request" if report.requests == 1 else f"{report.requests:,} requests"
        out.print(
            f"{requests} ({report.retries:,} retries, {report.throttled:,} throttled), "
            f"{report.token_requests} for tokens; {report.elapsed:.1f} s, of which "
            f"{report.sending:.1f} s of sending, {report.rate:,.0f} records/s"
        )
    if report.causes:
        print_causes(report.causes)
    if report.failures:
        _print_failures(report, kept)
    if report.sending > SHORTEST_CHART:
        print_chart(report.trace)
    left_alone = {kind: n for kind, n in report.absent.items() if not _is_removed(kind, report)}
    if left_alone:
        gone = ", ".join(f"{left_alone[kind]:,} {KIND_LABELS[kind]}" for kind in sorted(left_alone))
        out.print(
            f"No longer in the files: {gone}. They were not removed; to remove them, see "
            "--deactivate-absent and --unlink-absent."
        )
    if any("hashed id" in each for some in samples.values() for each in some):
        out.print(
            "A hashed id is that of somebody absent: `state find ID…` prints the hash of an id, so "
            "look up those of an earlier file."
        )
    if report.dry_run:
        out.print(
            "Dry run: all files were read and compared, nothing was sent. --plan OUT.jsonl lists "
            "every change."
        )
    elif report.stopped and not report.is_refused:
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


def print_read(form: str, read: Mapping[str, int]) -> None:
    """Print what was read, and what became of the rows."""
    number = {name: f"{value:,}" for name, value in read.items()}
    repeated = f"{number['repeated']} repeated, " if read["repeated"] else ""
    out.print(
        f"[bold]{escape(form)}:[/] {number['students']} students, {number['users']} users, "
        f"{number['links']} links; {number['rows']} rows read, {repeated}"
        f"{number['left_out']} left out"
    )


def _print_plan(report: SyncReport, samples: Mapping[str, Sequence[str]]) -> None:
    """Print what would be sent, and the first changes of each phase."""
    table = Table()
    table.add_column("phase")
    table.add_column("planned")
    for name in report.phases:
        table.add_row(name, report.planned_as(name) or "nothing")
    table.add_row("unchanged", f"{report.unchanged:,}")
    out.print(table)
    for some in samples.values():
        for each in some:
            out.print(f"  {escape(each)}", soft_wrap=True)


def _phases(report: SyncReport) -> Table:
    """Return what became of what was planned."""
    table = Table()
    table.add_column("phase")
    table.add_column("planned", justify="right")
    table.add_column("result", overflow="fold")
    for name, phase in report.phases.items():
        ended = [
            f"[{COLOURS[outcome]}]{number:,} {outcome.value.replace('_', ' ')}[/]"
            for outcome, number in phase.counts.items()
            if number
        ]
        if phase.not_reached:
            ended.append(f"[yellow]{phase.not_reached:,} not reached[/]")
        table.add_row(name, f"{phase.planned:,}", ", ".join(ended))
    table.add_row("unchanged", f"{report.unchanged:,}", "not sent")
    return table


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
