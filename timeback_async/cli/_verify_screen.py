"""The output of `verify` at its end: counts and differences, with ids but no values."""

from pathlib import Path

import msgspec
from rich.markup import escape
from rich.table import Table

from ..sync import VerifyReport
from ._report_screen import print_causes, print_read
from ._screen import MAX_FAILURE_ROWS, counted, out, print_table, printable

__all__ = ["print_verify_report"]

COLOURS = {
    "same": "green", "missing": "red", "different": "red", "only_there": "yellow",
    "unknown": "yellow",
}  # fmt: skip


def print_verify_report(report: VerifyReport, kept: Path | None) -> None:
    """Print what was compared, or what a dry run would ask for.

    Args:
        report: The report.
        kept: The file with what mends the differences; None if there is no such file.
    """
    print_read(report)
    if report.dry_run:
        needed = sum(report.planned.values())
        out.print(
            f"{needed:,} requests or more: {counted(report.planned['pages'], 'page')} of users, "
            f"{counted(report.planned['people'], 'person', 'people')}, the links of "
            f"{counted(report.planned['students'], 'student')}. Whoever is not listed is looked "
            "up, too."
        )
    else:
        out.print(_counts(report))
        out.print(
            f"{report.requests:,} requests ({report.retries:,} retries, {report.throttled:,} "
            f"throttled), {report.token_requests} for tokens; {report.elapsed:.1f} s"
        )
    if report.not_judged:
        out.print(f"{escape(report.not_judged)}.")
    if report.causes:
        print_causes(report.causes)
    if report.differences:
        _print_differences(report, kept)
    if report.dry_run:
        out.print("Dry run: all files were read, nothing was sent.")
    elif report.stopped:
        out.print(f"[yellow]Stopped before the end:[/] {escape(report.stopped)}.")
    elif report.ok:
        whom = f" of the {counted(report.sample, 'person', 'people')} in the sample"
        out.print(f"[green]TimeBack has what the files say{whom if report.sample else ''}.[/]")


def _counts(report: VerifyReport) -> Table:
    """Return what came of people and links."""
    table = Table()
    table.add_column("")
    table.add_column("result", overflow="fold")
    for noun, each in (("people", report.people), ("links", report.links)):
        found = [
            f"[{COLOURS[what]}]{number:,} {_words(what)}[/]"
            for what, number in msgspec.structs.asdict(each).items()
            if number
        ]
        if report.stopped and noun == "links":
            found.append("[yellow]the rest was not reached[/]")
        elif report.not_reached and noun == "people":
            found.append(f"[yellow]{report.not_reached:,} not reached[/]")
        table.add_row(noun, ", ".join(found) or "none")
    return table


def _print_differences(report: VerifyReport, kept: Path | None) -> None:
    some = report.differences[:MAX_FAILURE_ROWS]
    print_table(
        "Differences",
        ("where", "kind", "id", "what", "fields"),
        (
            (each.where, each.kind, printable(each.who), _words(each.what), each.why)
            for each in some
        ),
    )
    if report.number > len(some):
        out.print(f"… and {report.number - len(some):,} more; --report and --json list more.")
    if not any(
        each.what in ("missing", "different") and "agentId" not in each.fields
        for each in report.differences
    ):
        return
    if kept is None:
        out.print("--failures OUT.jsonl writes down what mends them, for `upsert`.")
    else:
        out.print(
            f"`timeback-async upsert {escape(str(kept))}` mends what is missing or different."
        )


def _words(what: str) -> str:
    return {"only_there": "only at TimeBack"}.get(what, what)
