"""The section of a report page on what was found in the files, with a filter."""

from collections.abc import Callable, Sequence
from html import escape

from .._reading.codes import CODES
from .._reading.findings import Cause
from .frame import EXAMPLES_SHOWN, template

__all__ = ["found"]

NOTHING_FOUND = (
    '<tr class="none"><td colspan="3">Nothing that was left out, and nothing to check.</td></tr>'
)
COLOURS = {"error": "bad", "warning": "look", "note": "calm"}


def found(causes: Sequence[Cause], translate: Callable[[str], str]) -> str:
    """Return the section.

    Args:
        causes: What was found in the files.
        translate: Applied to each advice.
    """
    notes = [cause for cause in causes if cause.severity == "note"]
    others = [cause for cause in causes if cause.severity != "note"]
    return template("found.html").substitute(
        findings=_causes(others, translate) or NOTHING_FOUND, notes=_notes(notes, translate)
    )


def _causes(causes: Sequence[Cause], translate: Callable[[str], str]) -> str:
    return "".join(_cause(cause, translate) for cause in causes)


def _notes(causes: Sequence[Cause], translate: Callable[[str], str]) -> str:
    """Return a table of notes, folded behind their number; "" if there are none."""
    if not causes:
        return ""
    number = sum(cause.count for cause in causes)
    what = "note" if number == 1 else "notes"
    return (
        f'<details id="notes"><summary>{number:,} {what} on what was understood all the same'
        f'</summary><table class="findings narrow"><tbody>{_causes(causes, translate)}</tbody>'
        "</table></details>"
    )


def _cause(cause: Cause, translate: Callable[[str], str]) -> str:
    what, advice = escape(str(cause)), escape(translate(CODES[cause.code].advice))
    places = "".join(f"<li>{escape(str(each))}</li>" for each in cause.examples[:EXAMPLES_SHOWN])
    label, kind = ("accepted", "note") if cause.is_accepted else (cause.severity, cause.severity)
    more = cause.count - min(EXAMPLES_SHOWN, len(cause.examples))
    rest = f"<p>… and {more:,} more.</p>" if more else ""
    return (
        f'<tr data-severity="{cause.severity}" data-cause="{what} {cause.code} {advice}">'
        f'<td><span class="severity {COLOURS[kind]}">{label}</span></td>'
        f'<td class="number" data-label="times">{cause.count:,}</td><td>{what}. '
        f"<em>What to do:</em> {advice}.<details><summary>where</summary>"
        f"<ul>{places}</ul>{rest}</details></td></tr>"
    )
